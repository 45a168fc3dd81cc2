"""The formats of records on users' topics: plain ones, and those of a schema registry."""
