"""Kafka's messages, encoded and decoded where aiokafka's own way is too slow."""
