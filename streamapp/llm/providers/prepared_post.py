"""A POST to one URL whose head is written once: a call adds its body and the body's length.

aiohttp builds the URL, the headers, a request, a response and a task anew for each call, which is
more than half of what the call costs. Its pool of connections, its TLS and its parser are used as
they are.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from streamapp.llm.attempt import permitted


@dataclass(slots=True)
class Reply:
    """An answer whose body is still to be read; `release` it afterwards.

    Attributes:
        status: Of HTTP.
        headers: As they came.
        content: The body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: aiohttp.StreamReader
    _connection: Connection

    def release(self) -> None:
        """Give the connection back to the pool; one whose body was not read is closed."""
        self._connection.release()


class PreparedPost:
    """Posts to one URL with one session's headers, directly: no proxy, no redirect, no cookie.

    Args:
        session: Whose connections and headers are used; it closes them.
        url: Without a user.
    """

    def __init__(self, session: aiohttp.ClientSession, url: URL) -> None:
        assert session.connector is not None
        self._connector = session.connector
        self._timeout = session.timeout
        self._request = ClientRequest(
            hdrs.METH_POST,
            url,
            headers=session.headers,
            data=b"{}",
            loop=asyncio.get_running_loop(),
            session=session,
        )
        headers = {k: v for k, v in self._request.headers.items() if k != hdrs.CONTENT_LENGTH}
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header holds a line break")
        self._head = "\r\n".join([*lines, f"{hdrs.CONTENT_LENGTH}: "]).encode()

    async def send(self, body: bytes) -> Reply:
        """Send ``body`` and return the head of its answer.

        Raises:
            aiohttp.ClientError, OSError: As of `aiohttp.ClientSession.post`.
            LeaseLost: Another worker answers the record since the connection was asked for.
        """
        try:
            connection = await self._connector.connect(self._request, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("connection timeout") from error
        try:
            await permitted()  # a new connection took its time
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was closed")
            protocol.set_response_params(read_until_eof=True)
            transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            while True:
                message, content = await protocol.read()
                if not 100 <= message.code < 200:
                    return Reply(message.code, message.headers, content, connection)
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                self._request.request_info, (), status=error.code, message=error.message
            ) from error
        except BaseException:
            connection.close()
            raise
