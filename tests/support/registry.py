"""A schema registry without Docker: Apicurio Registry from Maven, in memory, as Confluent's."""

import tarfile
from pathlib import Path

import aiohttp

from tests.support.kafka import JVM, ROOT
from tests.support.maven import fetched
from tests.support.process import ChildProcess, free_port
from tests.support.waiting import until

HOME = ROOT / ".kafka" / "registry"
POM = Path(__file__).with_name("registry") / "pom.xml"
RUNNER = "apicurio-registry-app-3.0.9-runner.jar"


def registry_jar() -> Path:
    """Return the registry's jar, fetched once by Maven.

    Raises:
        MavenUnavailable: Java or Maven is missing, or Maven could not fetch it.
    """
    home = fetched(HOME, POM, "-DincludeTypes=tar.gz", what="the schema registry", unpack=_unpack)
    return home / RUNNER


def _unpack(fresh: Path) -> None:
    [archive] = fresh.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(fresh, filter="data")
    archive.unlink()


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
