"""The check of `streamapp check` that asks a running worker, where one answers."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from streamapp.cli.finding import Finding
from streamapp.cli.terminal import counted
from streamapp.cli.worker_access import NoWorker, WorkerAccess
from streamapp.errors import ConfigurationError, StreamappError
from streamapp.processors.registry import Registry
from streamapp.settings import Settings
from streamapp.streaming.addresses import shared_line

#: Longest wait for an answer, seconds; it may wait itself for workers that do not answer.
TIMEOUT_S = 4.0


async def workers(settings: Settings) -> list[Finding]:
    """Look at the addresses of the group's workers; there need not be any."""
    try:
        async with WorkerAccess(settings, timeout_s=TIMEOUT_S) as worker:
            told = (await worker.get("/v1/workers") or {}).get("workers") or []
    except ConfigurationError:
        return []  # said of the certificate
    except NoWorker:
        return [Finding("workers", True, f"none answers at {worker.base}")]
    except StreamappError as error:
        problem, *_ = re.split(r"(?::|, or) use --url", str(error))  # which `check` has not
        return [Finding("workers", True, problem, is_note=True)]
    wrong = [*_wrong(told), *_without_types(told), *_without_own_types(told, own_types(settings))]
    if wrong or not told:
        return wrong
    return [Finding("workers", True, f"{counted(len(told), 'worker')}, each asked at its address")]


def _wrong(told: list[Mapping[str, Any]]) -> Iterator[Finding]:
    for one in told:
        url, members = one["url"], one.get("members", 1)  # those before 0.2 do not count them
        if members > 1:
            yield Finding("workers", False, shared_line(url, members))
        elif one["now"] is None:
            unheard = (
                f"{url} does not answer the others: is it STREAMAPP_WEB_URL of a worker, where"
            )
            yield Finding("workers", True, f"{unheard} they reach it?", is_note=True)


def own_types(settings: Settings) -> set[str]:
    """Return the record types of these settings; none where their modules are wrong."""
    try:
        return set(Registry.load(settings.processor_modules).types)
    except ConfigurationError:
        return set()  # said of the processors


def _without_own_types(told: list[Mapping[str, Any]], own: set[str]) -> Iterator[Finding]:
    """Name types that no worker knows yet, as before a restart with new settings."""
    known = [set(one["now"]["types"]) for one in told if "types" in (one["now"] or {})]
    if known and (missing := sorted(own - set[str]().union(*known))):
        yield Finding(
            "workers",
            True,
            f"no worker knows {', '.join(missing)}, which these settings do: until workers are"
            " started with them, records of them are dead letters 'unknown_type'",
            is_note=True,
        )


def _without_types(told: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """Name workers that would refuse what others answer: which of them takes a record is chance."""
    # Those before 0.2 do not tell them.
    known = {one["url"]: set(one["now"]["types"]) for one in told if "types" in (one["now"] or {})}
    everybodys = set[str]().union(*known.values())
    for url, types in sorted(known.items()):
        if missing := sorted(everybodys - types):
            yield Finding(
                "workers",
                False,
                f"{url} does not know {', '.join(missing)}, as others do: its records of them are"
                " dead letters 'unknown_type'. Give all workers the same STREAMAPP_PROCESSORS",
            )
