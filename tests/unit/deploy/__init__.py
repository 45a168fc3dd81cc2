"""What is in deploy/, read and judged without running it."""
