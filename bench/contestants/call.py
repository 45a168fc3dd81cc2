"""What the hand-written programs share: their command line and one call without any policy."""

import argparse
import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

TOO_MANY = 429
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0
HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}


def parser() -> argparse.ArgumentParser:
    """Return the command line that says where a run happens."""
    parser = argparse.ArgumentParser()
    for option in ("--broker", "--group", "--requests", "--responses", "--base-url"):
        parser.add_argument(option, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    return parser


class Caller:
    """Decodes a chat record, calls the provider and makes the response record.

    Create it inside the loop; ``aclose`` when done.
    """

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/chat/completions"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), headers=HEADERS
        )

    async def answer(self, raw: bytes) -> bytes:
        """Return the response to the request record ``raw``."""
        started = time.perf_counter()
        request = orjson.loads(raw)
        body = orjson.dumps({"model": "bench-model", "messages": request["messages"]})
        completion = await self._complete(body)
        choice, usage = completion["choices"][0], completion["usage"]
        return orjson.dumps(
            {
                "id": request["id"],
                "type": request["type"],
                "status": "ok",
                "output": choice["message"]["content"],
                "model": completion["model"],
                "provider": "openai",
                "usage": {
                    "input_tokens": usage["prompt_tokens"],
                    "output_tokens": usage["completion_tokens"],
                },
                "attempts": 1,
                "duration_s": round(time.perf_counter() - started, 3),
                "finish_reason": choice["finish_reason"],
                "metadata": request.get("metadata", {}),
                "created_at": datetime.now(UTC),
            }
        )

    async def _complete(self, body: bytes) -> Any:
        """Ask until the provider answers; after a refusal twice as long as after the one before."""
        longest_s = FIRST_WAIT_S
        while True:
            async with self._session.post(self._url, data=body) as reply:
                if reply.status != TOO_MANY:
                    reply.raise_for_status()
                    return orjson.loads(await reply.read())
            await asyncio.sleep(random.uniform(0, longest_s))
            longest_s = min(2 * longest_s, LONGEST_WAIT_S)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()
