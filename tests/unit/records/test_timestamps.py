"""Times as people and records write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from streamapp.records.timestamps import moment_of, parse_timestamp, time_text

NOW = 2_000_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", NOW - 90),
        ("30m", NOW - 1_800),
        ("1.5h", NOW - 5_400),
        ("7d", NOW - 604_800),
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00", 3_600),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:01Z", 1),
        ("1700000000.5", 1_700_000_000.5),
    ],
)
def test_moment_is_an_age_a_time_or_seconds(text: str, seconds: float) -> None:
    """Without a zone a time is UTC."""
    assert parse_timestamp(text, now=NOW) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "7w", "-1h", "nan", "1e999", "²s", "9" * 400])
def test_what_is_no_moment_says_what_to_write(text: str) -> None:
    """The message has examples."""
    with pytest.raises(ValueError, match="write an age like 30m"):
        parse_timestamp(text, now=NOW)


@pytest.mark.parametrize("seconds", [-1e12, 1.7e15, 4.6e15, 1e300, float("nan"), float("inf")])
def test_time_of_no_calendar_is_no_moment(seconds: float) -> None:
    """Nanoseconds in place of milliseconds are no reason to end a worker."""
    assert moment_of(seconds) is None


def test_moment_is_in_utc() -> None:
    """A second is a second, before the epoch too."""
    assert moment_of(-1) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2030, 1, 31, 12, 0, 5, 999_999, tzinfo=UTC), "2030-01-31 12:00:05Z"),
        (datetime(2030, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))), "2030-01-30 23:00:00Z"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "-"),
        (None, "-"),
    ],
)
def test_time_for_people_is_in_utc(moment: datetime | None, text: str) -> None:
    """It says its zone, as the log does."""
    assert time_text(moment) == text


def test_time_that_is_shown_can_be_given_back() -> None:
    """What a list shows is taken by ``--since``."""
    assert parse_timestamp(time_text(moment_of(1_700_000_000)), now=NOW) == 1_700_000_000
