"""The prompt registry on Kafka: its table, its events, examples."""
