import socket
from pathlib import Path

from tests.support.process import PORTS, ChildProcess, free_port, free_ports


def test_tail_begins_with_the_first_error(tmp_path: Path) -> None:
    """An end that many services tell of has its reason far above the last lines."""
    log = tmp_path / "log"
    lines = ["ready", "[error    ] the reason", "of it", *["Traceback of another"] * 9, "ended"]
    log.write_text("\n".join(lines))
    process = ChildProcess(["true"], log=log)

    assert process.tail(2).splitlines()[1:] == [*lines[1:3], *lines[-2:]]
    assert process.tail(20).splitlines()[1:] == lines


def test_ports_in_a_row_are_all_free() -> None:
    """What another process listens on is none of them, wherever it lies."""
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()

        assert not any(port in free_ports(3) for _ in PORTS)
