"""Patterns of schemas, matched in linear time; those with look-around within a bound."""

from collections.abc import Callable

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

#: Steps back that a pattern with look-around may take on one text.
_STEPS = 50_000
#: Longest text for such a pattern, characters: each step may read all of it.
_LOOK_AROUND_CHARS = 2_048


class PatternError(ValueError):
    """Neither engine can match such a pattern."""


class PatternCost(Exception):
    """A match took more steps than are allowed."""


def compiled_pattern(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a text holds ``pattern``.

    Rust's linear engine knows no look-around, which pydantic writes for decimals; those go to
    an engine that counts its steps.

    Raises:
        PatternError: It is no pattern.
    """
    try:
        linear = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        return _bounded(pattern)

    def matches(text: str) -> bool:
        try:
            linear.validate_python(text)
        except ValidationError:
            return False
        return True

    return matches


def _bounded(pattern: str) -> Callable[[str], bool]:
    # 3 MB that a worker without such patterns does without.
    import jsonschema_rs

    mismatch = jsonschema_rs.ValidationErrorKind.Pattern
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=_STEPS)
    try:
        validator = jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=options)
    except ValueError:
        # Without its cause, which holds the pattern.
        raise PatternError from None

    def matches(text: str) -> bool:
        if len(text) > _LOOK_AROUND_CHARS:
            raise PatternCost
        errors = list(validator.iter_errors(text))
        if not all(isinstance(error.kind, mismatch) for error in errors):
            raise PatternCost
        return not errors

    return matches
