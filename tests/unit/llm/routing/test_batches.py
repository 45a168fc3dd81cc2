"""Embeddings of many inputs: what fits is paid once, and what cannot fit is hardly paid."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from streamapp.errors import ContextLengthExceeded, ProviderRejected, TooLarge
from streamapp.llm.completion import Call, Completion
from streamapp.llm.durable.in_progress import cost_nothing
from streamapp.llm.routing.batches import MOST_CHARS, MOST_INPUTS, Batched
from streamapp.records.response import Usage
from tests.unit.llm.calls import chat, embeddings

RECORD = 1_000_000


class Vectors:
    """Gives each input a vector of its own length, as many as it takes a call."""

    def __init__(
        self, *, dimensions: int = 8, most: int = MOST_INPUTS, words: str = "", longest: int = 99
    ) -> None:
        self.dimensions, self.most, self.words, self.longest = dimensions, most, words, longest
        self.calls: list[int] = []
        self.paid = 0

    async def complete(self, call: Call) -> Completion:
        inputs: Sequence[Any] = call.inputs
        self.calls.append(len(inputs))
        if any(len(one) > self.longest and one[0] == "L" for one in inputs):
            raise refused(ContextLengthExceeded("p: too long", provider="p"))
        if len(inputs) > self.most:
            error = ProviderRejected("p: HTTP 422", provider="p", status=422)
            error.told = self.words
            raise refused(error)
        self.paid += len(inputs)
        return Completion(
            output=[[float(len(one)), *[0.123456789012] * (self.dimensions - 1)] for one in inputs],
            model="m",
            provider="p",
            usage=Usage(input_tokens=len(inputs)),
            cost_usd=Decimal(len(inputs)),
        )


def refused(error: ProviderRejected) -> ProviderRejected:
    error.attempts = 1
    return error


def of(count: int) -> list[str]:
    return ["x" * (number % 7 + 1) for number in range(count)]


async def test_answer_larger_than_a_body_comes_in_batches() -> None:
    """2,000 vectors of 3,072 numbers are 90 MB: no call asks for more than a body carries."""
    server = Vectors(dimensions=3_072)
    texts = of(2_000)

    completion = await Batched(server).complete(embeddings(*texts))

    assert [vector[0] for vector in completion.output] == [len(text) for text in texts]
    assert max(server.calls) * 3_072 * 15 < 8 * 1024 * 1024
    assert completion.usage.input_tokens == completion.cost_usd == server.paid == 2_000
    assert completion.attempts == len(server.calls)


async def test_few_or_short_vectors_are_one_call() -> None:
    """What one answer carries is asked for at once; chat is left alone."""
    server = Vectors()
    batched = Batched(server)

    await batched.complete(embeddings(*of(90)))
    await batched.complete(embeddings(*of(MOST_INPUTS)))
    await batched.complete(embeddings("x"))

    assert server.calls == [90, MOST_INPUTS, 1]
    server.calls.clear()
    await batched.complete(chat(inputs=["x"]))
    assert len(server.calls) == 1


async def test_vectors_that_a_record_cannot_carry_are_not_paid() -> None:
    """The first batch tells how long vectors are; after that nothing is paid at all."""
    server = Vectors(dimensions=3_072)
    batched = Batched(server)
    call = embeddings(*of(100)).but(answer_bytes=RECORD)

    with pytest.raises(TooLarge, match=r"send at most \d\d inputs"):
        await batched.complete(call)
    first = server.paid
    with pytest.raises(TooLarge):
        await batched.complete(call)

    assert server.paid == first <= 15


async def test_batch_that_told_would_be_lost_with_its_record() -> None:
    """Where its record goes on without the vectors, and waits."""
    call = embeddings(*of(100)).but(answer_bytes=RECORD)

    with pytest.raises(TooLarge):
        await Batched(Vectors(dimensions=3_072)).complete(call)

    with call.deadline.suspended():
        assert not call.deadline.is_only_waiting


async def test_as_many_as_a_record_carries_are_given() -> None:
    """What the refusal says is what fits."""
    server = Vectors(dimensions=3_072)
    batched = Batched(server)
    with pytest.raises(TooLarge) as caught:
        await batched.complete(embeddings(*of(100)).but(answer_bytes=RECORD))
    fits = int(str(caught.value).partition("at most ")[2].split()[0])

    completion = await batched.complete(embeddings(*of(fits)).but(answer_bytes=RECORD))

    assert len(completion.output) == fits


@pytest.mark.parametrize(
    "words",
    [
        "Input validation error: batch size 64 > maximum allowed batch size 32",
        "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch",
        "Invalid 'input': array too long. Expected an array with maximum length 32",
        "invalid request: total number of texts must be at most 96",
        "Requested 304000 tokens, max 300000 tokens per request",
    ],
)
async def test_number_that_a_target_takes_is_found_once(words: str) -> None:
    """Refusals cost nothing and are remembered: the next record's calls fit."""
    server = Vectors(most=32, words=words)
    batched = Batched(server)

    completion = await batched.complete(embeddings(*of(64)))
    assert len(completion.output) == server.paid == 64
    assert completion.attempts == len(server.calls) == 3
    server.calls.clear()
    await batched.complete(embeddings(*of(64)))

    assert server.calls == [32, 32]


