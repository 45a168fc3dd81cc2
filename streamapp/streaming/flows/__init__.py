"""Flows on Kafka: their topics, where they begin, and what a record becomes there."""
