"""Where an error came from, and nothing of what it says."""

import re
from collections.abc import Callable

import pytest

from streamapp.telemetry.frames import frames, without_frames

CANARY = "canary-7f3a"


def fail() -> None:
    raise ValueError(CANARY)


def fail_because() -> None:
    try:
        fail()
    except ValueError as error:
        raise KeyError(CANARY) from error


def fail_together() -> None:
    try:
        fail()
    except ValueError as error:
        raise ExceptionGroup(CANARY, [error]) from None


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (fail, ["ValueError:"]),
        (fail_because, ["KeyError:", "ValueError:"]),
        (fail_together, ["ExceptionGroup:", "ValueError:"]),
    ],
)
def test_names_and_places_are_told(broken: Callable[[], None], names: list[str]) -> None:
    """Each error of the chain or group is named with its lines, and none is quoted."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of several kinds
        broken()

    text = frames(caught.value)

    assert [line for line in text.splitlines() if not line.startswith(" ")] == names
    assert re.search(r"telemetry/test_frames\.py:\d+ in fail$", text, re.MULTILINE)
    assert CANARY not in text


def test_no_error_has_no_frames() -> None:
    """A failure without a cause has nothing to add."""
    assert frames(None) == ""


@pytest.mark.parametrize("broken", [fail, fail_because, fail_together])
def test_error_that_was_handled_holds_no_frames(broken: Callable[[], None]) -> None:
    """Nor do those that led to it, or that it groups."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of several kinds
        broken()

    without_frames(caught.value)

    assert " in " not in frames(caught.value)


def test_errors_that_led_to_each_other_hold_no_frames() -> None:
    """A circle of them has an end."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__context__ = second, first

    without_frames(first)

    assert (first.__traceback__, second.__traceback__) == (None, None)
