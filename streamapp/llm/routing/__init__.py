"""Routes: which targets a model name stands for, with retries, fallbacks and breakers."""
