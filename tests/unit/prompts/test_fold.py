"""What events do to a prompt, one by one and in any order."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import PromptNotFound
from streamapp.prompts.events import (
    Event,
    Labelled,
    Protected,
    Published,
    Retired,
    Split,
    encode,
)
from streamapp.prompts.fold import EventOutcome, Why, fold
from streamapp.prompts.history import History
from streamapp.prompts.prompt import LabelMove, Prompt
from streamapp.prompts.registry import PromptRegistry

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def publish(body: str, **fields: Any) -> Published:
    return Published(body=body, created_at=NOW, **fields)


def label(name: str, version: int, **fields: Any) -> Labelled:
    return Labelled(label=name, version=version, created_at=NOW, **fields)


def split(shares: dict[str, int] | None, **fields: Any) -> Split:
    return Split(shares=shares, created_at=NOW, **fields)


def protect(name: str, *, on: bool = True) -> Protected:
    return Protected(label=name, on=on, created_at=NOW)


def told(*events: Event) -> tuple[Prompt, list[EventOutcome]]:
    """Return what the events make of the prompt 'p', and what became of each."""
    history = History({})
    outcomes = []
    for offset, event in enumerate(events):
        history.apply(offset, b"p", encode(event))
        outcome = history.outcome(offset)
        assert outcome is not None
        outcomes.append(outcome)
    return history.prompts["p"], outcomes


def test_each_content_is_one_version() -> None:
    """A text is a new version once; published again, from anywhere, it is the same one."""
    prompt, outcomes = told(publish("a"), publish("b"), publish("a", author="other"))

    assert [outcome.version for outcome in outcomes] == [1, 2, 1]
    assert [version.body for version in prompt.versions.values()] == ["a", "b"]
    assert prompt.versions[1].author == ""


def test_other_settings_are_another_version() -> None:
    """A version is its text and its settings together."""
    prompt, _ = told(publish("a"), publish("a", settings={"model": "m"}))

    assert [version.settings.model for version in prompt.versions.values()] == [None, "m"]


def test_the_system_sets_production_once_and_latest_always() -> None:
    """The first version goes to production; a later one has to be put there."""
    prompt, _ = told(publish("a"), publish("b"))

    assert prompt.labels == {"production": 1, "latest": 2}


def test_the_last_move_of_a_label_is_known() -> None:
    """From where, by whom and why; what changes nothing is no move, and `latest` goes by itself."""
    by_guard = {"author": "guard", "message": "6 of 6 records failed with version 2"}
    prompt, _ = told(
        publish("a", author="file"),
        publish("b"),
        label("production", 2),
        label("production", 1, expected=2, **by_guard),
        label("production", 1, author="Ada"),
        publish("c", label="candidate", author="Ada"),
    )

    assert prompt.moved == {
        "production": LabelMove(1, 2, created_at=NOW, **by_guard),
        "candidate": LabelMove(3, None, "Ada", "", NOW),
    }


def test_a_publication_can_move_a_label() -> None:
    """A new version takes the label it asks for; an old content asks in vain."""
    prompt, _ = told(
        publish("a"), publish("b", label="production"), publish("a", label="production")
    )

    assert prompt.labels == {"production": 2, "latest": 2}


def test_a_label_is_a_pointer() -> None:
    """Free labels come into being by being set."""
    prompt, _ = told(publish("a"), publish("b"), label("candidate", 2), label("candidate", 1))

    assert prompt.labels["candidate"] == 1


def test_moving_back_forgets_where_the_label_came_from() -> None:
    """Each rollback goes one place further back, and none to where it has just been."""
    events: list[Event] = [publish(body) for body in "abc"]
    prompt, _ = told(*events, label("production", 2), label("production", 3))
    assert prompt.before["production"] == (1, 2)

    prompt, _ = told(
        *events, label("production", 2), label("production", 3), label("production", 2)
    )

    assert prompt.before["production"] == (1,)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (label("latest", 1), Why.INVALID),
        (label("x", 3), Why.UNKNOWN),
        (label("production", 2, expected=2), Why.STALE),
        (split({"production": 90, "candidate": 11}), Why.INVALID),
        (split({"production": 90, "missing": 10}), Why.UNKNOWN),
        (protect("latest"), Why.UNKNOWN),
        (protect("missing"), Why.UNKNOWN),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_makes_no_sense_changes_nothing(event: Event, why: Why) -> None:
    """The prompt stays as it was, and the outcome says why."""
    before, _ = told(publish("a"), publish("b"), label("candidate", 2))

    after, outcome = fold(before, "p", event)

    assert after == before
    assert outcome.why is why
    assert outcome.problem


def test_a_protected_label_moves_by_force_alone() -> None:
    """Neither a move, a split nor a file gets past a protection."""
    prompt, outcomes = told(
        publish("a"),
        protect("production"),
        publish("b", label="production"),
        label("production", 2),
        split({"production": 50, "latest": 50}),
    )
    assert prompt.labels["production"] == 1
    assert [outcome.why for outcome in outcomes[2:]] == [None, Why.PROTECTED, Why.PROTECTED]

    forced, outcome = fold(prompt, "p", label("production", 2, force=True))

    assert forced is not None
    assert forced.labels["production"] == 2
    assert outcome.why is None


def test_a_protection_can_be_taken_away() -> None:
    """Unprotected, the label moves again."""
    prompt, _ = told(
        publish("a"),
        publish("b"),
        protect("production"),
        protect("production", on=False),
        label("production", 2),
    )

    assert prompt.labels["production"] == 2


def test_a_retired_prompt_comes_back_with_a_new_text() -> None:
    """The same text again, as at each start of a worker, does not bring it back."""
    retired = Retired(created_at=NOW)

    same, _ = told(publish("a"), retired, publish("a"))
    new, _ = told(publish("a"), retired, publish("b"))

    assert (same.is_retired, new.is_retired) == (True, False)
    with pytest.raises(PromptNotFound, match="prompt 'p' is retired: a new text, or 'streamapp"):
        PromptRegistry({"p": same}).resolve("p@production", sticky=b"")
    assert PromptRegistry({"p": same}).names == []


def test_missing_label_is_named() -> None:
    """Who mistyped one of several wants to know which."""
    _, outcomes = told(publish("a"), split({"production": 90, "cadnidate": 10}))

    assert outcomes[-1].problem.startswith("there is no label 'cadnidate'; labels: latest, prod")


def test_a_split_ends_by_none() -> None:
    """Without shares a bare name means production again."""
    shares = {"production": 90, "latest": 10}
    assert told(publish("a"), split(shares))[0].split == shares
    assert told(publish("a"), split(shares), split(None))[0].split is None


@pytest.mark.parametrize(
    "event",
    [publish("{{ x.__class__ }}"), publish("a", settings={"modle": "x"})],
    ids=["body", "settings"],
)
def test_a_refused_text_keeps_its_number(event: Event) -> None:
    """Later versions have the same numbers whether or not a release can use this one."""
    prompt, outcomes = told(publish("a"), event, event, publish("c"))

    assert [outcome.why for outcome in outcomes] == [None, Why.INVALID, Why.INVALID, None]
    assert sorted(prompt.versions) == [1, 3]
    assert prompt.labels == {"production": 1, "latest": 3}


def test_a_first_text_that_is_refused_leaves_production_to_the_next() -> None:
    """Production is the first version that can be used."""
    prompt, _ = told(publish("{{ x.y }}"), publish("b"))

    assert prompt.labels == {"production": 2, "latest": 2}


_LABELS = st.sampled_from(["production", "latest", "candidate", "x"])
_NUMBERS = st.integers(1, 5)
_SHARES = st.dictionaries(_LABELS, st.sampled_from([10, 50, 90, 100]), max_size=3)
EVENTS = st.one_of(
    st.builds(
        publish, st.sampled_from(["a", "b", "c", "d", "{{ x.y }}"]), label=st.none() | _LABELS
    ),
    st.builds(label, _LABELS, _NUMBERS, expected=st.none() | _NUMBERS, force=st.booleans()),
    st.builds(split, st.none() | _SHARES, force=st.booleans()),
    st.builds(protect, _LABELS, on=st.booleans()),
)


@given(st.lists(EVENTS, max_size=30))
def test_any_history_keeps_the_promises(events: list[Event]) -> None:
    """Versions never change, labels point at something, shares sum up, refusals change nothing."""
    prompt: Prompt | None = None
    for event in events:
        before = prompt
        prompt, outcome = fold(prompt, "p", event)
        if prompt is None:
            continue
        if before is not None:
            for number, version in before.versions.items():
                assert prompt.versions[number] is version
            assert before.labels.keys() <= prompt.labels.keys()
            for name in before.protected & prompt.protected - {"latest"}:
                moved = before.labels[name] != prompt.labels[name]
                assert not moved or getattr(event, "force", False)
            if outcome.why and not isinstance(event, Published):
                assert prompt == before
        assert set(prompt.labels.values()) <= prompt.versions.keys()
        if prompt.versions:
            assert prompt.labels["latest"] == max(prompt.versions)
            assert "production" in prompt.labels
        if prompt.split is not None:
            assert sum(prompt.split.values()) == 100
            assert prompt.split.keys() <= prompt.labels.keys()
        bodies = [version.body for version in prompt.versions.values()]
        assert len(bodies) == len(set(bodies))
