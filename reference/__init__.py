"""Writes docs/reference/ from the code, so that the two cannot differ; no part of the app."""
