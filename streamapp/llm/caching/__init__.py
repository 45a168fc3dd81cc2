"""Cached and shared answers of equal calls."""
