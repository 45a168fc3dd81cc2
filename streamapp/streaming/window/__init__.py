"""The in-flight window, its partitions and the right to write."""
