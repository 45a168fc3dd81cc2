"""Flows: records of users' topics as requests, and answers as records. No Faust may enter."""
