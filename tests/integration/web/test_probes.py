"""The probes over HTTP."""

import pytest

from streamapp.streaming.app.health import Check

from .conftest import FakeHealth, Serve


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
async def test_probe_answers_200_and_names_each_check(serve: Serve, path: str) -> None:
    """A healthy worker answers 200 with every check by name."""
    site = await serve()

    status, body, headers = await site("GET", path)

    assert status == 200
    assert body["status"] == "ok"
    assert all(check["ok"] for check in body["checks"].values())
    assert body["checks"]
    assert headers["Cache-Control"] == "no-store"


async def test_readyz_answers_503_and_tells_why(serve: Serve, health: FakeHealth) -> None:
    """One failing check makes the worker unready, not dead."""
    site = await serve()
    health.ready["broker"] = Check(False, "no answer for 12 s")

    status, body, _ = await site("GET", "/readyz")

    assert (status, body["status"]) == (503, "failed")
    assert body["checks"]["broker"] == {"ok": False, "detail": "no answer for 12 s"}
    assert (await site("GET", "/livez"))[0] == 200


async def test_livez_answers_503_when_the_process_is_lost(serve: Serve, health: FakeHealth) -> None:
    """A failing liveness check shows on both names."""
    site = await serve()
    health.live["loop"] = Check(False, "blocked for 20 s")

    assert (await site("GET", "/livez"))[0] == 503
    assert (await site("GET", "/healthz"))[0] == 503


async def test_degraded_worker_stays_ready(serve: Serve, health: FakeHealth) -> None:
    """A provider's outage is named, and is no reason to take the worker out."""
    site = await serve()
    health.impaired = ["provider openai: breaker open"]

    status, body, _ = await site("GET", "/readyz")

    assert (status, body["status"]) == (200, "degraded")
    assert body["degraded"] == ["provider openai: breaker open"]


async def test_readyz_answers_200_in_a_rebalance(serve: Serve, health: FakeHealth) -> None:
    """All workers rebalance at once: taking them all out would be an outage of its own."""
    site = await serve()
    health.ready["assigned"] = Check(False, "waiting for the group", is_excused=True)

    status, body, _ = await site("GET", "/readyz")

    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"]["assigned"] == {"ok": False, "detail": "waiting for the group"}


async def test_head_is_answered_without_a_body(serve: Serve) -> None:
    """Load balancers that ask with HEAD get the status alone."""
    site = await serve()

    assert (await site("HEAD", "/readyz"))[:2] == (200, None)


async def test_version_names_the_package(serve: Serve) -> None:
    """The version is that of the installed distribution."""
    site = await serve()

    status, body, _ = await site("GET", "/version")

    assert (status, body["name"]) == (200, "streamapp")
    assert body["version"][0].isdigit()
