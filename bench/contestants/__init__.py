"""The programs that are compared; each answers the same records on the same broker."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from bench.workloads import Workload
from tests.support.process import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run happens.

    Attributes:
        broker: ``HOST:PORT``.
        prefix: Of the run's topics; also its consumer group.
        base_url: The provider's, up to ``/v1``.
        folder: The run's own working folder.
        web_port: A free port, for a program that serves HTTP.
        in_flight: Most calls in flight.
    """

    broker: str
    prefix: str
    base_url: str
    folder: Path
    web_port: int
    in_flight: int

    def of_worker(self, number: int) -> "Place":
        """Return the same topics and group with a folder and a port for one of its workers."""
        folder = self.folder / f"worker-{number}"
        folder.mkdir()
        return replace(self, folder=folder, web_port=free_port())

    @property
    def requests(self) -> str:
        return f"{self.prefix}.requests"

    @property
    def responses(self) -> str:
        return f"{self.prefix}.responses"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.requests-dlt"

    @property
    def changelog(self) -> str:
        """What a Faust app writes its table ``answers`` to."""
        return f"{self.prefix}-answers-changelog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A program written by hand for the comparison, steered by its command line.

    Attributes:
        module: What ``python -m`` runs.
        options: Words after those that name the place.
        is_sequential: One call at a time: measured on few records and extrapolated.
        has_probe: Whether ``/readyz`` at its port says that it takes records.
    """

    name: str
    title: str
    module: str
    options: tuple[str, ...] = ()
    is_sequential: bool = False
    has_probe: bool = False

    def command(self, place: Place) -> list[str]:
        """Return the words after ``python -m``."""
        words = {
            "--broker": place.broker,
            "--group": place.prefix,
            "--requests": place.requests,
            "--responses": place.responses,
            "--base-url": place.base_url,
            "--in-flight": str(place.in_flight),
        }
        return [self.module, *(word for pair in words.items() for word in pair), *self.options]

    def environment(self, place: Place) -> dict[str, str]:
        """Return the variables the program needs."""
        return {}

    def share(self, workload: Workload) -> Workload:
        """Return the part of ``workload`` that this program is run on."""
        if not self.is_sequential:
            return workload
        return workload.first(30 if workload.latency_s else max(100, workload.records // 10))


class Streamapp(Contestant):
    """The real worker with its defaults: key order, ledger on."""

    def command(self, place: Place) -> list[str]:
        return [self.module, *self.options]

    def environment(self, place: Place) -> dict[str, str]:
        return {
            "STREAMAPP_BROKER": f"kafka://{place.broker}",
            "STREAMAPP_APP_ID": place.prefix,
            "STREAMAPP_TOPIC_PREFIX": place.prefix,
            "STREAMAPP_MAX_IN_FLIGHT": str(place.in_flight),
            "STREAMAPP_MODEL": "bench-model",
            "STREAMAPP_WEB_PORT": str(place.web_port),
            "STREAMAPP_DATA_DIR": str(place.folder / "data"),
            "OPENAI_BASE_URL": place.base_url,
            "OPENAI_API_KEY": "none",
        }


class StreamappFlow(Streamapp):
    """The same worker with the same work as a flow: the records are a topic of the user's own."""

    def environment(self, place: Place) -> dict[str, str]:
        flow = {
            "input": place.requests,
            "output": place.responses,
            "dead_letters": place.dead_letters,
            "from": "earliest",
            "type": "chat",
            "id": "{{ value.id }}",
            "fields": {"messages": "{{ value.messages }}"},
        }
        return super().environment(place) | {
            "STREAMAPP_TOPIC_PREFIX": f"{place.prefix}-own",
            "STREAMAPP_FLOWS": json.dumps({"work": flow}),
        }


YARDSTICK = Contestant(
    name="raw-keyed",
    title="aiokafka by hand, key order",
    module="bench.contestants.keyed",
)
PLAIN = Contestant(
    name="plain",
    title="aiokafka by hand, unordered",
    module="bench.contestants.plain",
)
STREAMAPP = Streamapp(
    name="streamapp",
    title="streamapp, key order",
    module="streamapp",
    options=("worker",),
    has_probe=True,
)
CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        PLAIN,
        YARDSTICK,
        Contestant(
            name="faust-one",
            title="plain Faust, one at a time",
            module="bench.contestants.faust_agent",
            options=("--sequential",),
            is_sequential=True,
        ),
        Contestant(
            name="faust-many",
            title="plain Faust, concurrency=256",
            module="bench.contestants.faust_agent",
        ),
        STREAMAPP,
        StreamappFlow(
            name="streamapp-flow",
            title="streamapp, the work as a flow",
            module="streamapp",
            options=("worker",),
            has_probe=True,
        ),
    )
}
