"""One call to a model and its completion, free of any vendor's shape but OpenAI's messages."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from streamapp.errors import RateHints
from streamapp.llm.chunks import ChunkSink
from streamapp.llm.costs.place import Place
from streamapp.llm.deadline import Deadline
from streamapp.records.response import NO_USAGE, Usage

if TYPE_CHECKING:  # it takes these
    from streamapp.llm.routing.tries import Tries

Operation = Literal["chat", "embeddings"]
#: A text, or the numbers of its tokens.
EmbeddingInput = str | Sequence[int]


class BudgetCheck(Protocol):
    """The second look at a call's budgets, when its turn has come."""

    def begin(self) -> None:
        """Count the record, an attempt for which begins; raises `BudgetExceeded` where none may."""
        ...

    def answered(self) -> None:
        """Note an answer: what is asked about it belongs to it."""
        ...


class _Value:
    """Base of what is passed from policy to policy; nobody changes one that he was given.

    Not frozen: a frozen dataclass costs four times the CPU to make, and ``replace`` ten times
    that of `but`; both stand in every record's way.
    """

    def but(self, **changes: Any) -> Self:
        """Return a copy with other attributes."""
        copy = object.__new__(type(self))
        # Half the time of updating the dictionary that the copy would be made with.
        fields = self.__dict__.copy()
        fields.update(changes)
        copy.__dict__ = fields
        return copy


@dataclass(kw_only=True)
class Call(_Value):
    """One provider-neutral call.

    Attributes:
        operation: OpenTelemetry's ``gen_ai.operation.name``.
        model: The model's name as the provider knows it.
        messages: OpenAI-shaped messages; empty for embeddings.
        inputs: Texts, or lists of tokens, to embed; empty for chat.
        parameters: Sampling parameters by OpenAI's names (``temperature``, ``max_tokens``, ...).
        output_schema: JSON Schema the answer must fit, or None for free text.
        deadline: The record's one deadline.
        place: The record's one place in the sums of budgets.
        chunks: Takes the answer's text as it comes, where it is streamed.
        tenant: Whose call it is, for the cache, the budgets and the usage records.
        caller: Name of the HTTP key behind it, for the usage; empty without one.
        prompt: The prompt's version, as ``name:version``; empty without one.
        cache: Whether the answer may come from, or be given to, another record.
        cache_ttl_s: How long the answer may be given to others, seconds; None for the default.
        sample: Which of several answers to one question is wanted; each is a call of its own.
        fingerprint: By which equal calls are known; empty where they are not to be.
        reserved_s: Of the deadline, kept for the targets that are left after this one.
        moves_on: Whether one of those is asked after the first timeout or 429.
        asks_once: Whether the target is left after its first failure that is no 429.
        is_left: Says whether the target is left now, as it is taken for down and another one may
            be asked; None where there is none.
        is_taken_back: Says whether a target before this one that turned the call away would take it
            now; None where none did.
        attempts_before, paid_before: At this target, before the call was held; the second ones
            are those of them that were paid for in vain, or may have been.
        paid_left: How often it may be paid for in vain there from now on, whosever fault it is.
        answer_bytes: What the record that the answer goes into can carry; None without a bound.
        is_probe: Whether it asks if a target that is taken for down is back.
        has_waited: Whether it had to wait for a limit of the target.
        budget_check: Asked before each attempt, and told of answers; None without budgets.
        tries: What it was tried so far, also before a budget acted; None where that is its route's
            to keep.
    """

    operation: Operation = "chat"
    model: str
    messages: Sequence[Mapping[str, Any]] = ()
    inputs: Sequence[EmbeddingInput] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] | None = None
    deadline: Deadline
    place: Place = field(default_factory=Place)
    chunks: ChunkSink | None = None
    tenant: str = ""
    caller: str = ""
    prompt: str = ""
    cache: bool = True
    cache_ttl_s: float | None = None
    sample: int = 0
    fingerprint: str = ""
    reserved_s: float = 0.0
    moves_on: bool = False
    asks_once: bool = False
    is_left: Callable[[], bool] | None = None
    is_taken_back: Callable[[], bool] | None = None
    attempts_before: int = 0
    paid_before: int = 0
    paid_left: float = math.inf
    answer_bytes: int | None = None
    is_probe: bool = False
    has_waited: bool = False
    budget_check: BudgetCheck | None = None
    tries: "Tries | None" = None

    @property
    def is_sent(self) -> bool:
        """Whether a part of its answer was passed on for good: nothing can take its place."""
        return self.chunks is not None and not self.chunks.is_open

    def remaining_s(self) -> float:
        """Return the active seconds that this target may use; negative once past."""
        return self.deadline.remaining_s() - self.reserved_s


@dataclass(kw_only=True)
class Completion(_Value):
    """What a provider answered.

    Attributes:
        output: Text for chat; a list of vectors, in the order of ``inputs``, for embeddings.
        model: The model that answered, as the provider names it.
        provider: The configured provider's name.
        tool_calls: What the model wants called, by OpenAI's shape; then ``output`` may be empty.
        logprobs: OpenAI's, of the answer's tokens, where they were asked for.
        usage: Tokens of all attempts that were billed for this answer; none from a cache.
        original_usage: Of the answer when it was paid for; None where that is ``usage``.
        attempts: Provider attempts behind this answer; 0 from a cache.
        cached: Whether another call paid for it: one before, or an equal one in flight.
        cost_usd: US dollars of all attempts; None where the price is unknown.
        is_substitute: Whether it stands in for what was asked for, and only this time.
        fingerprint: The call's, where the answer may be given to equal calls.
        hints: What the provider said of its limits, where nothing is left of them.
    """

    output: Any
    model: str
    provider: str
    tool_calls: Sequence[Mapping[str, Any]] = ()
    logprobs: Mapping[str, Any] | None = None
    usage: Usage = NO_USAGE
    original_usage: Usage | None = None
    finish_reason: str | None = "stop"
    attempts: int = 1
    cached: bool = False
    cost_usd: Decimal | None = None
    is_substitute: bool = False
    fingerprint: str = ""
    hints: RateHints | None = None
