"""The Faust app: life of the worker, consumer, commits, health."""
