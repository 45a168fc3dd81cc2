"""Faust views: the same processors and models, over HTTP."""
