"""Answers kept for equal calls."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from streamapp.errors import OutputInvalid
from streamapp.llm.caching.cache import Cached, decode, encode
from streamapp.llm.completion import Call, Completion
from streamapp.llm.schemas.schema import Schemas
from streamapp.records.response import Response, Usage
from tests.fakes import FakeClock, FakeProvider, TakenChunks
from tests.unit.llm.calls import LABELS, chat, embeddings

TTL_S = 60.0


class DictTier:
    """Keeps values without any bound."""

    def __init__(self, name: str = "dict") -> None:
        self.name = name
        self.values: dict[str, bytes] = {}
        self.ttls_s: dict[str, float] = {}

    async def get(self, fingerprint: str) -> bytes | None:
        return self.values.get(fingerprint)

    async def set(self, fingerprint: str, value: bytes, *, ttl_s: float) -> None:
        self.values[fingerprint] = value
        self.ttls_s[fingerprint] = ttl_s

    async def aclose(self) -> None:
        self.values.clear()


@pytest.fixture
def near() -> DictTier:
    """The tier asked first."""
    return DictTier("near")


@pytest.fixture
def far() -> DictTier:
    """The tier asked last."""
    return DictTier("far")


@pytest.fixture
def lookups() -> list[tuple[str, bool]]:
    """What was heard of look-ups."""
    return []


@pytest.fixture
def cached(
    llm: FakeProvider,
    near: DictTier,
    far: DictTier,
    clock: FakeClock,
    lookups: list[tuple[str, bool]],
) -> Cached:
    """Two tiers around the fake provider."""
    return Cached(
        llm,
        tiers=(near, far),
        ttl_s=TTL_S,
        schemas=Schemas(),
        now=clock,
        on_lookup=lambda tier, is_hit: lookups.append((tier, is_hit)),
    )


def known(call: Call, fingerprint: str = "f") -> Call:
    return replace(call, fingerprint=fingerprint)


async def test_second_call_is_answered_from_the_cache(cached: Cached, llm: FakeProvider) -> None:
    """An equal call costs nothing: no call, no attempts, no tokens, no money."""
    first = await cached.complete(known(chat()))
    second = await cached.complete(known(chat()))

    assert len(llm.history) == 1
    assert (first.cached, first.fingerprint) == (False, "f")
    assert (second.cached, second.fingerprint, second.attempts) == (True, "", 0)
    assert (second.usage, second.cost_usd) == (Usage(), Decimal(0))
    assert (second.output, second.model, second.provider, second.finish_reason) == (
        "answer to: hello",
        "m",
        "fake",
        "stop",
    )


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (chat(output_schema=LABELS), Completion(output={"label": "good"}, model="m", provider="p")),
        (
            embeddings("a", "b"),
            Completion(output=[[1.0], [0.5]], model="m", provider="p", finish_reason=None),
        ),
    ],
    ids=["object", "vectors"],
)
async def test_every_kind_of_answer_is_kept(
    call: Call, answer: Completion, cached: Cached, llm: FakeProvider
) -> None:
    """Objects and vectors come back equal, and as a copy of its own for each call."""
    llm.enqueue(answer)
    await cached.complete(known(call))

    second = await cached.complete(known(call))
    third = await cached.complete(known(call))

    assert second.output == third.output == answer.output
    assert second.output is not third.output
    assert len(llm.history) == 1


async def test_call_without_a_fingerprint_passes(cached: Cached, llm: FakeProvider) -> None:
    """A call that is not to be shared is neither looked up nor kept."""
    for _ in range(2):
        completion = await cached.complete(chat())
        assert completion.fingerprint == ""

    assert len(llm.history) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Completion(output="cut", model="m", provider="p", finish_reason="length"),
        Completion(output="odd", model="m", provider="p", finish_reason=None),
        Completion(output="merged", model="m", provider="p", cached=True),
        Completion(output="cheaper", model="m", provider="p", is_substitute=True),
        Completion(output="", model="m", provider="p"),
        Completion(output=" \n", model="m", provider="p"),
    ],
    ids=lambda completion: repr(completion.output),
)
async def test_incomplete_answer_is_not_kept(
    answer: Completion, cached: Cached, llm: FakeProvider, near: DictTier
) -> None:
    """An answer that did not end by itself, or that is not ours to keep, is not kept."""
    llm.enqueue(answer)

    completion = await cached.complete(known(chat()))

    assert completion == answer
    assert near.values == {}


async def test_error_is_not_kept(cached: Cached, llm: FakeProvider) -> None:
    """After an error the next call is made."""
    llm.enqueue(OutputInvalid("no"))
    with pytest.raises(OutputInvalid):
        await cached.complete(known(chat()))

    assert not (await cached.complete(known(chat()))).cached


@pytest.mark.parametrize(("own_s", "kept_s"), [(None, TTL_S), (5.0, 5.0)])
async def test_answer_is_kept_for_its_time(
    own_s: float | None, kept_s: float, cached: Cached, clock: FakeClock, near: DictTier
) -> None:
    """An answer expires after the default time or the call's own, whatever a tier does."""
    call = known(chat(cache_ttl_s=own_s))
    await cached.complete(call)

    clock.advance(kept_s - 1)
    assert (await cached.complete(call)).cached
    clock.advance(1)
    assert not (await cached.complete(call)).cached
    assert near.ttls_s["f"] == kept_s


