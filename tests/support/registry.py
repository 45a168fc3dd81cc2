"""A schema registry without Docker: Apicurio Registry from Maven, in memory, as Confluent's."""

import fcntl
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import aiohttp

from tests.support.kafka import JVM, ROOT, KafkaUnavailable
from tests.support.machine import ENVIRONMENT
from tests.support.process import ChildProcess, free_port
from tests.support.waiting import until

HOME = ROOT / ".kafka" / "registry"
POM = Path(__file__).with_name("registry") / "pom.xml"
RUNNER = "apicurio-registry-app-3.0.9-runner.jar"


def registry_jar() -> Path:
    """Return the registry's jar, fetched once by Maven.

    Raises:
        KafkaUnavailable: Java or Maven is missing, or Maven could not fetch it.
    """
    if shutil.which("java") is None:
        raise KafkaUnavailable("the schema registry needs Java 17 or newer: no `java` on the path")
    HOME.parent.mkdir(exist_ok=True)
    with (HOME.parent / "registry.lock").open("w") as lock:  # two test runs may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        jar = HOME / RUNNER
        if not jar.exists() or HOME.stat().st_mtime < POM.stat().st_mtime:
            _fetch()
        return jar


def _fetch() -> None:
    if shutil.which("mvn") is None:
        raise KafkaUnavailable("the schema registry comes by Maven: no `mvn` on the path")
    fresh = HOME.with_name("registry.fetching")
    shutil.rmtree(fresh, ignore_errors=True)
    options = ["-DincludeTypes=tar.gz", f"-DoutputDirectory={fresh}"]
    fetched = subprocess.run(
        ["mvn", "-q", "-f", str(POM), "dependency:copy-dependencies", *options],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode != 0:
        raise KafkaUnavailable(f"Maven could not fetch the schema registry:\n{fetched.stdout}")
    [archive] = fresh.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(fresh, filter="data")
    archive.unlink()
    shutil.rmtree(HOME, ignore_errors=True)
    fresh.rename(HOME)
    os.utime(HOME)


class SchemaRegistryProcess:
    """One Apicurio Registry; it forgets everything when it ends.

    Attributes:
        url: Where it speaks as Confluent's registry does; the same over restarts.
    """

    def __init__(self, directory: Path) -> None:
        port = free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        options = ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}"]
        command = ["java", *JVM, *options, "-jar", str(registry_jar())]
        self.process = ChildProcess(command, log=directory / "registry.log")

    async def start(self, timeout_s: float = 90) -> None:
        """Start it and wait until it answers.

        Raises:
            TimeoutError: Not ready in time; the message holds the log's tail.
        """
        self.process.start()
        await until(self._answers, timeout_s, state=self.process.tail)

    async def _answers(self) -> bool:
        assert self.process.alive, f"the registry ended\n{self.process.tail()}"
        try:
            timeout = aiohttp.ClientTimeout(total=2)
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.get(f"{self.url}/subjects") as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False
