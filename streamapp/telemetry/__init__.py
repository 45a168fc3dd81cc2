"""Logs, metrics and traces; names only, never record content."""
