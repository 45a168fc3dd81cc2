"""The load of the soak: each kind of record, bursts, HTTP callers, changing prompts, guests."""

import asyncio
import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

import aiohttp

from streamapp.prompts.events import Labelled, Published, now
from tests.e2e.stage import Record, Stage
from tests.e2e.test_prompts import generate, history_of
from tests.support.judgement import Call
from tests.support.worker import WorkerProcess

KEYS = 200
#: Records of a burst: more than a worker has calls in flight, or connections to Redis.
BURST = 400
#: A worker may start slowly where other things run: that is no part of what is judged.
START_S = 600
#: Records that are paid once each; the others share their calls or have them refused first.
PAID_ONCE = "r-"
CONFIG = """
[providers.openai]
kind = "openai"
base_url = "{url}"
api_key_env = "OPENAI_API_KEY"
requests_per_minute = 1500
tokens_per_minute = 2000000
max_concurrency = 64

[models.default]
targets = ["openai/fake-model", "openai/second-model"]

[models.small]
targets = ["openai/small-model"]

[budgets.all]
limit_tokens = 50000
action = "warn"

[budgets.tenants]
limit_records = 1000
per = "tenant"
action = "downgrade"
model = "small"
"""


def records(count: int, dice: random.Random) -> Iterator[Record]:
    """Return records of every kind, each with its own answer."""
    for number in range(count):
        key, kind = f"key-{dice.randrange(KEYS)}", dice.random()
        script: Any = {"latency_s": round(min(3.0, dice.expovariate(5)), 3), "unique": True}
        id_, more = f"{PAID_ONCE}{number}", dict[str, Any]()
        text = id_
        if kind < 0.15:
            yield generate(id_, key=key)
            continue
        if kind < 0.30:
            more = {"stream": True}
            script = {"drip_s": 0.02, "unique": True}
        elif kind < 0.40:  # equal to others of the same minute or so
            id_, text = f"equal-{number}", f"question-{number // 600}"
        elif kind < 0.45:
            id_ = text = f"refused-{number}"
            script = [{"status": 503}, script]
        elif kind < 0.49:
            script = {"latency_s": 0.1, "size": 20_000}
        elif kind < 0.50:
            more = {"unknown_field": 1}
        messages = [{"role": "user", "content": f"{text} [[fake:{json.dumps(script)}]]"}]
        tenant = dice.choice(["acme", "acme", "acme", "small", "other"])
        body = {"id": id_, "type": "chat", "messages": messages, "metadata": {"tenant": tenant}}
        yield Record(json.dumps(body | more).encode(), key.encode())


def burst(name: str) -> list[Record]:
    """Return records that come all at once: as many connections are opened as there may be."""
    found = []
    for number in range(BURST):
        id_ = f"{PAID_ONCE}{name}-{number}"
        marker = f"[[fake:{json.dumps({'latency_s': 2.0, 'unique': True})}]]"
        body = {
            "id": id_,
            "type": "chat",
            "messages": [{"role": "user", "content": f"{id_} {marker}"}],
            "metadata": {"tenant": "acme"},
        }
        found.append(Record(json.dumps(body).encode(), f"{name}-{number}".encode()))
    return found


async def send_bursts(stage: Stage, seconds: float) -> int:
    """Send a burst at once and one at half of the time; return how many records those were."""
    sent = await stage.produce(burst("first"))
    await asyncio.sleep(seconds / 2)
    return sent + await stage.produce(burst("second"))


def paid(stage: Stage) -> list[Call]:
    """Return the calls of the records that are paid once each."""
    return [call for call in stage.calls() if call.id.startswith(PAID_ONCE)]


async def call_over_http(workers: list[WorkerProcess], done: asyncio.Event) -> None:
    """Ask twice a second, every other time for a stream, of which some callers go away."""
    async with aiohttp.ClientSession() as http:
        number = 0
        while not done.is_set():
            number += 1
            messages = [{"role": "user", "content": f"http-{number}"}]
            body = {"type": "chat", "messages": messages, "stream": number % 2 == 0}
            url = f"http://127.0.0.1:{workers[number % len(workers)].port}/v1/generate"
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.post(url, json=body) as response:
                    if number % 6:
                        await response.read()
                    else:
                        await response.content.readany()
                        response.close()
            await _pause(done, 0.5)


async def change_prompts(stage: Stage, done: asyncio.Event) -> int:
    """Put a new version in production every 20 s; return how many there were."""
    step = 1
    while not done.is_set():
        async with history_of(stage) as prompts:
            text = f"{{{{ id }}}} version {step}"
            published = await prompts.write("haiku", Published(body=text, created_at=now()))
            published.check("haiku")
            version = prompts.history.prompts["haiku"].labels["latest"]
            event = Labelled(label="production", version=version, created_at=now())
            (await prompts.write("haiku", event)).check("haiku")
        step += 1
        await _pause(done, 20)
    return step - 1


async def have_guests(
    stage: Stage, dice: random.Random, done: asyncio.Event, **settings: Any
) -> list[WorkerProcess]:
    """Start a worker, have it stop or die within a minute, over and over; return them all."""
    guests = []
    while not done.is_set():
        guest = stage.start_worker(**settings)
        guests.append(guest)
        await guest.wait_ready(START_S)
        await _pause(done, dice.uniform(15, 60))
        if dice.random() < 0.3:
            stage.kill9(guest)
        else:
            guest.sigterm()
            assert await guest.wait(START_S) == 0, guest.tail()
        await _pause(done, dice.uniform(5, 20))
    return guests


async def _pause(done: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), seconds)
