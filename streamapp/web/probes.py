"""The probes and the version: small, never waiting, and the probes without a key."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from aiohttp import web
from faust.web import Blueprint, View

from streamapp.settings import Settings
from streamapp.streaming.app.health import AppHealth, Check
from streamapp.web.keys import key_of


def probes(health: AppHealth, settings: Settings) -> Blueprint:
    """Return ``/livez``, its alias ``/healthz``, ``/readyz`` and ``/version``.

    The version names the group, so that nobody takes the worker for one of another group.
    """
    blueprint = Blueprint("probes")

    @blueprint.route("/livez", name="livez")
    class Livez(View):
        """Whether the process should be left alone."""

        async def get(self, request: Any, **kwargs: Any) -> Any:
            return _answer(health.liveness())

    @blueprint.route("/healthz", name="healthz")
    class Healthz(Livez):
        """The older name of ``/livez``."""

    @blueprint.route("/readyz", name="readyz")
    class Readyz(View):
        """Whether the worker answers HTTP, and takes records."""

        async def get(self, request: Any, **kwargs: Any) -> Any:
            return _answer(health.readiness(), degraded=list(health.degraded()))

    @blueprint.route("/version", name="version")
    class Version(View):
        """What runs here."""

        async def get(self, request: Any, **kwargs: Any) -> Any:
            is_operators = key_of(request).tenant is None
            return web.json_response(
                {
                    "name": "streamapp",
                    "version": version("streamapp"),
                    "app_id": settings.app_id,
                    "brokers": settings.brokers if is_operators else None,
                }
            )

    return blueprint


def _answer(checks: Mapping[str, Check], degraded: list[str] | None = None) -> web.Response:
    ok = not any(check.is_in_the_way for check in checks.values())
    is_whole = not degraded and all(check.ok for check in checks.values())
    body: dict[str, Any] = {
        "status": "failed" if not ok else "ok" if is_whole else "degraded",
        "checks": {name: {"ok": c.ok, "detail": c.detail} for name, c in checks.items()},
    }
    if degraded is not None:
        body["degraded"] = degraded
    return web.json_response(body, status=200 if ok else 503, headers={"Cache-Control": "no-store"})
