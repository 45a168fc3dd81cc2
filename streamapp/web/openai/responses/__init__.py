"""OpenAI's responses, without state: the items of a request, and those of its answer."""
