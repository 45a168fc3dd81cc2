"""Errors of vendors, read by what they mean."""
