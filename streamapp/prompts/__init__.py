"""Versioned prompt templates; no Faust, no provider may enter."""
