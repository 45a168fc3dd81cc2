"""The writes to Kafka for a record: ledger entry, chunks, outcome, usage."""
