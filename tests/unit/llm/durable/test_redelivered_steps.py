"""The promise of durable steps, for whatever record: no finished step is made again."""

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from streamapp.llm.durable.fingerprint import fingerprint_of
from streamapp.llm.durable.steps import Steps
from tests.unit.llm.durable.test_steps import Heard, MemoryStore


@dataclass(frozen=True)
class Step:
    """One call of a record.

    Attributes:
        within: What it does itself; a call of the model does nothing.
    """

    kind: str
    within: "tuple[Part, ...]" = ()


@dataclass(frozen=True)
class Tasks:
    """Parts of a record side by side, each in a task of its own."""

    each: "tuple[tuple[Part, ...], ...]"


Part = Step | Tasks
MODEL = Step("model")


def _asking(parts: "tuple[Part, ...]") -> "tuple[Part, ...]":
    """Return what a task does: tasks that it starts before its first step belong into one."""
    if parts and isinstance(parts[0], Tasks):
        return (Step("step", parts[:1]), *parts[1:])
    return parts


def _parts(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Step, st.sampled_from(["tool", "step"]), several),
        st.builds(Tasks, st.lists(several.map(_asking), min_size=1, max_size=3).map(tuple)),
    )


PARTS = st.lists(st.recursive(st.just(MODEL), _parts, max_leaves=8), max_size=4)


class Delivery:
    """One run of a record from its beginning.

    Attributes:
        made: Its steps that were really made, by their place in the record.
    """

    def __init__(self, store: MemoryStore, heard: Heard, *, is_single: bool) -> None:
        self.made: list[str] = []
        self._steps = Steps(store, observer=heard, is_single=is_single)

    async def run(self, parts: list[Part] | tuple[Part, ...], place: str = "") -> None:
        for number, part in enumerate(parts):
            here = f"{place}/{number}"
            if isinstance(part, Step):
                await self._step(part, here)
                continue
            async with asyncio.TaskGroup() as group:
                for task, each in enumerate(part.each):
                    group.create_task(self.run(each, f"{here}/{task}"))

    async def _step(self, step: Step, place: str) -> None:
        async def make() -> str:
            self.made.append(place)
            # Those side by side end in another order than that in which they began.
            for _ in range(len(place) * 7 % 5 - len(self.made) % 3):
                await asyncio.sleep(0)
            await self.run(step.within, place)
            return place

        given_ = await self._steps.run(
            step.kind, lambda: fingerprint_of(place), make, encode=to_json, decode=from_json
        )
        assert given_ == place


def beginning(kept: dict[str, bytes], count: int) -> MemoryStore:
    """Return what Kafka has where the worker died behind so many stored steps."""
    store = MemoryStore()
    store.kept = dict(list(kept.items())[:count])
    return store


@given(parts=PARTS, is_single=st.booleans(), again_at=st.integers(0, 20))
async def test_no_finished_step_is_made_again(
    parts: list[Part], is_single: bool, again_at: int
) -> None:
    """Wherever the worker dies, and the one behind it, too."""
    # What is single asks its model before all else.
    parts = [MODEL, *parts]
    first = MemoryStore()
    await Delivery(first, Heard(), is_single=is_single).run(parts)

    async def redeliver(store: MemoryStore) -> None:
        finished = {from_json(step.result) for step in store.values()}
        heard = Heard()
        again = Delivery(store, heard, is_single=is_single)
        await again.run(parts)
        assert not finished & set(again.made)
        assert heard.divergences == 0
        assert store.kept == first.kept

    for count in range(len(first.kept) + 1):
        second = beginning(first.kept, count)
        await redeliver(second)
        await redeliver(beginning(second.kept, again_at))
