"""The Faust app: life of the worker, its health, its metrics, and the watches over it."""
