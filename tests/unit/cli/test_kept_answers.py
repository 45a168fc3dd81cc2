"""What is told of an answer that a worker of several keeps: nothing that another would not keep."""

import time
from collections.abc import Sequence

import pytest

from streamapp.cli.kept_answers import KeptAnswer, SharedAnswers, WorkerPartitions
from streamapp.errors import StreamappError
from tests.unit.llm.calls import chat

TWO = WorkerPartitions({"a": [0, 1], "b": [2, 3]}, 4)
CALL = chat().but(fingerprint="f")


def key_for(url: str, *, number: int = 0) -> bytes:
    """Return a key whose records come to a worker; another one for each number."""
    keys = (b"%d" % one for one in range(1_000))
    return [key for key in keys if TWO.of(key) == url][number]


def answers(
    *kept: tuple[str, str], workers: WorkerPartitions = TWO, age_s: float = 0.0
) -> SharedAnswers:
    """Return what is told where workers keep the answer, by address and tier."""

    async def asked(fingerprint: str) -> Sequence[KeptAnswer]:
        return [KeptAnswer(url, tier, time.time() - age_s) for url, tier in kept]

    return SharedAnswers(ttl_s=60, kept=asked, workers=workers)


@pytest.mark.parametrize(
    ("kept", "owner", "word"),
    [
        ([("a", "memory")], "a", "hit"),
        ([("a", "table")], "b", "miss"),
        ([("a", "memory")], "", "possible"),
        ([("a", "memory"), ("b", "table")], "", "hit"),
        ([("a", "redis")], "b", "hit"),
        ([], "a", "miss"),
    ],
    ids=["own", "others", "unknown", "all", "common", "nobodys"],
)
async def test_a_hit_is_what_the_worker_of_the_record_keeps(
    kept: list[tuple[str, str]], owner: str, word: str
) -> None:
    """Its partition's; without a key any worker may answer, and all have to keep it."""
    key = key_for(owner) if owner else None

    assert (await answers(*kept).word(CALL, line=1, key=key)).word == word


async def test_what_others_keep_is_told_beside_the_word() -> None:
    """Who sees a miss knows that another partition's record would be free."""
    kept = answers(("a", "memory"))

    other = await kept.word(CALL, line=1, key=key_for("b"))
    unknown = await answers(("a", "memory")).word(CALL, line=1, key=None)

    assert other.note == "kept by another worker than the one of the record's partition"
    assert unknown.note == "kept by 1 of 2 workers; to which one the record comes is not known"


async def test_what_is_too_old_is_kept_by_nobody() -> None:
    """It would not be taken."""
    kept = answers(("a", "memory"), age_s=61)

    assert await kept.word(CALL, line=1, key=key_for("a")) == ("miss", "")


async def test_an_earlier_line_pays_for_those_of_its_worker() -> None:
    """Each worker pays for itself; a record of which the worker is not known may be free."""
    none = answers()
    lines = [key_for("a"), key_for("a", number=1), key_for("b"), key_for("b", number=1), None]

    words = [await none.word(CALL, line=n, key=key) for n, key in enumerate(lines, 1)]

    assert [one.word for one in words] == ["miss", "line 1", "possible", "line 3", "possible"]
    assert words[2].note.startswith("line 1 asks the same, and pays for both where one worker")


async def test_without_the_number_of_partitions_no_worker_is_known() -> None:
    """So nothing is promised; of a single worker there is nothing to know."""
    workers = WorkerPartitions(TWO.partitions, None)

    kept = answers(("a", "memory"), workers=workers)
    assert (await kept.word(CALL, line=1, key=b"k")).word == "possible"
    assert WorkerPartitions({"a": []}, None).of(None) == "a"


async def test_workers_that_do_not_answer_any_more_promise_nothing() -> None:
    """As in a rebalance."""

    async def refuses(fingerprint: str) -> Sequence[KeptAnswer]:
        raise StreamappError("no worker is asked")

    shared = SharedAnswers(ttl_s=60, kept=refuses, workers=TWO)

    assert await shared.word(CALL, line=1, key=key_for("a")) == ("possible", "")
    assert (await SharedAnswers(ttl_s=0).word(CALL, line=1, key=None)).word == "off"
