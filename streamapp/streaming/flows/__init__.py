"""Flows on Kafka: their topics, first offsets, handlers and outlets."""
