"""The bound on repeated lines."""

import logging

import pytest

from streamapp.telemetry.repeats import RepeatLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def line(message: object, *, name: str = "lib", level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file.py", 1, message, (), None)


def test_repeats_beyond_the_limit_are_held_back() -> None:
    """Of one template, digits aside, only the first lines of a period pass."""
    limit = RepeatLimit(3, 10, clock=Clock())

    passed = [limit.filter(line(f"Unable to connect to node {n}")) for n in range(5)]

    assert passed == [True, True, True, False, False]


def test_next_period_tells_how_many_were_held_back() -> None:
    """The first line after a period with held-back ones carries their number, the next not."""
    clock = Clock()
    limit = RepeatLimit(2, 10, clock=clock)
    for _ in range(7):
        limit.filter(line("gone"))

    clock.now = 10
    first, second = line("gone"), line("gone")

    assert [limit.filter(first), limit.filter(second)] == [True, True]
    assert vars(first)["suppressed"] == 5
    assert not hasattr(second, "suppressed")


def test_templates_loggers_and_levels_have_their_own_bound() -> None:
    """A noisy line never hides another one."""
    limit = RepeatLimit(1, 10, clock=Clock())
    records = [
        line("gone"),
        line("back"),
        line("gone", name="other"),
        line("gone", level=logging.WARNING),
        line({"event": "gone too", "port": 1}),
    ]

    assert all(limit.filter(record) for record in records)
    assert not limit.filter(line({"event": "gone too", "port": 2}))


@pytest.mark.parametrize(
    ("message", "name"),
    [("Unable to connect", "client.conn"), ({"event": "log.not_read", "retry_in_s": 1}, "ours")],
    ids=["a client's", "ours"],
)
def test_line_of_one_try_of_many_passes_once_a_minute(message: object, name: str) -> None:
    """What is tried again and again fills no log, also where one of many brokers is away."""
    clock = Clock()
    limit = RepeatLimit(retrying=["client"], retry_period_s=60, clock=clock)

    passed = []
    for _ in range(120):
        passed.append(limit.filter(line(message, name=name)))
        clock.now += 1

    assert [second for second, did_pass in enumerate(passed) if did_pass] == [0, 60]


def test_debug_lines_are_never_held_back() -> None:
    """Who asks for DEBUG gets every line."""
    limit = RepeatLimit(1, 10, clock=Clock())

    assert all(limit.filter(line("record", level=logging.DEBUG)) for _ in range(5))


def test_memory_is_bounded_when_every_line_is_new() -> None:
    """Ended periods are forgotten once too many templates are remembered."""
    clock = Clock()
    limit = RepeatLimit(1, 10, clock=clock, max_templates=10)

    for word in map(str.join, "abcdefghijklmnopqrstuvwxyz", ["xyz"] * 26):
        clock.now += 5
        limit.filter(line(word))

    assert len(limit._windows) <= 10
