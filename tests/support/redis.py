"""A real Redis for the tests, from the system's packages."""

import asyncio
import shutil
from pathlib import Path
from typing import Self

from tests.support.waiting import until


class RedisUnavailable(Exception):
    """There is no redis-server to run."""


class RedisServer:
    """One `redis-server` on a socket of its own, which can be stopped and started again."""

    def __init__(self, directory: Path, *, password: str = "") -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RedisUnavailable(
                "redis-server is not installed (Debian: apt install redis-server)"
            )
        self._program = program
        self._directory = directory
        self._socket = directory / "redis.sock"
        self._password = password
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """For ``CACHE_URL``."""
        return f"unix://{self._socket}?db=0"

    async def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        if self._password:
            arguments += ["--requirepass", self._password]
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            cwd=self._directory,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await until(self._socket.exists, 60)

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._socket.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
