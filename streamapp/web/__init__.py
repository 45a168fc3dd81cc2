"""HTTP: Faust views on the same `processors -> llm` way as records. No topic may enter."""
