"""The topic as every reader tells it: in its order, whatever is on it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamapp.prompts.events import DeadLettered, Event, encode
from streamapp.prompts.history import OUTCOMES_KEPT, History
from tests.unit.prompts.test_fold import EVENTS, NOW, publish

RAW = st.tuples(st.sampled_from([b"p", b"q"]), EVENTS.map(encode)) | st.tuples(
    st.none() | st.binary(max_size=5), st.none() | st.binary(max_size=20)
)


def read(*events: tuple[bytes | None, bytes | None]) -> History:
    history = History({})
    for offset, event in enumerate(events):
        history.apply(offset, *event)
    return history


@given(st.lists(RAW, max_size=20), st.data())
def test_readers_agree_whatever_is_delivered_twice(
    events: list[tuple[bytes | None, bytes | None]], data: st.DataObject
) -> None:
    """A reader that gets parts of the topic again ends where one that got it once ends."""
    once, again = read(*events), History({})
    for offset, event in enumerate(events):
        for earlier in range(data.draw(st.integers(0, offset)), offset + 1):
            again.apply(earlier, *events[earlier])
        again.apply(offset, *event)

    assert _shown(again) == _shown(once)
    assert again.invalid == once.invalid
    assert again.position == once.position == len(events)


def _shown(history: History) -> dict[str, Any]:
    return {name: prompt.to_json() for name, prompt in history.prompts.items()}


def test_garbage_is_kept_aside_and_the_next_event_applied() -> None:
    """Bytes, tombstones, bad names, deep JSON and unknown types break nothing."""
    garbage = [
        (b"p", b"\xff\x00"),
        (b"p", None),
        (None, encode(publish("a"))),
        (b"../etc", encode(publish("a"))),
        (b"p", b"[" * 10_000),
        (b"p", b'{"type":"published","body":"b","created_at":"2030-01-01T00:00:00Z",'
         b'"settings":{"output_schema":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}}"),
        (b"p", b'{"type":"erased"}'),
        (b"p", b'{"type":"published","body":"canary-4711"}'),
    ]  # fmt: skip

    history = read(*garbage, (b"p", encode(publish("good"))))

    assert sorted(history.invalid) == list(range(len(garbage)))
    assert [version.body for version in history.prompts["p"].versions.values()] == ["good"]
    assert "canary" not in str([invalid.problem for invalid in history.invalid.values()])


def test_an_event_of_a_later_release_is_read_as_far_as_it_is_known() -> None:
    """A field that this release does not know is skipped."""
    value = encode(publish("a"))[:-1] + b',"new_field":1}'

    assert read((b"p", value)).prompts["p"].labels == {"production": 1, "latest": 1}


def test_what_is_dead_lettered_is_no_longer_pending() -> None:
    """A dead letter is written once, not at every start."""
    dead_lettered: Event = DeadLettered(offset=0, created_at=NOW)

    assert read((b"p", b"garbage"), (b"p", encode(dead_lettered))).invalid == {}


def test_outcomes_are_kept_for_a_while() -> None:
    """Whoever wrote an event learns its fate; old fates are forgotten."""
    history = read(*[(b"p", encode(publish("a")))] * (OUTCOMES_KEPT + 1))

    assert history.outcome(0) is None
    last = history.outcome(OUTCOMES_KEPT)
    assert last is not None
    assert last.version == 1
