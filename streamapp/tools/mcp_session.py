"""A connection to an MCP server by the official SDK, and the reading of what comes over it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Session(Protocol):
    """A connection of the SDK; see ``mcp.Client``."""

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        """Return the result of a tool."""
        ...

    async def list_tools(self, *, cursor: str | None = None, cache_mode: Any = ...) -> Any:
        """Return a page of its tools."""
        ...

    def listen(
        self, *, tools_list_changed: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[object]]:
        """Ask to be told of changes."""
        ...


async def until_lost(session: Session, *, on_change: Callable[[], object]) -> bool:
    """Call back at each change of the server's tools, until it tells no more.

    Since the protocol of 2026-07-28 a client has to ask for it; earlier servers tell all of theirs,
    see ``message_handler`` of the SDK's client.

    Returns:
        Whether it is worth asking again.
    """
    from mcp import MCPError
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

    try:
        async with session.listen(tools_list_changed=True) as changes:
            on_change()  # what came before is not told
            async for _ in changes:
                on_change()
    except ListenNotSupportedError:
        return False
    except (MCPError, SubscriptionLost):
        pass
    return True


def text_of(result: Any) -> str:
    """Return a result as text: its text, or the structure that it gives in its place."""
    texts = [block.text for block in result.content if block.type == "text"]
    others = sorted({block.type for block in result.content} - {"text"})
    if not texts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join([*texts, *(f"[{kind}: not shown]" for kind in others)])


def is_of_connection(error: Any) -> bool:
    """Whether the connection ended, by the SDK's own code for that."""
    from mcp.types import CONNECTION_CLOSED

    return bool(error.error.code == CONNECTION_CLOSED)


def name_of(error: BaseException) -> str:
    """Return what went wrong in one word: a message could hold what a header held."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
