"""What several workers together know of an id."""

import orjson
import pytest

from streamapp.streaming.delivery.request_status import (
    HEADER,
    PartitionOffset,
    RequestStatus,
    Status,
    merged,
)

OK = RequestStatus(status=Status.OK, body=b"{}", digest="d")
DEAD = RequestStatus(status=Status.DEAD, kind="expired", digest="d", place=PartitionOffset(0, 5))


def pending(*place: int) -> RequestStatus:
    return RequestStatus(status=Status.PENDING, place=PartitionOffset(*place) if place else None)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], Status.UNKNOWN),
        ([RequestStatus(), pending(0, 5), OK], Status.OK),
        ([pending(1, 9), DEAD], Status.DEAD),
        ([RequestStatus(), pending()], Status.PENDING),
        ([pending(0, 5), RequestStatus(committed={0: 5})], Status.PENDING),
        ([pending(0, 5), RequestStatus(committed={0: 6})], Status.UNKNOWN),
        ([pending(0, 5), RequestStatus(committed={1: 9})], Status.PENDING),
        ([DEAD, pending(0, 6)], Status.PENDING),
        ([DEAD, pending(0, 6), RequestStatus(committed={0: 7})], Status.DEAD),
    ],
    ids=[
        "nobody",
        "answered before all",
        "dead before pending",
        "taken",
        "written, not committed",
        "committed past it, forgotten since",
        "another partition's commit",
        "sent again after a dead letter",
        "the second one finished too",
    ],
)
def test_words_are_merged(words: list[RequestStatus], status: Status) -> None:
    """An outcome counts before a wait, and a wait only until its partition is committed past it."""
    assert merged(words).status is status


@pytest.mark.parametrize("word", [OK, DEAD, pending(3, 4), RequestStatus(committed={1: 2, 3: 4})])
def test_word_travels_in_a_header(word: RequestStatus) -> None:
    """What one worker says is what another one reads."""
    assert RequestStatus.of(word.headers(), word.body) == word


def test_steps_travel_in_the_body() -> None:
    """They may be many, and headers are short; of two waiting ones the one that runs counts."""
    steps = [{"number": "1", "kind": "model"}]
    word = RequestStatus(status=Status.PENDING, steps=steps)

    told = RequestStatus.of(word.headers(), orjson.dumps({"id": "a", "steps": steps}))

    assert told == word
    assert merged([pending(0, 5), told, pending(0, 5)]).steps == steps


@pytest.mark.parametrize("headers", [{}, {HEADER: "x"}, {HEADER: "{}"}, {HEADER: "[]"}])
def test_stranger_is_no_worker(headers: dict[str, str]) -> None:
    """What is not a worker's word is refused, not guessed at."""
    with pytest.raises(ValueError, match=r".*"):
        RequestStatus.of(headers, b"")
