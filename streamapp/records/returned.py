"""What code of users returns, as JSON: pydantic alone would write NaN and infinity as null."""

from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from streamapp.records.codec import is_finite


def as_values(value: Any) -> Any:
    """Return a value in JSON's own types.

    Raises:
        ValueError: It has none, or holds a number that JSON has not.
    """
    return _finite(to_jsonable_python(value, inf_nan_mode="constants"))


def as_json(
    value: Any, adapter: TypeAdapter[Any], *, warnings: bool | Literal["error"] = False
) -> bytes:
    """Return a value as an annotation writes it; raises as `as_values`."""
    data = adapter.dump_json(value, warnings=warnings)
    if any(word in data for word in (b"null", b"NaN", b"Infinity")):
        # What the annotation alone can write has no numbers that we could look at.
        _finite(to_jsonable_python(value, inf_nan_mode="constants", fallback=_nothing))
    return data


def _finite(value: Any) -> Any:
    if is_finite(value):
        return value
    raise ValueError("NaN and infinity are not JSON")


def _nothing(value: Any) -> None:
    return None
