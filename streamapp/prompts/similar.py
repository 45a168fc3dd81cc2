"""Examples chosen by how near their vectors are to the question's."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog

from streamapp.errors import BudgetExceeded, ContentFiltered, ContextLengthExceeded, Failure
from streamapp.prompts.example_set import Examples
from streamapp.prompts.nearest import Neighbours, Unit, unit
from streamapp.prompts.template import Variable

log = structlog.get_logger(__name__)

#: Longest text that a vector is asked for, characters: models take some 8,000 tokens.
TEXT_LIMIT = 8_000
#: Texts of one call.
BATCH = 100
#: Longest wait for the vectors of a set, and for that of a question, seconds.
TIMEOUT_S = 10.0
#: After a failure one question in so many seconds tries again; the others wait for nothing.
PAUSE_S = 10.0

#: Bounds a block, by seconds, as `asyncio.timeout` does.
TimeLimit = Callable[[float], AbstractAsyncContextManager[object]]
#: Returns one vector a text.
Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]
#: Returns the examples for the variables of a question, whose vector the record pays for.
Nearest = Callable[[Mapping[str, Variable], Embed], Awaitable[Examples]]


class Similarity:
    """The vectors of sets. Each example's is asked for once, however often its set is fetched.

    Args:
        embed: For the sets; None where there is no route for embeddings.
        clock: Monotonic, seconds.
        timeout_s: Longest wait for the vectors of a set, and for that of a question, seconds.
        time_limit: Bounds the wait for that of a question, which is a call of its record.
    """

    def __init__(
        self,
        embed: Embed | None,
        *,
        clock: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
        time_limit: TimeLimit = asyncio.timeout,
    ) -> None:
        self._embed = embed
        self._clock = clock
        self._timeout_s = timeout_s
        self._time_limit = time_limit
        self._units: dict[str, dict[str, Unit]] = {}
        self._indexes: dict[str, _Index] = {}
        self._problems: dict[str, str] = {}
        self._again_at: dict[str, float] = {}

    def impaired(self) -> list[str]:
        """Return why the first examples stand in for the most similar ones, by source."""
        return [
            f"examples {source}: the first ones are used, {problem}"
            for source, problem in self._problems.items()
        ]

    def keep(self, sources: set[str]) -> None:
        """Forget what belongs to other sources."""
        for known in (self._units, self._indexes, self._problems, self._again_at):
            for source in known.keys() - sources:
                known.pop(source)

    async def index(self, source: str, examples: Examples) -> None:
        """Get the vectors of a set that are not known yet; never raises."""
        index = self._indexes.get(source)
        if index and index.examples is examples:
            return
        if self._embed is None:
            self._fail(source, "there is no route for embeddings: set STREAMAPP_EMBED_MODEL")
        elif self._again_at.get(source, 0.0) <= self._clock():
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._indexes[source] = await self._indexed(self._embed, source, examples)
            except Exception as error:
                # Whatever the model does, records go on with the first examples.
                self._indexes.pop(source, None)
                self._fail(source, f"no vectors of the set ({type(error).__name__})")
            else:
                self._succeed(source)

    def nearest(self, source: str, count: int) -> Nearest | None:
        """Return what chooses examples now; None where the first ones are to be taken."""
        index = self._indexes.get(source)
        if index is None:
            return None
        if source in self._problems:
            now = self._clock()
            if self._again_at[source] > now:
                return None
            self._again_at[source] = now + PAUSE_S  # this one tries, the others go on

        async def choose(variables: Mapping[str, Variable], embed: Embed) -> Examples:
            return await self._choose(source, index, count, variables, embed)

        return choose

    async def _choose(
        self,
        source: str,
        index: "_Index",
        count: int,
        variables: Mapping[str, Variable],
        embed: Embed,
    ) -> Examples:
        text = text_of(variables, index.names)
        if not text:
            return index.examples[:count]
        try:
            async with self._time_limit(self._timeout_s):
                [vector] = await embed([text])
            places = index.neighbours.nearest(unit(vector), count)
        except (BudgetExceeded, ContentFiltered, ContextLengthExceeded):
            return index.examples[:count]  # this record's own affair
        except (Failure, TimeoutError, ValueError) as error:
            self._fail(source, f"no vector of a question ({type(error).__name__})")
            return index.examples[:count]
        self._succeed(source)
        return [index.examples[place] for place in reversed(places)]

    async def _indexed(self, embed: Embed, source: str, examples: Examples) -> "_Index":
        names = sorted({name for example in examples for name in example.variables})
        texts = [text_of(example.variables, names) or "-" for example in examples]
        known = self._units.get(source, {})
        units = self._units[source] = {text: known[text] for text in texts if text in known}
        missing = [text for text in dict.fromkeys(texts) if text not in units]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            units |= zip(batch, map(unit, await embed(batch)), strict=True)
        # A tenth of a second for a large set: not on the loop.
        neighbours = await asyncio.to_thread(Neighbours, [units[text] for text in texts])
        return _Index(examples, names, neighbours)

    def _fail(self, source: str, problem: str) -> None:
        if self._problems.get(source) != problem:
            log.warning("examples.not_similar", source=source, reason=problem)
        self._problems[source] = problem
        self._again_at[source] = self._clock() + PAUSE_S

    def _succeed(self, source: str) -> None:
        self._problems.pop(source, None)


@dataclass(frozen=True, slots=True)
class _Index:
    """One set with its vectors; ``names`` are the variables of its examples."""

    examples: Examples
    names: Sequence[str]
    neighbours: Neighbours


def text_of(variables: Mapping[str, Variable], names: Sequence[str]) -> str:
    """Return the text by which questions are compared: the values of those names."""
    values = (variables[name] for name in names if name in variables)
    lines = (
        str(value) if isinstance(value, str | int | float) else ", ".join(map(str, value))
        for value in values
    )
    return "\n".join(lines).strip()[:TEXT_LIMIT]
