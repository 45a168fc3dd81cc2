"""Apache Kafka without Docker: one KRaft broker process from Maven's jars, for faults and speed.

`KafkaBroker` keeps its data directory and ports over `stop`, `kill9` and `start`, so that a
test can take the broker away and give it back.
"""

import asyncio
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.kafka_start import ARCHIVE, HOME, copy_formatted, prepared
from tests.support.maven import fetched
from tests.support.process import ChildProcess, free_port
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".kafka" / "libs"
POM = Path(__file__).with_name("kafka") / "pom.xml"

# A small heap and the cheap compiler, and nobody doubts what Maven fetched: the broker shares a few
# cores with the test.
JVM = (
    *("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"),
)

CONFIG = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    # After `kill -9` the controller refuses the broker until its old session has ended.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # An idle controller writes nothing: it would cost each broker of the suite CPU all the time.
    "metadata.max.idle.interval.ms": "0",
}

#: Over it, of a broker that no test takes away: slow heartbeats, of which late ones do no harm, and
#: threads for two cores; each listener has its own of the network.
STEADY = {
    "broker.session.timeout.ms": "18000",
    "broker.heartbeat.interval.ms": "2000",
    "num.network.threads": "1",
    "num.io.threads": "3",
}


def kafka_jars() -> Path:
    """Return the directory of the broker's jars, fetched once by Maven.

    Raises:
        MavenUnavailable: Java or Maven is missing, or Maven could not fetch the jars.
    """
    return fetched(JARS, POM, "-DincludeScope=runtime", what="Apache Kafka")


class KafkaBroker:
    """One broker that is its own controller.

    Args:
        directory: Holds its data, configuration and log; created when missing.
        config: Lines of server.properties over the defaults of this module.
        jvm: Options of the JVM.
        listeners: Further listeners: name to security protocol; `config` says how each is guarded.
        advertised: Loopback ports that clients of a further listener are told, by its name: those
            of a `TcpProxy` in front of it. Its own port where none is given.
        scram_users: Names and passwords for SCRAM-SHA-512.
        voters: Controller ports of a cluster, by node id; this broker alone where none.
        node_id: Its own id among them.
        cluster_id: The same for all of a cluster; one of its own where none is given.

    Attributes:
        port: Loopback port, the same over restarts.
        listener_ports: Those of the further listeners, by name.
        advertised_ports: Those that clients of a further listener are told, by its name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        config: Mapping[str, str] | None = None,
        jvm: Sequence[str] = JVM,
        listeners: Mapping[str, str] | None = None,
        advertised: Mapping[str, int] | None = None,
        scram_users: Mapping[str, str] | None = None,
        voters: Mapping[int, int] | None = None,
        node_id: int = 1,
        cluster_id: str | None = None,
    ) -> None:
        self._directory = directory
        self._config = dict(config or {})
        self._jvm = list(jvm)
        self._listeners = dict(listeners or {})
        self._scram_users = dict(scram_users or {})
        self._voters = dict(voters or {node_id: free_port()})
        self._node_id = node_id
        self._cluster_id = cluster_id or uuid.uuid4().hex[:22]
        self.port = free_port()
        self.listener_ports = {name: free_port() for name in self._listeners}
        self.advertised_ports = self.listener_ports | dict(advertised or {})
        self.process = ChildProcess(
            self._java("kafka.Kafka", str(self._properties)), log=directory / "kafka.log"
        )

    @property
    def bootstrap(self) -> str:
        """`HOST:PORT` for Kafka clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The same for STREAMAPP_BROKER and Faust."""
        return f"kafka://{self.bootstrap}"

    async def start(self, timeout_s: float = 180) -> None:
        """Start, or start again on the same data, and wait until metadata requests are answered.

        Raises:
            KafkaUnavailable: Java, Maven or the jars are missing.
            TimeoutError: Not ready in time; the message holds the log's tail.
        """
        self.launch()
        await self.wait_ready(timeout_s)

    def launch(self) -> None:
        """Start it and wait for nothing: one of a cluster is not ready without the others."""
        self._format()
        self.process.start()

    async def wait_ready(self, timeout_s: float = 180) -> None:
        """Wait until the broker names itself in answer to a metadata request."""
        await until(self._answers, timeout_s, state=self.process.tail)

    async def stop(self, timeout_s: float = 30) -> None:
        """SIGTERM and wait for the end; killed when it takes longer than `timeout_s`."""
        self.process.sigcont()
        self.process.sigterm()
        try:
            await self.process.wait(timeout_s)
        except TimeoutError:
            self.process.kill9()

    def kill9(self) -> None:
        """Kill it at once; what it had acknowledged is kept by the page cache."""
        self.process.kill9()

    def sigstop(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self.process.sigstop()

    def sigcont(self) -> None:
        """Let a frozen broker go on."""
        self.process.sigcont()

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

    def _java(self, main: str, *args: str) -> list[str]:
        archive = f"-XX:SharedArchiveFile={JARS.with_name(HOME) / ARCHIVE}"
        return ["java", *self._jvm, archive, "-cp", f"{JARS}/*", main, *args]

    def _format(self) -> None:
        """Write the configuration and format the data directory, once."""
        home = prepared(kafka_jars(), JVM)
        if self._properties.exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        data = self._directory / "data"
        voters = {node: f"127.0.0.1:{port}" for node, port in self._voters.items()}
        controller = voters[self._node_id]
        plain = f"PLAINTEXT://{self.bootstrap}"
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"} | self._listeners
        addresses = {
            "node.id": str(self._node_id),
            "controller.quorum.voters": ",".join(f"{n}@{at}" for n, at in voters.items()),
            "listeners": ",".join(
                [plain, *_addresses(self.listener_ports), f"CONTROLLER://{controller}"]
            ),
            "advertised.listeners": ",".join([plain, *_addresses(self.advertised_ports)]),
            "listener.security.protocol.map": ",".join(f"{n}:{p}" for n, p in protocols.items()),
            "log.dirs": str(data),
        }
        lines = [f"{name}={value}\n" for name, value in (CONFIG | addresses | self._config).items()]
        self._properties.write_text("".join(lines))
        if not self._scram_users:
            copy_formatted(home, data, cluster_id=self._cluster_id, node_id=self._node_id)
            return
        options = ["-t", self._cluster_id, "-c", str(self._properties)]
        for name, password in self._scram_users.items():
            options += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        subprocess.run(
            self._java("kafka.tools.StorageTool", "format", *options),
            capture_output=True,
            check=True,
        )

    async def _answers(self) -> bool:
        assert self.process.alive, f"the broker ended\n{self.process.tail()}"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()  # the client below logs an error for each refused connection
            await writer.wait_closed()
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5000)
            try:
                await admin.start()
                return bool((await admin.describe_cluster())["brokers"])
            finally:
                await admin.close()
        except (OSError, KafkaError):
            return False


def _addresses(ports: Mapping[str, int]) -> list[str]:
    """Return listeners as server.properties names them."""
    return [f"{name}://127.0.0.1:{port}" for name, port in ports.items()]
