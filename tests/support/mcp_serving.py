"""A real MCP server over HTTP for the time of a block."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "tests.support.mcp_server"]


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[None]:
    """Run `mcp_server` on a port; returns once it listens."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, str(port), cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await process.wait()
