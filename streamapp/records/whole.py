"""Whole numbers as JSON has them, where 100 and 100.0 are one number.

Some clients have no other numbers than those with a fraction, and write 100.0.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def as_whole(value: Any) -> Any:
    """Return a number without a fraction as whole; everything else as it is."""
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE = BeforeValidator(as_whole)
Whole = Annotated[int, WHOLE]
#: From 1 on, and no larger than every reader of JSON can tell from its neighbours.
Positive = Annotated[int, Field(gt=0, le=2**53), WHOLE]
#: What a signed number of 64 bits holds.
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), WHOLE]
