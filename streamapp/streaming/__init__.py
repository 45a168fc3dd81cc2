"""Faust's side: topics, the in-flight window, the ledger, the emitter and the app's life."""
