"""The steps of one record: stored before they are used, and given again."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from streamapp.llm.completion import Completion
from streamapp.llm.deadline import Deadline
from streamapp.llm.durable.fingerprint import fingerprint_of
from streamapp.llm.durable.results import decode_completion, encode_completion
from streamapp.llm.durable.steps import Steps
from streamapp.llm.durable.stored_step import StoredStep
from streamapp.records.response import Usage


class MemoryStore:
    """Keeps steps, as their bytes."""

    limit_bytes = 1_000_000

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, number: str) -> StoredStep | None:
        value = self.kept.get(number)
        return None if value is None else StoredStep.decode(value)

    def values(self) -> list[StoredStep]:
        return [StoredStep.decode(value) for value in self.kept.values()]

    async def adopt(self, number: str, step: StoredStep) -> None: ...

    async def put(self, number: str, step: StoredStep) -> None:
        self.kept[number] = step.encode()


class Heard:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.divergences = 0

    def stepped(self, kind: str, outcome: str) -> None:
        self.steps.append((kind, outcome))

    def diverged(self) -> None:
        self.divergences += 1


class World:
    """One record, delivered as often as a test wants; counts what is really made."""

    def __init__(self, *, is_single: bool = False) -> None:
        self.store, self.heard = MemoryStore(), Heard()
        self.made: list[str] = []
        self._is_single = is_single

    def deliver(self) -> "Callable[[str], Awaitable[str]]":
        """Return what runs a step of a new delivery."""
        steps = Steps(self.store, observer=self.heard, is_single=self._is_single)

        async def step(name: str) -> str:
            async def make() -> str:
                await asyncio.sleep(0)
                self.made.append(name)
                return f"{name}:{len(self.made)}"

            return await steps.run(
                "step", lambda: fingerprint_of(name), make, encode=to_json, decode=from_json
            )

        return step


async def test_a_finished_step_is_not_made_again() -> None:
    """A redelivered record gets what its steps gave before, and goes on behind them."""
    world = World()
    step = world.deliver()
    before = [await step("a"), await step("b")]

    step = world.deliver()
    after = [await step("a"), await step("b"), await step("c")]

    assert after[:2] == before
    assert world.made == ["a", "b", "c"]
    assert [outcome for _, outcome in world.heard.steps] == ["done"] * 2 + ["replayed"] * 2 + [
        "done"
    ]


async def test_a_result_is_stored_before_it_is_used() -> None:
    """Whoever gets a result can be killed at once: it is stored already."""
    world = World()

    await world.deliver()("a")

    assert world.store.kept.keys() == {"1"}


@pytest.mark.parametrize("is_single", [False, True], ids=["several", "single"])
async def test_no_time_passes_while_a_step_waits_to_be_stored(is_single: bool) -> None:
    """Kafka may be away for longer than a record has time: that is no fault of its calls."""
    now, outage_s = 0.0, 1_000.0

    class AwayStore(MemoryStore):
        async def put(self, number: str, step: StoredStep) -> None:
            nonlocal now
            now += outage_s
            await super().put(number, step)

        async def adopt(self, number: str, step: StoredStep) -> None:
            await self.put(number, step)

    async def make() -> str:
        nonlocal now
        now += 2.0
        return "done"

    store = AwayStore()
    for names, active_s in (("ab", 4.0), ("abc", 2.0)):  # then they are given, and adopted
        deadline = Deadline(90.0, lambda: now)
        deadline.start()
        steps = Steps(store, deadline=deadline, is_single=is_single)
        for name in names:
            await steps.run(
                "model", partial(fingerprint_of, name), make, encode=to_json, decode=from_json
            )
        assert deadline.spent_s() == active_s
        assert now > outage_s


async def test_a_single_call_is_stored_only_where_another_follows() -> None:
    """A record of one call has its own entry; one that goes on stores the first call then."""
    world = World(is_single=True)
    step = world.deliver()
    await step("a")
    alone = set(world.store.kept)

    await step("b")

    assert (alone, set(world.store.kept)) == (set(), {"1", "2"})


async def test_another_question_drops_the_steps_from_there_on() -> None:
    """Changed code asks something else: nothing stored behind it is given for it, told once."""
    world = World()
    step = world.deliver()
    for name in ("a", "b", "c"):
        await step(name)

    step = world.deliver()
    for name in ("a", "x", "c"):
        await step(name)

    assert world.made == ["a", "b", "c", "x", "c"]
    assert world.heard.divergences == 1


async def test_a_failed_step_is_made_again() -> None:
    """What raised is not stored, and its number is not skipped on the next delivery."""
    world = World()

    async def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Steps(world.store).run(
            "step", lambda: fingerprint_of("a"), fail, encode=to_json, decode=from_json
        )

    assert await world.deliver()("a") == "a:1"


@given(
    done=st.integers(0, 6),
    order=st.permutations(range(6)),
)
async def test_steps_side_by_side_are_each_made_once(done: int, order: list[int]) -> None:
    """Whichever of them were finished at a crash, only the others are made again."""
    world = World()
    step = world.deliver()
    await asyncio.gather(*(step(f"s{n}") for n in range(6)))
    lost = {str(number + 1) for number in order[done:]}
    world.store.kept = {n: v for n, v in world.store.kept.items() if n not in lost}
    world.made.clear()

    step = world.deliver()
    await asyncio.gather(*(step(f"s{n}") for n in range(6)))

    assert sorted(world.made) == sorted(f"s{int(number) - 1}" for number in lost)


def test_a_completion_survives_its_step() -> None:
    """Output, tokens and cost are read back as they were."""
    completion = Completion(
        output={"a": [1, 2.5, "ü"]},
        model="m",
        provider="p",
        usage=Usage(input_tokens=3, output_tokens=2, cache_read_tokens=1),
        cost_usd=Decimal("0.000042"),
        attempts=2,
        finish_reason="stop",
    )

    assert decode_completion(encode_completion(completion)) == completion


async def test_tasks_of_several_steps_are_each_made_once() -> None:
    """Tasks side by side, whichever is faster, find their own steps again."""
    world = World()

    async def deliver() -> None:
        step = world.deliver()

        async def piece(number: int) -> None:
            for name in ("fetch", "read", "sum"):
                await step(f"{name}{number}")
                for _ in range(number * 3 if name == "fetch" else 9 - number * 3):
                    await asyncio.sleep(0)

        await asyncio.gather(*(piece(number) for number in range(4)))
        await step("end")

    await deliver()
    made, world.made = world.made, []
    lost = [number for number in world.store.kept if number in ("2:3", "3:2", "3:3")]
    for number in lost:
        del world.store.kept[number]
    await deliver()

    assert len(made) == 13
    assert len(lost) == 3
    assert sorted(world.made) == ["read2", "sum1", "sum2"]
    assert world.heard.divergences == 0


async def test_tasks_within_tasks_have_numbers_of_their_own() -> None:
    """No two steps of a record have one number, however its tasks are nested."""
    world = World()
    step = world.deliver()

    async def inner(name: str) -> None:
        await step(f"{name}1")
        await step(f"{name}2")

    async def outer(name: str) -> None:
        await step(name)
        await asyncio.gather(inner(f"{name}a"), inner(f"{name}b"))
        await step(f"{name}z")

    await asyncio.gather(outer("x"), outer("y"))

    assert len(world.made) == len(world.store.kept) == 12


async def test_a_new_way_keeps_what_it_finished() -> None:
    """A record that asks something else, and dies in it, does not make that way's steps again."""
    world = World()
    made: list[str] = []

    def deliver(name: str, *, dies: bool) -> Awaitable[str]:
        steps = Steps(world.store, observer=world.heard)

        async def leaf() -> str:
            made.append(name)
            return name

        async def outer() -> str:
            await steps.run(
                "step", lambda: fingerprint_of("leaf"), leaf, encode=to_json, decode=from_json
            )
            if dies:
                raise ConnectionError
            return name

        return steps.run(
            "step", lambda: fingerprint_of(name), outer, encode=to_json, decode=from_json
        )

    await deliver("old", dies=False)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await deliver("new", dies=True)
    assert await deliver("new", dies=False) == "new"

    assert made == ["old", "new"]


async def test_what_is_asked_is_taken_before_the_step_runs() -> None:
    """Code that changes what it was given asked the same on the redelivery."""
    world = World()
    runs: list[int] = []

    async def deliver(given: list[int]) -> None:
        async def make() -> None:
            runs.append(1)
            given.append(1)

        await Steps(world.store).run(
            "step", lambda: fingerprint_of(given), make, encode=to_json, decode=from_json
        )

    await deliver([])
    await deliver([])

    assert len(runs) == 1


async def test_a_record_knows_its_prompt_by_any_step_side_by_side() -> None:
    """The first of them may be the one that was not finished."""
    store = MemoryStore()
    await store.put("3", StoredStep("", "desk:2", b"1"))

    assert Steps(store).prompt == "desk:2"
