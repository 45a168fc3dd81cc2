"""HTTP: Faust views over the same `processors -> llm` path as records. No topic may enter."""
