"""What the containers run, without Docker: the image's steps, user, variables and commands."""

import asyncio
import json
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.compose import ROOT, config
from tests.support.fakellm import FakeLLM
from tests.support.image import Image
from tests.support.kafka import KafkaBroker
from tests.support.process import ChildProcess, free_port
from tests.support.queries import offered, queries, unmet
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

KEY, SCRAPE = "CANARY-compose-key", "CANARY-scrape-key"
REQUIRED = {"STREAMAPP_API_KEYS": KEY, "PROMETHEUS_KEY": SCRAPE, "GRAFANA_PASSWORD": "p"}
#: Settings of compose's broker that say where it is and who it is: the test's own are different.
PLACE = ("LISTENERS", "LISTENER_SECURITY", "QUORUM_VOTERS", "LOG_DIRS", "NODE_ID", "PROCESS_ROLES")

#: No limit and no budget is set here: tests/unit knows their labels.
UNLIMITED = {
    "streamapp_rate_limit_wait_seconds_bucket": {"provider"},
    "streamapp_budget_spent": {"budget"},
}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The steps of the Dockerfile run in a folder that others than its owner can only read."""
    root = Path(tempfile.mkdtemp(prefix="streamapp-image-"))
    root.chmod(0o755)
    built = Image(root)
    try:
        built.build()
        shutil.copytree(ROOT / "deploy" / "samples", root / "samples")
        yield built
    finally:
        for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            folder.chmod(folder.stat().st_mode | stat.S_IWUSR)
        shutil.rmtree(root)


class Container(ChildProcess):
    """One service of the compose file.

    Attributes:
        port: Where it listens, instead of the image's 6066.
    """

    def __init__(self, image: Image, service: Mapping[str, Any], directory: Path) -> None:
        directory.mkdir(mode=0o755)
        data = image.root / f"data-{directory.name}"
        data.mkdir()
        image.own(data)
        self.port = free_port()
        here = {
            "STREAMAPP_DATA_DIR": str(data),
            "STREAMAPP_WEB_PORT": str(self.port),
            "STREAMAPP_WEB_URL": f"http://127.0.0.1:{self.port}",
        }
        self.environment = image.environment(service["environment"]) | here
        self._image = image
        super().__init__(
            image.run(service.get("command", image.command)),
            log=directory / "log",
            env=self.environment,
            cwd=data,
        )

    async def is_healthy(self) -> bool:
        """Whether the image's health check exits with 0."""
        assert self.alive, self.tail()
        check = await asyncio.create_subprocess_exec(
            *self._image.run(self._image.health_check),
            env=self.environment,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await check.wait() == 0

    async def scrape(self) -> str:
        """Return what Prometheus would read, with its key."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {SCRAPE}"}) as http,
            http.get(url) as answer,
        ):
            assert answer.status == 200
            return await answer.text()


@pytest_asyncio.fixture
async def broker(kafka_installed: None, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """A broker with the settings of the compose file."""
    variables = config(REQUIRED)["services"]["kafka"]
    settings = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in variables["environment"].items()
        if name.startswith("KAFKA_") and not any(part in name for part in PLACE)
    }
    listeners = {"INSIDE": "PLAINTEXT", "OUTSIDE": "PLAINTEXT"}
    broker = KafkaBroker(tmp_path / "kafka", config=settings, listeners=listeners)
    try:
        await broker.start()
        yield broker
    finally:
        broker.kill9()


async def test_what_compose_starts_answers_and_is_observed(
    image: Image, broker: KafkaBroker, tmp_path: Path
) -> None:
    """Workers become healthy, answer the producer's records and offer what dashboards ask for."""
    async with FakeLLM() as provider:
        provider.script({"status": 500}, {}, match="tram", per_request=True)
        environment = {
            **REQUIRED,
            "OPENAI_API_KEY": "sk-containers",
            "OPENAI_BASE_URL": provider.base_url,
            "STREAMAPP_MODEL": "gpt-4o",
        }
        services = config(environment)["services"]
        # The list of prices knows no provider of this machine; without a price there are no costs.
        inside = {"STREAMAPP_BROKER": f"kafka://127.0.0.1:{broker.listener_ports['INSIDE']}"}
        priced = {
            "STREAMAPP_PROVIDERS__OPENAI__KIND": "openai",
            "STREAMAPP_PROVIDERS__OPENAI__BASE_URL": provider.base_url,
            "STREAMAPP_PROVIDERS__OPENAI__MODELS": json.dumps(
                {"gpt-4o": {"price": {"input": 2.5, "output": 10}}}
            ),
        }
        containers = {
            name: Container(
                image,
                services[name] | {"environment": services[name]["environment"] | inside | more},
                tmp_path / name,
            )
            for name, more in (("worker-1", priced), ("worker-2", priced), ("producer", {}))
        }
        workers = [containers["worker-1"], containers["worker-2"]]

        missing: dict[str, set[str]] = {}

        async def is_all_observed() -> bool:
            offer = offered(*[await worker.scrape() for worker in workers])
            for name, labels in UNLIMITED.items():
                offer[name] |= labels
            missing.update({where: unmet(query, offer) for where, query in queries()})
            return not any(missing.values())

        def state() -> str:
            lacking = {where: names for where, names in missing.items() if names}
            return f"{lacking}\n{containers['producer'].tail()}\n{workers[0].tail()}"

        try:
            for worker in workers:
                worker.start()
                await until(worker.is_healthy, 180, state=worker.tail)
            containers["producer"].start()
            await until(is_all_observed, 180, state=state)
            for worker in workers:
                worker.sigterm()
            codes = [await worker.wait(60) for worker in workers]
        finally:
            for container in containers.values():
                container.kill9()

    assert codes == [0, 0]
    assert provider.calls
    for container in containers.values():
        log = container.log.read_text()
        assert KEY not in log
        assert SCRAPE not in log
