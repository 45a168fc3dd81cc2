"""The parts of the client's thread that seek and commit, over a fake client."""

from types import SimpleNamespace
from typing import Any

from faust.types import TP

from streamapp.streaming.consumer.group_member import GroupMemberThread
from streamapp.streaming.consumer.offset_commits import OffsetCommits
from streamapp.streaming.window.partition_state import Progress


class FakeThread:
    """It calls in place what the real one calls in a thread of its own.

    Args:
        client: As much of one as the test needs.
    """

    _commit_progress = GroupMemberThread._commit_progress
    _seek_to_committed = GroupMemberThread._seek_to_committed
    _stored = GroupMemberThread._stored
    _commit_first = GroupMemberThread._commit_first
    _note_topics = GroupMemberThread._note_topics

    def __init__(self, client: Any) -> None:
        self.client = client
        self.app = SimpleNamespace(inputs={"llm.requests"})
        self.committed: dict[TP, Progress] = {}
        self.read_of: dict[TP, bytes] = {}
        self.made_anew: dict[TP, bytes] = {}
        self._once_read_of: dict[TP, bytes] = {}
        self._commits = OffsetCommits()

    def _ensure_consumer(self) -> Any:
        return self.client

    async def commit(self, progress: dict[TP, Progress], *, until_taken: bool = False) -> Any:
        return await self._commit_progress(progress, until_taken)  # type: ignore[misc]

    async def seek(self) -> Any:
        return await self._seek_to_committed(self.client)  # type: ignore[misc]
