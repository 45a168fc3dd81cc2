"""Bodies of requests and answers, to and from ours; nothing here does I/O."""
