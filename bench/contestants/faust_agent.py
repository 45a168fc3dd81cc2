"""What one writes with Faust alone: an agent that awaits the call and sends the answer."""

import argparse
from functools import cached_property

import faust
import mode.loop

from bench.contestants.call import Caller, parser


class App(faust.App):
    """An app with a session to the provider, made inside the loop."""

    base_url = ""

    @cached_property
    def caller(self) -> Caller:
        return Caller(self.base_url)

    async def on_stop(self) -> None:
        await self.caller.aclose()
        await super().on_stop()


def build(options: argparse.Namespace) -> App:
    """Return an app with the one agent."""
    app = App(
        options.group,
        broker=f"kafka://{options.broker}",
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
    )
    app.base_url = options.base_url
    requests = app.topic(options.requests, key_serializer="raw", value_serializer="raw")
    responses = app.topic(options.responses, key_serializer="raw", value_serializer="raw")

    @app.agent(requests, concurrency=1 if options.sequential else options.in_flight)
    async def answer(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            await responses.send(key=event.key, value=await app.caller.answer(event.value))

    return app


if __name__ == "__main__":
    command_line = parser()
    command_line.add_argument("--sequential", action="store_true")
    mode.loop.use("uvloop")
    faust.Worker(build(command_line.parse_args()), loglevel="WARN").execute_from_commandline()
