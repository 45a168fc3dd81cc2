"""Durable steps: numbered calls of one record, their stored results and their sums."""