async def test_nearer_tier_gets_what_a_farther_one_has(
    cached: Cached, near: DictTier, far: DictTier, clock: FakeClock, lookups: list[Any]
) -> None:
    """A hit is given to the tiers before it, for the time that is left."""
    await cached.complete(known(chat()))
    near.values.clear()
    clock.advance(20)
    lookups.clear()

    await cached.complete(known(chat()))
    await cached.complete(known(chat()))

    assert near.ttls_s["f"] == TTL_S - 20
    assert lookups == [("near", False), ("far", True), ("near", True)]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"not json",
        b"[]",
        b'{"output": "a"}',
        orjson.dumps({"output": "a", "model": "m", "provider": "p", "finish_reason": "stop"}),
        encode(Completion(output=7, model="m", provider="p"), created_at=1e9),
        encode(
            Completion(output="a", model="m", provider="p", finish_reason="length"),
            created_at=1e9,
        ),
        orjson.dumps(
            {
                "output": "a",
                "model": "m",
                "provider": "p",
                "finish_reason": "stop",
                "created_at": "soon",
            }
        ),
    ],
)
async def test_damaged_entry_is_a_miss(
    value: bytes, cached: Cached, llm: FakeProvider, near: DictTier
) -> None:
    """What somebody else wrote into a tier is not believed; the call replaces it."""
    near.values["f"] = value

    completion = await cached.complete(known(chat()))

    assert len(llm.history) == 1
    assert completion.output == "answer to: hello"
    assert near.values["f"] != value


async def test_entry_that_does_not_fit_the_schema_is_a_miss(
    cached: Cached, llm: FakeProvider, near: DictTier
) -> None:
    """An answer found is checked against the call's schema, as one from a provider is."""
    wrong = Completion(output={"label": "other"}, model="m", provider="p")
    near.values["f"] = encode(wrong, created_at=1e9)
    llm.enqueue(replace(wrong, output={"label": "good"}))

    completion = await cached.complete(known(chat(output_schema=LABELS)))

    assert completion.output == {"label": "good"}


async def test_vectors_of_other_inputs_are_a_miss(cached: Cached, near: DictTier) -> None:
    """An answer with another number of vectors is none."""
    wrong = Completion(output=[[1.0]], model="m", provider="p", finish_reason=None)
    near.values["f"] = encode(wrong, created_at=1e9)

    assert not (await cached.complete(known(embeddings("a", "b")))).cached


async def test_cached_answer_is_one_piece(cached: Cached, llm: FakeProvider) -> None:
    """A streamed call that hits gets its answer as one chunk; an object as its JSON."""
    text, value = TakenChunks(), TakenChunks()
    llm.enqueue("text", Completion(output={"label": "bad"}, model="m", provider="p"))
    for call in (known(chat()), known(chat(output_schema=LABELS), "g")):
        await cached.complete(call)

    await cached.complete(known(chat(chunks=text)))
    await cached.complete(known(chat(output_schema=LABELS, chunks=value), "g"))

    assert text.texts == ["text"]
    assert text.is_cached
    assert value.texts == ['{"label":"bad"}']


@pytest.mark.parametrize(("age_s", "is_given"), [(-5, True), (TTL_S - 1, True), (TTL_S, False)])
async def test_response_record_can_stand_for_an_answer(
    age_s: float, is_given: bool, cached: Cached, near: DictTier, far: DictTier, clock: FakeClock
) -> None:
    """A tier may keep the response record of a record of one call, for as long as it likes."""
    response = Response(
        id="r-1",
        type="chat",
        output="from a record",
        model="m",
        provider="p",
        finish_reason="stop",
        usage=Usage(input_tokens=9),
        created_at=datetime.fromtimestamp(clock.now - age_s, UTC),
    )
    far.values["f"] = response.encode()

    completion = await cached.complete(known(chat()))

    assert completion.cached is is_given
    if is_given:
        assert (completion.output, completion.usage) == ("from a record", Usage())
        assert near.ttls_s["f"] == TTL_S - max(age_s, 0)


def test_codec_keeps_the_answer() -> None:
    """What is encoded is decoded as a cached completion, with the time it was made."""
    made = Completion(
        output={"a": [1, 2.5, None, "ä\x00"]},
        model="m",
        provider="p",
        usage=Usage(input_tokens=3, output_tokens=2, cached_input_tokens=1),
        tool_calls=[
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ],
        logprobs={"content": []},
        cost_usd=Decimal(1),
    )

    completion, created_at = decode(encode(made, created_at=12.5))

    counted = made.usage
    assert completion == replace(
        made,
        attempts=0,
        cached=True,
        cost_usd=Decimal(0),
        usage=Usage(),
        original_usage=counted,
    )
    assert created_at == 12.5
