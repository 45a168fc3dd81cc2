"""Faust tables over topics of ours: answers, spend."""
