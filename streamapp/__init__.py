"""Language-model calls in Kafka streams: ordered per key, nothing lost, no call paid twice."""
