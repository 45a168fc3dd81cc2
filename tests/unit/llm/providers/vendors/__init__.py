"""The shapes of all vendors, each with its source."""

from tests.unit.llm.providers.vendors import (
    hosted,
    more_errors,
    odd_answers,
    odd_errors,
    open_models,
)

SHAPES = (
    *hosted.SHAPES,
    *open_models.SHAPES,
    *odd_answers.SHAPES,
    *odd_errors.SHAPES,
    *more_errors.SHAPES,
)
