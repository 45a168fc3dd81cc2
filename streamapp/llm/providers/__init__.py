"""One file per vendor, each behind ``LLMProvider``; nothing vendor-shaped leaves this package."""
