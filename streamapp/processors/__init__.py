"""One file per record type: the record class and its coroutine."""
