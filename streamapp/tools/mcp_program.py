"""A program that is an MCP server: its standard streams as a transport of the SDK, within bounds.

The SDK's own joins a line anew with each piece that comes, so that 50 MB take a minute of CPU, and
it logs what it cannot read with its content. See `McpServer`.
"""

import asyncio
import os
import re
import signal
from asyncio.subprocess import SubprocessStreamProtocol
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:  # an extra
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

log = structlog.get_logger(__name__)

#: Longest message of a server, bytes: a tool's result is shown up to 50,000 characters.
MESSAGE_BYTES = 4_000_000
#: How long a program may take to end by itself, and at SIGTERM; seconds.
ENDING_S = 2.0

_POLL_S = 0.01
#: Bytes at both ends of a message that is too long, where its id stands.
_ENDS = 200
_ID_FIRST = re.compile(rb'\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d+)\s*,')
_ID_LAST = re.compile(rb'"id"\s*:\s*(\d+)\s*\}\s*$')


@asynccontextmanager
async def program_streams(
    command: Sequence[str],
    values: Mapping[str, str],
    *,
    name: str,
    on_exit: Callable[[int], object] = lambda code: None,
) -> AsyncIterator[tuple[Any, Any]]:
    """Run a program; yield what the SDK reads from and writes to.

    Args:
        command: Program and arguments.
        values: Environment variables, besides PATH and its like.
        name: Of the server, for the log.
        on_exit: Called with the exit code where the program ended by itself; -N for signal N.

    Raises:
        OSError: It cannot be started.
    """
    import anyio
    from mcp.client.stdio import get_default_environment

    loop = asyncio.get_running_loop()
    # As `create_subprocess_exec`, which does not give the transport, and so no way to close it.
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(limit=MESSAGE_BYTES, loop=loop),
        *command,
        env={**get_default_environment(), **values},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=None,
        start_new_session=True,  # it is ended with all that it starts
    )
    process = asyncio.subprocess.Process(transport, protocol, loop)
    assert process.stdin is not None
    assert process.stdout is not None
    found, read = anyio.create_memory_object_stream[Any](0)
    write, said = anyio.create_memory_object_stream[Any](0)
    reading = asyncio.create_task(_read(process.stdout, found, name))
    writing = asyncio.create_task(_write(process.stdin, said, found))
    try:
        yield read, write
    finally:
        with anyio.CancelScope(shield=True):  # from the SDK's scopes, not from `Task.cancel`
            try:
                if process.stdout.at_eof() and await _has_ended(process):
                    on_exit(process.returncode or 0)
                read.close()
                write.close()
                await asyncio.wait([writing], timeout=ENDING_S)
                await _ended(process)
            finally:
                _kill(process)
                transport.close()  # asyncio waits for its output's end, which children may hold
                for task in (reading, writing):
                    task.cancel()
                await asyncio.gather(reading, writing, return_exceptions=True)


async def _read(
    stdout: asyncio.StreamReader, found: "MemoryObjectSendStream[Any]", name: str
) -> None:
    """Hand on each message; whatever else the program writes is passed over."""
    from anyio import BrokenResourceError, ClosedResourceError
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    with suppress(BrokenResourceError, ClosedResourceError):
        async with found:
            async for line, is_whole in _lines(stdout):
                try:
                    if is_whole:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    else:
                        message = _refusal(line)
                except ValueError:
                    # Its text is nobody's business, and it is not worth a connection.
                    log.warning("mcp.unreadable", server=name)
                else:
                    await found.send(SessionMessage(message))
    while await stdout.read(MESSAGE_BYTES):
        pass  # it must not wait for a reader where it is to end


async def _lines(stdout: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield each line that is not blank, and whether it is whole; else both its ends."""
    head = tail = b""
    while True:
        try:
            line = await stdout.readuntil()
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError as error:
            piece = await stdout.readexactly(error.consumed)
            head, tail = head or piece[:_ENDS], (tail + piece)[-_ENDS:]
            continue
        if head:
            yield head + (tail + line)[-_ENDS:], False
            head = tail = b""
        elif line.strip():
            yield line, True


def _refusal(ends: bytes) -> Any:
    """Return an error in place of an answer that is too long.

    Raises:
        ValueError: Nobody knows which question it answers.
    """
    from mcp.types import INTERNAL_ERROR, ErrorData, JSONRPCError

    number = _ID_FIRST.match(ends) or _ID_LAST.search(ends)
    if number is None:
        raise ValueError("no id")
    problem = f"its answer has more than {MESSAGE_BYTES:,} bytes: ask for less"
    error = ErrorData(code=INTERNAL_ERROR, message=problem)
    return JSONRPCError(jsonrpc="2.0", id=int(number[1]), error=error)


async def _write(
    stdin: asyncio.StreamWriter,
    said: "MemoryObjectReceiveStream[Any]",
    found: "MemoryObjectSendStream[Any]",
) -> None:
    """Hand each message to the program; where it takes none, the connection has ended."""
    try:
        async with said:
            async for one in said:
                text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
                stdin.write(text.encode() + b"\n")
                await stdin.drain()
    except OSError:
        await found.aclose()
    finally:
        stdin.close()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait until a program whose input was closed has ended; end it where it takes too long."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if await _has_ended(process):
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
    await _has_ended(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End a program that still runs, without a wait."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Wait for its end, not for that of its streams, which its children may hold."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING_S):
            while process.returncode is None:  # noqa: ASYNC110  # nothing else tells
                await asyncio.sleep(_POLL_S)
            return True
    return False
