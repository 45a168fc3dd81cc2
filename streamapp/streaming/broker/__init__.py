"""The broker: topics, security, access rights, and why it refuses."""
