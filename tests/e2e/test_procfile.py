"""Three workers from the Procfile, as `honcho start -c worker=3` runs them."""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import Stage, ask
from tests.support.judgement import Crash
from tests.support.kafka import KafkaBroker
from tests.support.process import ChildProcess, free_ports
from tests.support.waiting import until
from tests.support.worker import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

WORKERS = 3
RECORDS = 60


class Honcho(ChildProcess):
    """`honcho start -c worker=3` in a directory of its own, on consecutive ports."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        directory.mkdir()
        shutil.copy(ROOT / "Procfile", directory)
        self.ports = free_ports(WORKERS)
        self.directory = directory
        programs = Path(sys.executable).parent
        super().__init__(
            [
                str(programs / "honcho"),
                "start",
                "-p",
                str(self.ports[0]),
                "-c",
                f"worker={WORKERS}",
            ],
            log=directory / "honcho.log",
            env=dict(os.environ)
            | {"PATH": f"{programs}:{os.environ['PATH']}", "STREAMAPP_SESSION_TIMEOUT_S": "6"}
            | dict(environment),
            cwd=directory,
        )

    async def wait_ready(self) -> None:
        """Wait until every worker takes records."""

        async def are_ready() -> bool:
            assert self.alive, self.tail()
            async with aiohttp.ClientSession() as http:
                try:
                    for port in self.ports:
                        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                            if answer.status != 200:
                                return False
                except aiohttp.ClientError:
                    return False
            return True

        await until(are_ready, 90, state=self.tail)

    def pid_of(self, number: int) -> int:
        """Return the process id of a worker, as the last start logged it."""
        lines = re.findall(rf"worker\.{number} started \(pid=(\d+)\)", self.log.read_text())
        return int(lines[-1])


async def test_killing_one_of_three_workers_loses_nothing(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Each worker has a port and a folder; one killed ends all, and a restart answers the rest."""
    async with Stage(kafka, tmp_path, partitions=6) as stage:
        await stage.open()
        honcho = Honcho(tmp_path / "honcho", stage.environment())
        honcho.start()
        try:
            await honcho.wait_ready()
            folders = {path.name for path in (honcho.directory / "data").iterdir()}
            await stage.produce([ask(f"r-{n}", script={"held": True}) for n in range(RECORDS)])
            await stage.in_flight(RECORDS // 2)
            before = time.monotonic()
            os.kill(honcho.pid_of(2), signal.SIGKILL)
            stage.crashes.append(Crash(before, time.monotonic()))
            stage.provider.let_go()

            exit_code = await honcho.wait(30)
            honcho.start()
            report = await stage.settle(RECORDS)
        finally:
            honcho.sigterm()
            await honcho.wait(30)

    assert folders == {str(port) for port in honcho.ports}
    assert exit_code != 0
    assert not report.faults, report
