"""Rate limits: requests, tokens and concurrency of a provider, told or learned."""
