"""A running worker that `streamapp explain` asks while it answers, and does without afterwards."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import click

from streamapp.cli.kept_answers import KeptAnswer, WorkerPartitions
from streamapp.cli.worker_access import WorkerAccess
from streamapp.errors import StreamappError, ToolError
from streamapp.llm.client import LLMClient
from streamapp.records.codec import recover_id
from streamapp.streaming.addresses import shared_line
from streamapp.tools.offered import OfferedTool


@dataclass(frozen=True, slots=True)
class ToldTool:
    """A tool of an MCP server as the worker told of it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    timeout_s: float

    async def call(self, arguments: Mapping[str, Any], llm: LLMClient) -> str:
        """Refuse: no tool is called here."""
        raise ToolError("no tool is called by a dry run")


class AskedWorker:
    """A running worker, until it does not answer: then it is asked no more, which is said.

    Attributes:
        answers: Whether it did so far.
    """

    def __init__(self, worker: WorkerAccess) -> None:
        self._worker = worker
        self.answers = True

    async def begin(self) -> None:
        """Find out whether one answers."""
        await self._get(f"/v1/cache/{'0' * 32}")

    async def workers(self, count: Callable[[], Awaitable[int | None]]) -> WorkerPartitions:
        """Return the group; empty where nobody tells, or several have one address.

        Args:
            count: Returns how many partitions the topic of the records has, where it is known.
        """
        found = await self._get("/v1/workers")
        told = [] if found is None else found["workers"]
        for one in told:
            if one.get("members", 1) > 1:
                click.echo(shared_line(one["url"], one["members"]), err=True)
                return WorkerPartitions()
        partitions = {one["url"]: one["partitions"] for one in told}
        return WorkerPartitions(partitions, await count() if len(partitions) > 1 else None)

    async def kept(self, fingerprint: str) -> Sequence[KeptAnswer]:
        """Return who keeps the answer of a fingerprint.

        Raises:
            StreamappError: The worker is not asked any more.
        """
        found = await self._get(f"/v1/cache/{fingerprint}")
        if not self.answers:
            raise StreamappError("no worker is asked")
        if found is None:
            return []
        # Workers before 0.2 do not say which of them.
        told = found.get("workers") or [{"url": "", **found}]
        return [KeptAnswer(one["url"], one["tier"], float(one["created_at"])) for one in told]

    async def steps(self, value: bytes) -> Sequence[Mapping[str, Any]]:
        """Return the steps so far of the record, where a worker runs it now."""
        id = recover_id(value)
        status = None if id is None else await self._get(f"/v1/requests/{quote(id, safe='')}")
        return () if status is None else status.get("steps") or ()

    async def offered(self) -> Mapping[str, Sequence[OfferedTool]] | None:
        """Return by MCP server the tools that it offers the worker; None where nobody tells."""
        found = await self._get("/v1/tools")
        if found is None:
            return None
        offered: dict[str, list[OfferedTool]] = {one["name"]: [] for one in found["servers"]}
        for tool in found["tools"]:
            kind, _, server = tool["source"].partition(".")
            if kind == "mcp" and server in offered:
                shape = tool["description"], tool["parameters"], tool["timeout_s"]
                offered[server].append(ToldTool(tool["name"], *shape))
        return offered

    async def _get(self, path: str) -> Any | None:
        if not self.answers:
            return None
        try:
            return await self._worker.get(path)
        except StreamappError as error:
            self.answers = False
            click.echo(f"caches are not looked at: {error}", err=True)
            return None
