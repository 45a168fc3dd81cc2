"""HTTP's own bound."""

import asyncio

import pytest

from streamapp.web.concurrency_limit import ConcurrencyLimit


async def test_gate_runs_no_more_than_its_bound_at_once() -> None:
    """The third of three waits until one of two leaves."""
    gate = ConcurrencyLimit(2, 1)
    leave = asyncio.Event()
    inside = 0
    most = 0

    async def visit() -> None:
        nonlocal inside, most
        async with gate:
            inside += 1
            most = max(most, inside)
            await leave.wait()
            inside -= 1

    visits = [asyncio.create_task(visit()) for _ in range(3)]
    await asyncio.sleep(0)
    assert gate.is_full
    leave.set()
    await asyncio.gather(*visits)

    assert most == 2
    assert not gate.is_full


async def test_gate_forgets_who_gave_up_waiting() -> None:
    """A cancelled wait takes neither a slot nor a place in the queue."""
    gate = ConcurrencyLimit(1, 1)
    async with gate:
        waiting = asyncio.ensure_future(gate.__aenter__())
        await asyncio.sleep(0)
        assert gate.is_full
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not gate.is_full

    async with gate:
        assert not gate.is_full
