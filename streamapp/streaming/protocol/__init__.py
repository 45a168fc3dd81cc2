"""Kafka's messages, encoded and decoded where aiokafka is too slow, or does not know them."""
