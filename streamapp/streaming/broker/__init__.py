"""The broker: topics, security, access rights, and the diagnosis of its refusals."""
