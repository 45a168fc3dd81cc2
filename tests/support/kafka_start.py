"""Java's archive of Kafka's classes and a formatted directory, made once for all brokers of tests.

They spare each broker a third of the CPU of its start, and a run of Kafka's own tool before it.
"""

import fcntl
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.support.process import free_port

HOME, ARCHIVE, FORMATTED = "prepared", "classes.jsa", "formatted"
#: For the broker that is started for its classes, and for the writing of them at its end, seconds.
START_S, END_S = 180, 180


def prepared(jars: Path, jvm: Sequence[str]) -> Path:
    """Return the directory of both, made where it is missing or older than the jars.

    Java passes over an archive that it cannot use, say of another Java: it only starts slower.

    Args:
        jars: Kafka's; the directory lies beside it.
        jvm: Options of the JVM that the archive is for.
    """
    home = jars.with_name(HOME)
    with home.with_name(f"{HOME}.lock").open("w") as lock:  # processes of the suite start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir() or home.stat().st_mtime < jars.stat().st_mtime:
            fresh = home.with_name(f"{HOME}.making")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            _make(fresh, jars, jvm)
            shutil.rmtree(home, ignore_errors=True)
            fresh.rename(home)
    return home


def copy_formatted(prepared: Path, data: Path, *, cluster_id: str, node_id: int) -> None:
    """Make a data directory as `StorageTool format` does, which takes a second of CPU.

    Args:
        prepared: The directory of `prepared`.
        data: The directory to make.
        cluster_id: The cluster's, 22 characters of base64.
        node_id: The broker's.
    """
    shutil.copytree(prepared / FORMATTED, data)
    directory_id = uuid.uuid4().hex[:22]
    lines = {
        "version": 1,
        "cluster.id": cluster_id,
        "node.id": node_id,
        "directory.id": directory_id,
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    (data / "meta.properties").write_text(text)


def _make(fresh: Path, jars: Path, jvm: Sequence[str]) -> None:
    port, controller = free_port(), free_port()
    java = ["java", *jvm, f"-XX:ArchiveClassesAtExit={fresh / ARCHIVE}", "-cp", f"{jars}/*"]
    with tempfile.TemporaryDirectory() as directory:
        data, properties = Path(directory, "data"), Path(directory, "server.properties")
        lines = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": data,
        }
        properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        tool = ["kafka.tools.StorageTool", "format", "-t", uuid.uuid4().hex[:22]]
        subprocess.run(
            ["java", *jvm, "-cp", f"{jars}/*", *tool, "-c", str(properties)],
            capture_output=True,
            check=True,
        )
        shutil.copytree(data, fresh / FORMATTED)
        broker = subprocess.Popen(
            [*java, "kafka.Kafka", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_listening(port, broker)
            broker.terminate()
            broker.wait(END_S)
        finally:
            broker.kill()
            broker.wait()


def _wait_listening(port: int, broker: subprocess.Popen[bytes]) -> None:
    """Wait until the broker takes connections."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and broker.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the Kafka whose classes are to be archived did not start")
