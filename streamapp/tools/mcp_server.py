"""MCP servers as sources of tools: connected once per worker, and again after a loss.

The SDK is the extra ``mcp``; only this module, `mcp_session` and the two transports import it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import structlog
from pydantic import ValidationError

from streamapp.errors import ConfigurationError, ToolError
from streamapp.settings.mcp import McpSettings
from streamapp.tools.mcp_listing import McpTool, listed
from streamapp.tools.mcp_program import ENDING_S, program_streams
from streamapp.tools.mcp_session import Session, is_of_connection, name_of, text_of, until_lost

log = structlog.get_logger(__name__)

#: Between attempts to connect, seconds: it doubles from the first to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
#: Between two cancellations of a connection that is to close, seconds: a program ends meanwhile.
CANCEL_AGAIN_S = 6 * ENDING_S
#: A listing that no server changes is asked for again after this time, seconds.
LISTING_S = 60.0


class McpServer:
    """One server: its connection, and what it offers.

    A task of its own holds the connection, since the SDK wants it closed where it was opened.

    Args:
        name: As in ``[mcp.NAME]``.
        settings: Of it.
        listing_s: Between two listings, seconds.
    """

    def __init__(self, name: str, settings: McpSettings, *, listing_s: float = LISTING_S) -> None:
        self._listing_s = listing_s
        self.name = name
        self.timeout_s = settings.timeout_s
        self._settings = settings
        self._session: Session | None = None
        self._listed: list[McpTool] = []
        self._is_known = asyncio.Event()
        self._was_tried = asyncio.Event()
        self._exit_codes: list[int] = []  # of a program that ended, until it is told
        self._problem = ""
        self._look_again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._awaited_until = 0.0  # by the loop's clock
        self._is_lost = False
        self._is_closing = False

    @property
    def is_away(self) -> bool:
        """Whether there is no connection."""
        return self._session is None

    @property
    def known(self) -> Sequence[McpTool]:
        """What it offered last, by name; nothing before it was reached."""
        return self._listed

    @property
    def is_awaited(self) -> bool:
        """Whether it was never reached, and its timeout, from the start on, is not over."""
        if self._is_known.is_set():
            return False
        return self._task is None or asyncio.get_running_loop().time() < self._awaited_until

    def start(self) -> None:
        """Connect, in the background."""
        if self._task is None:
            self._awaited_until = asyncio.get_running_loop().time() + self.timeout_s
            self._task = asyncio.create_task(self._hold(), name=f"mcp-{self.name}")

    async def first_try(self) -> str:
        """Connect once, and return why that failed; empty where it did not."""
        self.start()
        await self._was_tried.wait()
        return self._problem

    async def aclose(self) -> None:
        """Close the connection; a program is ended."""
        self._is_closing = True
        while self._task is not None and not self._task.done():
            self._task.cancel()  # again: a connection that fails as it is closed swallows one
            await asyncio.wait([self._task], timeout=CANCEL_AGAIN_S)

    async def tools(self) -> Sequence[McpTool]:
        """Return what it offers, by name; what it offered last where it is away.

        Where it was never reached, that is waited for until its timeout, from the start on, is
        over: one time for all who ask. From then on it is nothing at once, until it is reached; and
        from the start on where its program is not there.
        """
        self.start()
        if self.is_awaited:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._awaited_until):
                    await self._is_known.wait()
        return self._listed

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Return the result of a tool as text.

        Raises:
            ToolError: The server is away, or says that it failed.
        """
        from mcp import MCPError

        session = self._session
        if session is None:
            raise ToolError(f"the server '{self.name}' is away; do without it, or say so")
        try:
            result = await session.call_tool(name, dict(arguments))
        except MCPError as error:
            if not is_of_connection(error):
                raise ToolError(
                    f"the server '{self.name}' refused the call: {error.error.message}"
                ) from None
            self._lose(error)
        except ValidationError:
            raise ToolError(f"the server '{self.name}' gave what is no result") from None
        except Exception as error:
            self._lose(error)
        else:
            text = text_of(result)
            if result.is_error:
                raise ToolError(text or "it failed")
            return text
        raise ToolError(f"the server '{self.name}' is away; do without it, or say so")

    def _lose(self, error: Exception) -> None:
        """Connect anew."""
        log.warning("mcp.lost", server=self.name, error=type(error).__name__)
        self._session = None
        self._is_lost = True
        self._look_again.set()

    async def _hold(self) -> None:
        """Connect, list, list again when told to; for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self.timeout_s):
                        session = await self._connected(stack)
                        self._listed = await listed(session, self, allow=self._settings.allow)
                    self._is_lost, self._session = False, session
                    self._problem = ""
                    self._is_known.set()
                    self._was_tried.set()
                    log.info("mcp.connected", server=self.name, tools=len(self._listed))
                    pause_s = FIRST_PAUSE_S
                    hearing = asyncio.create_task(self._await_changes(session))
                    try:
                        await self._keep_listing(session)
                    finally:
                        hearing.cancel()
                        await asyncio.wait([hearing])
            except Exception as error:
                self._tell(error, pause_s)
            finally:
                self._session = None
            if self._is_closing:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def _tell(self, error: Exception, pause_s: float) -> None:
        """Log that the server is away, with the exit code of a program that ended."""
        self._problem, told = f"it cannot be reached ({name_of(error)})", dict[str, int]()
        if self._exit_codes:
            told["exit_code"] = code = self._exit_codes.pop()
            self._problem = f"its program ended with exit code {code}: run its command to see why"
        wait_s = round(pause_s, 1)
        log.warning("mcp.away", server=self.name, error=name_of(error), **told, next_try_s=wait_s)
        self._was_tried.set()
        if isinstance(error, FileNotFoundError | PermissionError):
            self._is_known.set()  # no program comes by itself: nobody waits for it

    async def _keep_listing(self, session: Session) -> None:
        """Return when the connection is lost; raises what a listing raises."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._listing_s):
                    await self._look_again.wait()
            self._look_again.clear()
            if self._is_lost:
                return
            async with asyncio.timeout(self.timeout_s):
                self._listed = await listed(session, self, allow=self._settings.allow)

    async def _await_changes(self, session: Session) -> None:
        """Have the list read again when the server says so; where it cannot, the time decides."""
        while True:
            if not await until_lost(session, on_change=self._look_again.set):
                return
            await asyncio.sleep(self._listing_s)

    async def _connected(self, stack: AsyncExitStack) -> Session:
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        from streamapp.tools.mcp_http import http_client

        settings = self._settings
        values = {name: value.get_secret_value() for name, value in settings.values.items()}
        server: Any
        if settings.url is not None:
            http = http_client(values, timeout_s=self.timeout_s)
            await stack.enter_async_context(http)
            server = streamable_http_client(settings.url, http_client=http)
        else:
            server = program_streams(
                settings.command, values, name=self.name, on_exit=self._exit_codes.append
            )
        client = Client(server, message_handler=self._noticed, cache=None)
        session: Session = await stack.enter_async_context(client)
        return session

    async def _noticed(self, message: Any) -> None:
        """Take what the server says of its own accord: that its tools have changed."""
        if "ToolListChanged" in type(getattr(message, "root", message)).__name__:
            self._look_again.set()
        elif isinstance(message, Exception):  # not a message: its text is nobody's business
            log.warning("mcp.unreadable", server=self.name)


def mcp_servers(settings: Mapping[str, McpSettings]) -> list[McpServer]:
    """Return the servers of the file.

    Raises:
        ConfigurationError: There are some, and the SDK is not installed.
    """
    if settings:
        if find_spec("mcp") is None:
            raise ConfigurationError(
                "[mcp.NAME] needs MCP's SDK: from a clone pip install '.[mcp]'"
            )
        # Here, before the worker is in its group: it takes a second, and no heartbeat goes on.
        import_module("mcp")
    return [McpServer(name, one) for name, one in settings.items()]
