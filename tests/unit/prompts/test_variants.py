"""What versions came to, and what the guard makes of it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from streamapp.cli.prompt_stats import _cost
from streamapp.errors import ContextLengthExceeded, OutputInvalid, RetriesExhausted
from streamapp.prompts.events import Event, Labelled
from streamapp.prompts.guard import Guard
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.variants import Variant, Variants, merged
from streamapp.records.response import PromptUse, Response, Usage
from tests.unit.prompts.test_fold import label, publish, told

NOW = datetime(2030, 1, 1, tzinfo=UTC)
GUARDED = {"guard": {"calls": 4, "error_rate": 0.25}}


def answer(version: int = 1, label: str | None = "production") -> Response:
    return Response(
        id="r",
        type="t",
        output="x",
        model="m",
        provider="p",
        prompt=PromptUse(name="p", version=version, label=label),
        usage=Usage(input_tokens=10, output_tokens=2),
        cost_usd=Decimal("0.01"),
        duration_s=0.5,
        created_at=NOW,
    )


def test_each_version_and_label_is_counted_by_itself() -> None:
    """Calls, errors, invalid outputs, tokens, cost and latency."""
    variants = Variants()
    for _ in range(2):
        variants.answered(answer())
    variants.failed("p", 1, "production", OutputInvalid("x"))
    variants.failed("p", 1, "production", RetriesExhausted("x"))
    variants.answered(answer(2, None))
    variants.answered(answer().model_copy(update={"prompt": None}))

    first, second = (variant.to_json() for variant in variants.of("p"))

    assert first == {
        "version": 1,
        "label": "production",
        "calls": 4,
        "errors": 2,
        "faults": 1,
        "invalid_outputs": 1,
        "cached": 0,
        "input_tokens": 20,
        "output_tokens": 4,
        "cost_usd": "0.02",
        "duration_s": 1.0,
        "unpriced": 0,
        "mean_duration_s": 0.5,
    }
    assert (second["version"], second["label"], second["calls"]) == (2, None, 1)
    assert variants.of("other") == []


def test_the_counts_of_workers_add_up() -> None:
    """What travels between workers as JSON is summed by version and label."""
    mine, theirs = Variants(), Variants()
    mine.answered(answer(2))
    mine.answered(answer(1))
    theirs.answered(answer(2))

    found = merged([*mine.of("p"), *(Variant.from_json(one.to_json()) for one in theirs.of("p"))])

    assert [(one.version, one.calls, one.cost_usd) for one in found] == [
        (1, 1, Decimal("0.01")),
        (2, 2, Decimal("0.02")),
    ]


def guarded(*events: Event) -> tuple[Prompt, Variants, Guard]:
    prompt, _ = told(publish("a"), publish("b", settings=GUARDED), *events)
    variants = Variants()
    return prompt, variants, Guard(variants, now=lambda: NOW)


def moves(guard: Guard, prompt: Prompt) -> list[Labelled]:
    return [move for _, move in guard.rollbacks({"p": prompt})]


def fail(variants: Variants, version: int = 2, times: int = 1) -> None:
    for _ in range(times):
        variants.failed("p", version, "production", ContextLengthExceeded("x", provider="p"))


def test_the_guard_moves_a_label_back_from_a_failing_version() -> None:
    """Past the bound over enough records the label goes to where it was, even if protected."""
    prompt, variants, guard = guarded(label("production", 2))
    assert moves(guard, prompt) == []
    for _ in range(3):
        variants.answered(answer(2))
    fail(variants)
    assert moves(guard, prompt) == []  # 1 of 4 is the bound itself

    fail(variants)

    [move] = moves(guard, prompt)
    assert (move.label, move.version, move.expected, move.force) == ("production", 1, 2, True)
    assert (move.author, move.message) == ("guard", "2 of 5 records failed with version 2")


def test_the_guard_counts_what_failed_before_its_first_look() -> None:
    """A batch right behind the publication may be all there is until the next day."""
    prompt, variants, guard = guarded(label("production", 2))

    fail(variants, times=4)

    assert [move.version for move in moves(guard, prompt)] == [1]


def test_the_guard_waits_for_enough_records() -> None:
    """One failure of one record is no rate."""
    prompt, variants, guard = guarded(label("production", 2))
    moves(guard, prompt)

    fail(variants, times=3)

    assert moves(guard, prompt) == []


def test_the_guard_counts_anew_when_a_label_comes_again() -> None:
    """Who puts the version back by hand gets a new chance for it."""
    prompt, variants, guard = guarded(label("production", 2))
    back, _ = told(
        publish("a"), publish("b", settings=GUARDED), label("production", 2), label("production", 1)
    )
    moves(guard, prompt)
    fail(variants, times=4)
    assert len(moves(guard, prompt)) == 1

    moves(guard, back)
    fail(variants, times=4)  # what was on its way by it

    assert moves(guard, prompt) == []
    fail(variants, times=4)
    assert len(moves(guard, prompt)) == 1


def test_the_guard_leaves_outages_alone() -> None:
    """A provider that is down is no fault of a text."""
    prompt, variants, guard = guarded(label("production", 2))
    moves(guard, prompt)

    for _ in range(9):
        variants.failed("p", 2, "production", RetriesExhausted("x"))

    assert moves(guard, prompt) == []


def test_the_guard_moves_a_new_label_to_production() -> None:
    """A candidate that was never elsewhere stops failing its share of the records."""
    prompt, variants, guard = guarded(label("candidate", 2))
    moves(guard, prompt)
    for _ in range(4):
        variants.failed("p", 2, "candidate", ContextLengthExceeded("x", provider="p"))

    [move] = moves(guard, prompt)

    assert (move.label, move.version, move.expected) == ("candidate", 1, 2)


def test_the_guard_has_nowhere_to_go_from_the_first_version() -> None:
    """Without an earlier place the label stays; without a guard nothing is watched."""
    prompt, _ = told(publish("a", settings=GUARDED), publish("b"), label("candidate", 2))
    variants = Variants()
    guard = Guard(variants, now=lambda: NOW)
    moves(guard, prompt)

    fail(variants, version=1, times=9)

    assert moves(guard, prompt) == []


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        (["0.01", "0.02"], "0.03"),
        (["0.01", None], "0.01 + 1 unknown"),
        ([None, None], "unknown"),
    ],
)
def test_unknown_price_is_no_zero(costs: list[str | None], told: str) -> None:
    """What some records cost is not what all of them cost."""
    variants = Variants()
    for cost in costs:
        usd = None if cost is None else Decimal(cost)
        variants.answered(answer().model_copy(update={"cost_usd": usd}))
    variants.failed("p", 1, "production", OutputInvalid("x"))

    [variant] = variants.of("p")

    assert _cost(variant.to_json()) == told
    older = {name: value for name, value in variant.to_json().items() if name != "unpriced"}
    assert Variant.from_json(older).unpriced == 0
