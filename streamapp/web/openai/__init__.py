"""OpenAI's paths, so that any client of theirs works with our ``base_url`` alone."""