async def test_refusal_of_something_else_is_no_reason_to_split() -> None:
    """A request that is wrong however short is refused once."""
    server = Vectors(most=1, words="Invalid value for dimensions")

    with pytest.raises(ProviderRejected):
        await Batched(server).complete(embeddings(*of(64)))

    assert server.calls == [64]


async def test_one_input_that_is_too_long_takes_nothing_from_the_others() -> None:
    """It fails its own record in a few unpaid calls; later ones go in large batches as before."""
    server = Vectors()
    batched = Batched(server)
    texts = ["L" * 200, *of(63)]

    with pytest.raises(ContextLengthExceeded) as caught:
        await batched.complete(embeddings(*texts))
    assert server.calls == [64, 32, 16, 8, 4, 2, 1]
    assert caught.value.attempts == len(server.calls)
    server.calls.clear()
    await batched.complete(embeddings(*of(64)))

    assert server.calls == [64]


async def test_failure_counts_what_was_paid_before_its_batch_was_split() -> None:
    """Its record is not given back as one that has cost nothing."""

    class PaidInVain(Vectors):
        async def complete(self, call: Call) -> Completion:
            try:
                return await super().complete(call)
            except ProviderRejected as refusal:
                if len(call.inputs) == 2:  # the attempt before it was answered with garbage
                    refusal.attempts, refusal.paid = 2, 1
                raise

    with pytest.raises(ContextLengthExceeded) as caught:
        await Batched(PaidInVain()).complete(embeddings("L" * 200, "x"))

    assert (caught.value.attempts, caught.value.paid) == (3, 1)
    assert not cost_nothing(caught.value)


async def test_long_inputs_are_split_by_their_length() -> None:
    """No call asks for more text than OpenAI takes in one, but for a text that is longer itself."""
    server = Vectors(longest=MOST_CHARS)
    texts = ["x" * (MOST_CHARS // 2), "y" * (MOST_CHARS // 2 + 1), "z"]

    await Batched(server).complete(embeddings(*texts))

    assert server.calls == [1, 2]


async def test_half_that_is_paid_would_be_lost_with_its_record() -> None:
    """Where the other half waits, the record is not given back."""
    waits: list[bool] = []

    class Waiting(Vectors):
        async def complete(self, call: Call) -> Completion:
            with call.deadline.suspended():
                waits.append(call.deadline.is_only_waiting)
            return await super().complete(call)

    await Batched(Waiting(most=4, words="batch too large")).complete(embeddings(*of(8)))

    assert waits == [True, True, False]
