"""The benchmark of `make bench`: real programs on a real broker, measured from outside them."""
