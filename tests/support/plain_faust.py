"""What a team writes without streamapp: a Faust agent with `concurrency=10` on the same topics.

It answers `chat` records by an OpenAI-compatible server. It is here to lose records.
"""

import os
from typing import Any

import aiohttp
import faust

TOPIC_PREFIX = os.environ["STREAMAPP_TOPIC_PREFIX"]

app = faust.App(
    os.environ["STREAMAPP_APP_ID"],
    broker=os.environ["STREAMAPP_BROKER"],
    broker_session_timeout=float(os.environ["STREAMAPP_SESSION_TIMEOUT_S"]),
    broker_heartbeat_interval=2.0,
    datadir=os.environ["STREAMAPP_DATA_DIR"],
    topic_partitions=int(os.environ["STREAMAPP_PARTITIONS"]),
    topic_disable_leader=True,
    value_serializer="json",
)
requests = app.topic(f"{TOPIC_PREFIX}.requests")
responses = app.topic(f"{TOPIC_PREFIX}.responses")


@app.agent(requests, concurrency=10)
async def answer(stream: faust.StreamT[dict[str, Any]]) -> None:
    """Answer each record as soon as its call is done."""
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    async with aiohttp.ClientSession() as http:
        async for event in stream.events():
            record = event.value
            call = {"model": os.environ["STREAMAPP_MODEL"], "messages": record["messages"]}
            async with http.post(url, json=call) as reply:
                output = (await reply.json())["choices"][0]["message"]["content"]
            response = {"id": record["id"], "output": output}
            await responses.send(key=event.key, value=response)


if __name__ == "__main__":
    app.main()
