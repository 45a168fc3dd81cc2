"""The response's bytes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streamapp.errors import InternalError
from streamapp.records.response import Response


@pytest.mark.parametrize(
    "output", [object(), "half \ud800", b"\xff"], ids=["object", "surrogate", "bytes"]
)
def test_an_output_that_is_no_json_is_an_internal_error(output: Any) -> None:
    """A processor's bug ends its record, not the worker, and its output stays out of the error."""
    response = Response(
        id="r",
        type="note",
        output=output,
        model="m",
        provider="p",
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
    )

    with pytest.raises(InternalError, match="'note' returned what is not JSON") as caught:
        response.encode()

    assert caught.value.__context__ is None
