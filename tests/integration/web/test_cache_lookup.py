"""`/v1/cache/{fingerprint}`: whether an answer is kept, at this worker or another."""

from streamapp.llm.caching.cache import encode
from streamapp.llm.caching.tiers import MemoryTier
from streamapp.llm.completion import Completion
from tests.integration.web.conftest import FakeWorkerSnapshots, Serve

FINGERPRINT = "0123456789abcdef" * 2


async def tier_with(value: bytes) -> MemoryTier:
    tier = MemoryTier(max_bytes=10_000)
    await tier.set(FINGERPRINT, value, ttl_s=60)
    return tier


def named(url: str) -> FakeWorkerSnapshots:
    snapshots = FakeWorkerSnapshots()
    snapshots.url = url
    return snapshots


def answer() -> bytes:
    return encode(Completion(output="canary", model="m", provider="p"), created_at=1_000.5)


async def test_a_kept_answer_is_told_of_and_not_shown(serve: Serve) -> None:
    """Where it is and since when."""
    site = await serve(tiers=[await tier_with(answer())])

    status, body, _ = await site("GET", f"/v1/cache/{FINGERPRINT}")

    kept = {"tier": "memory", "created_at": 1000.5}
    assert (status, body) == (200, kept | {"workers": [{"url": "own", **kept}]})


async def test_the_other_workers_are_asked(serve: Serve) -> None:
    """Any worker tells for the group."""
    other = await serve(tiers=[await tier_with(answer())], own_snapshots=named("http://other"))
    site = await serve(others=["http://127.0.0.1:1", other.url])

    status, body, _ = await site("GET", f"/v1/cache/{FINGERPRINT}")

    assert (status, body["tier"]) == (200, "memory")
    assert [one["url"] for one in body["workers"]] == ["http://other"]


async def test_every_worker_that_keeps_it_is_named(serve: Serve) -> None:
    """Each has a cache of its own: an equal call is free at these alone."""
    other = await serve(tiers=[await tier_with(answer())], own_snapshots=named("http://other"))
    third = await serve()
    site = await serve(tiers=[await tier_with(answer())], others=[third.url, other.url])

    _, body, _ = await site("GET", f"/v1/cache/{FINGERPRINT}")

    assert [one["url"] for one in body["workers"]] == ["own", "http://other"]


async def test_what_nobody_keeps_is_404(serve: Serve) -> None:
    """So is what is no answer of ours, and what is no fingerprint."""
    other = await serve()
    site = await serve(tiers=[await tier_with(b"garbage")], others=[other.url])

    for path in (FINGERPRINT, "f" * 32, "nothing"):
        status, body, _ = await site("GET", f"/v1/cache/{path}")
        assert (status, body["error"]["code"]) == (404, "not_cached")
