"""Dead letters as they stand on their topic: read, listed, replayed."""
