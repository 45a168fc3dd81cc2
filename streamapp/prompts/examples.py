"""Few-shot examples: sets of them from somewhere else, kept fresh in the background."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from random import Random

import structlog
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from streamapp.errors import PromptError
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.settings import ExampleSettings
from streamapp.prompts.template import Variable
from streamapp.records.problems import describe

log = structlog.get_logger(__name__)

#: Longest set, bytes and examples.
SET_LIMIT, COUNT_LIMIT = 1_000_000, 1_000
#: Longest time for one set to arrive, seconds.
FETCH_TIMEOUT_S = 10.0
#: A refresh comes earlier by up to this share of its interval, so that workers spread.
JITTER = 0.2
LOOK_S = 1.0


class Example(BaseModel):
    """One question and its good answer.

    Attributes:
        variables: Fill the prompt's last part; the record's own stand in for missing ones.
        output: The answer, as text or as JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variables: dict[str, Variable] = Field(min_length=1)
    output: JsonValue

    @property
    def answer(self) -> str:
        """The answer as the assistant's message."""
        is_text = isinstance(self.output, str)
        return str(self.output) if is_text else json.dumps(self.output, ensure_ascii=False)


def in_use(prompts: Mapping[str, Prompt]) -> Iterator[ExampleSettings]:
    """Yield the examples of all versions that labels point at."""
    for prompt in prompts.values():
        for version in set(prompt.labels.values()):
            settings = prompt.versions[version].settings.examples
            if settings:
                yield settings


_SET = TypeAdapter(list[Example])


def parse_examples(data: bytes) -> tuple[Example, ...]:
    """Return the set that the bytes hold: a JSON array, or one JSON object a line.

    Raises:
        PromptError: They hold none.
    """
    if len(data) > SET_LIMIT:
        raise PromptError(f"the set is longer than {SET_LIMIT:,} bytes")
    text = data.strip()
    if not text.startswith(b"["):
        text = b"[%b]" % b",".join(line for line in text.splitlines() if line.strip())
    try:
        found = _SET.validate_json(text)
    except ValidationError as error:
        problem = f"not a set of examples: {describe(error, Example)}"
    else:
        if 1 <= len(found) <= COUNT_LIMIT:
            return tuple(found)
        problem = f"a set has 1 to {COUNT_LIMIT} examples, not {len(found)}"
    raise PromptError(problem)  # outside of the block: pydantic's error holds the values


class ExamplesManager:
    """The last good set of every source that a prompt in use names.

    Args:
        fetch: Returns the bytes of a set.
        clock: Monotonic, seconds.
        rng: Source of jitter.
        timeout_s: Longest time for one set to arrive, seconds.
    """

    def __init__(
        self,
        fetch: Callable[[ExampleSettings], Awaitable[bytes]],
        *,
        clock: Callable[[], float],
        rng: Random | None = None,
        timeout_s: float = FETCH_TIMEOUT_S,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._rng = rng or Random()  # noqa: S311 - spreads load
        self._timeout_s = timeout_s
        self._sets: dict[str, tuple[Example, ...]] = {}
        self._due: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._asked: dict[str, ExampleSettings] = {}

    def chosen(self, settings: ExampleSettings, *, sticky: bytes) -> Sequence[Example]:
        """Return the examples for one record; none while no set has arrived.

        Args:
            settings: Of the prompt's version.
            sticky: Records of equal ones get the same random examples.
        """
        found = self._sets.get(settings.source, ())
        if not found:  # of a version that no label points at: from the next look on
            self._asked[settings.source] = settings
        if settings.select == "first" or len(found) <= settings.count:
            return found[: settings.count]
        seed = int.from_bytes(blake2b(sticky, digest_size=8).digest())
        return Random(seed).sample(found, settings.count)  # noqa: S311 - no secret

    def impaired(self) -> list[str]:
        """Return the sources whose last refresh failed."""
        return [f"examples {source}: {problem}" for source, problem in self._problems.items()]

    async def refresh(self, wanted: Iterable[ExampleSettings]) -> None:
        """Fetch every set that is due, all at once; what fails keeps the last good one."""
        now = self._clock()
        named = [*self._asked.values(), *wanted]
        due = {one.source: one for one in named if self._due.get(one.source, now) <= now}
        await asyncio.gather(*(self._refresh_one(one) for one in due.values()))

    async def watch(self, wanted: Callable[[], Iterable[ExampleSettings]]) -> None:
        """Refresh what is due, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.refresh(wanted())

    async def _refresh_one(self, settings: ExampleSettings) -> None:
        source = settings.source
        # One that hangs comes late by its own time-out, and never twice at once.
        wait_s = settings.refresh_s * (1 - JITTER * self._rng.random())
        self._due[source] = self._clock() + wait_s
        try:
            async with asyncio.timeout(self._timeout_s):
                data = await self._fetch(settings)
            self._sets[source] = parse_examples(data)
        except Exception as error:
            # Whatever a source does, records go on with the last good set.
            known = isinstance(error, PromptError)
            self._problems[source] = str(error) if known else type(error).__name__
            log.warning("examples.refresh_failed", source=source, reason=self._problems[source])
        else:
            self._problems.pop(source, None)
