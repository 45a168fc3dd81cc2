"""Few-shot examples, fetched from their sources and refreshed in the background."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from random import Random

import structlog

from streamapp.errors import PromptError
from streamapp.prompts.example_fit import Fit
from streamapp.prompts.example_set import Examples, parse_examples
from streamapp.prompts.prompt import Prompt
from streamapp.prompts.settings import ExampleSettings
from streamapp.prompts.similar import Embed, Nearest, Similarity, TimeLimit
from streamapp.prompts.template import Template

log = structlog.get_logger(__name__)

#: Longest time for one set to arrive, seconds.
FETCH_TIMEOUT_S = 10.0
#: A refresh comes earlier by up to this share of its interval, so that workers spread.
JITTER = 0.2
#: A failed refresh is tried again after so many seconds, where its interval is longer.
RETRY_S = 10.0
#: A set that no label's version names is forgotten when no record used it for so long, seconds.
IDLE_S = 600.0
#: A set that never arrived impairs the worker for so long, seconds: after that nothing is lost
#: that was there, and an operator has been told.
IMPAIRED_S = 600.0
POLL_INTERVAL_S = 1.0


def in_use(prompts: Mapping[str, Prompt]) -> Iterator[ExampleSettings]:
    """Yield the examples of all versions that labels point at."""
    for prompt in prompts.values():
        for version in set(prompt.labels.values()):
            settings = prompt.versions[version].settings.examples
            if settings:
                yield settings


class ExamplesManager:
    """The last good set of every source that a prompt in use names.

    Args:
        fetch: Returns the bytes of a set.
        clock: Monotonic, seconds.
        embed: Returns the vectors of examples; None where there is no route for embeddings.
        rng: Source of jitter.
        timeout_s: Longest time for one set, and then for its vectors, to arrive, seconds.
        time_limit: Bounds a record's wait for the vector of its question.
    """

    def __init__(
        self,
        fetch: Callable[[ExampleSettings], Awaitable[bytes]],
        *,
        clock: Callable[[], float],
        embed: Embed | None = None,
        rng: Random | None = None,
        timeout_s: float = FETCH_TIMEOUT_S,
        time_limit: TimeLimit = asyncio.timeout,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._similarity = Similarity(
            embed, clock=clock, timeout_s=timeout_s, time_limit=time_limit
        )
        self._rng = rng or Random()  # noqa: S311 - spreads load
        self._timeout_s = timeout_s
        self._sets: dict[str, Examples] = {}
        self._fits: dict[tuple[str, Template], Fit] = {}
        self._due: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._failed_at: dict[str, float] = {}
        self._used: dict[tuple[str, bool], tuple[ExampleSettings, float]] = {}

    def fit(self, settings: ExampleSettings, template: Template, *, version: str) -> Fit:
        """Return what of the set a version's text can take; nothing while no set has arrived.

        Args:
            settings: Of the prompt's version.
            template: Of it.
            version: As ``name:number``; what is left out is logged with it, once a set.
        """
        # A version that no label points at has its set from the next look on.
        self._used[settings.source, settings.is_similar] = (settings, self._clock())
        found = self._sets.get(settings.source, ())
        fit = self._fits.get((settings.source, template))
        if fit is None or fit.whole is not found:
            fit = self._fits[settings.source, template] = Fit(template, found)
            if fit.problem:
                source, reason = settings.source, fit.problem
                log.warning("examples.left_out", prompt=version, source=source, reason=reason)
        return fit

    def chosen(self, settings: ExampleSettings, fit: Fit, *, sticky: bytes) -> Examples:
        """Return the examples for one record.

        Args:
            settings: Of the prompt's version.
            fit: Of it.
            sticky: Records of equal ones get the same random examples.
        """
        found = fit.examples
        if settings.select != "random" or len(found) <= settings.count:
            return found[: settings.count]
        seed = int.from_bytes(blake2b(sticky, digest_size=8).digest())
        return Random(seed).sample(found, settings.count)  # noqa: S311 - no secret

    async def whole_set(self, settings: ExampleSettings) -> Examples:
        """Return all examples of a source, for people: the last good set, else what is there now.

        What fails here impairs nothing: records may never ask for it.

        Raises:
            PromptError: There is no set.
        """
        if settings.source in self._sets:
            return self._sets[settings.source]
        try:
            return await self._fetched(settings)
        except Exception as error:
            raise PromptError(_problem(error)) from error

    def nearest(self, settings: ExampleSettings, fit: Fit) -> Nearest | None:
        """Return what chooses of the whole set by the question; None where `chosen` does."""
        if not settings.is_similar or len(fit.examples) <= settings.count:
            return None
        return self._similarity.nearest(settings.source, settings.count)

    def impaired(self) -> list[str]:
        """Return the sources whose last refresh failed, or whose vectors are missing.

        One that never had a set is named for `IMPAIRED_S` alone.
        """
        now = self._clock()
        problems = [
            f"examples {source}: {problem}"
            for source, problem in self._problems.items()
            if source in self._sets or now - self._failed_at[source] < IMPAIRED_S
        ]
        return [*problems, *self._similarity.impaired()]

    async def refresh(self, wanted: Iterable[ExampleSettings]) -> None:
        """Fetch every set that is due, all at once; what fails keeps the last good one."""
        now = self._clock()
        self._used = {key: use for key, use in self._used.items() if now - use[1] < IDLE_S}
        named = [*(settings for settings, _ in self._used.values()), *wanted]
        self._keep({one.source for one in named})
        due = {one.source: one for one in named if self._due.get(one.source, now) <= now}
        await asyncio.gather(*(self._refresh_one(one) for one in due.values()))
        compared = {one.source for one in named if one.is_similar} & self._sets.keys()
        await asyncio.gather(*(self._similarity.index(one, self._sets[one]) for one in compared))

    async def watch(self, wanted: Callable[[], Iterable[ExampleSettings]]) -> None:
        """Refresh what is due, until cancelled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            await self.refresh(wanted())

    async def _refresh_one(self, settings: ExampleSettings) -> None:
        source = settings.source
        # One that hangs comes late by its own time-out, and never twice at once.
        wait_s = settings.refresh_s * (1 - JITTER * self._rng.random())
        self._due[source] = self._clock() + wait_s
        try:
            found = await self._fetched(settings)
        except Exception as error:
            # Whatever a source does, records go on with the last good set.
            problem = _problem(error)
            self._due[source] = self._clock() + min(wait_s, RETRY_S)
            self._failed_at.setdefault(source, self._clock())
            if self._problems.get(source) != problem:  # told once, not at each try
                log.warning("examples.refresh_failed", source=source, reason=problem)
            self._problems[source] = problem
        else:
            self._problems.pop(source, None)
            self._failed_at.pop(source, None)
            if found != self._sets.get(source):  # an equal one keeps its vectors
                self._sets[source] = found

    async def _fetched(self, settings: ExampleSettings) -> Examples:
        async with asyncio.timeout(self._timeout_s):
            data = await self._fetch(settings)
        return parse_examples(data)

    def _keep(self, sources: set[str]) -> None:
        """Forget the sources that no prompt in use names any more."""
        for known in (self._sets, self._due, self._problems, self._failed_at):
            for source in known.keys() - sources:
                known.pop(source)
        self._fits = {key: fit for key, fit in self._fits.items() if key[0] in sources}
        self._similarity.keep(sources)


def _problem(error: Exception) -> str:
    return str(error) if isinstance(error, PromptError) else type(error).__name__
