"""The named steps of a record, told from the stack that a worker's time is spent in."""

from collections.abc import Sequence

#: A function: its file, its line and its qualified name.
Frame = tuple[str, int, str]

#: What belongs to no record: turns of the loop, timers, what is read for views.
BESIDE = "loop and rest"

#: Steps in their order in a record's life, each with the functions that it begins in, as the end
#: of a file's path and, behind a colon, the beginning of a qualified name. The innermost function
#: of a stack that is named here decides.
STEPS: dict[str, tuple[str, ...]] = {
    "take": (
        "streaming/consumer/",
        "streaming/window/window.py:Window.take",
        "streaming/window/taken_record.py:TakenRecord.__init__",
        "faust/transport/consumer.py:Consumer.getmany",
        "faust/transport/consumer.py:Consumer._drain_messages",
        "faust/transport/conductor.py",
        "aiokafka/consumer/",
        "faust/transport/drivers/aiokafka.py:AIOKafkaConsumer",
        "bench/contestants/keyed.py:Keyed.consume",
    ),
    "run": (
        "streaming/window/window.py",
        "streaming/app/blocking.py",
        "streaming/record_handler.py",
        "bench/contestants/keyed.py:Keyed._answer",
    ),
    "decode": (
        "streaming/record_handler.py:RecordHandler._read",
        "records/codec.py",
        "streaming/flows/outlet.py:Outlet.decode",
    ),
    "look up": (
        "streaming/delivery/ledger.py:Ledger.lookup",
        "streaming/delivery/ledger_entry.py:digest",
    ),
    "policies": ("streamapp/processors/", "streamapp/llm/", "streamapp/prompts/"),
    "request": ("streamapp/llm/providers/",),
    "HTTP": ("streamapp/llm/providers/http.py", "aiohttp/", "bench/contestants/call.py:Caller._"),
    "encode": (
        "records/response.py",
        "streaming/flows/outlet.py:Outlet.records",
        "bench/contestants/call.py:Caller.answer",
    ),
    "ledger": (
        "streaming/delivery/ledger.py:Ledger.write",
        "streaming/delivery/ledger_entry.py",
        "streaming/tables/answers.py:AnswersTable.append",
    ),
    "two sends": (
        "streaming/delivery/emitter.py",
        "streaming/delivery/producer.py",
        "streaming/app/lifecycle.py:StreamApp.produce",
        "aiokafka/producer/",
    ),
    "broker's connections": ("aiokafka/conn.py", "aiokafka/client.py", "aiokafka/protocol/"),
    "measure": (
        "streaming/delivery/outcomes.py",
        "streaming/app/faust_metrics.py",
        "streaming/app/summary.py",
        "streamapp/telemetry/",
        "prometheus_client/",
        "structlog/",
    ),
    "commit": (
        "streaming/window/window.py:Window._finished",
        "streaming/window/window.py:Window.progress",
        "streaming/window/partition_state.py:PartitionState.progress",
        "streaming/consumer/ordered_commits.py",
        "faust/transport/consumer.py:Consumer.commit",
        "aiokafka/consumer/group_coordinator.py",
        "bench/contestants/keyed.py:Keyed.commit",
    ),
}

_MARKS = sorted(
    ((*mark.partition(":")[::2], step) for step, marks in STEPS.items() for mark in marks),
    key=lambda mark: -len(mark[0] + mark[1]),
)


def step_of(stack: Sequence[Frame]) -> str:
    """Return the step that a stack belongs to.

    Args:
        stack: From the innermost function outwards.
    """
    return next((step for frame in stack if (step := _begun_by(frame))), BESIDE)


def _begun_by(frame: Frame) -> str | None:
    """Return the step that begins in a function: of the longest mark that names it."""
    path, _, name = frame
    for place, prefix, step in _MARKS:
        is_there = place in path if place.endswith("/") else path.endswith(place)
        if is_there and name.startswith(prefix):
            return step
    return None
