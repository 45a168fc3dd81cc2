"""Prices, bills and budgets of calls."""
