"""Structured output: JSON Schemas, and answers that must fit them."""
