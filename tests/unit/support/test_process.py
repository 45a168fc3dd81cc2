from pathlib import Path

from tests.support.process import ChildProcess


def test_tail_begins_with_the_first_error(tmp_path: Path) -> None:
    """An end that many services tell of has its reason far above the last lines."""
    log = tmp_path / "log"
    lines = ["ready", "[error    ] the reason", "of it", *["Traceback of another"] * 9, "ended"]
    log.write_text("\n".join(lines))
    process = ChildProcess(["true"], log=log)

    assert process.tail(2).splitlines()[1:] == [*lines[1:3], *lines[-2:]]
    assert process.tail(20).splitlines()[1:] == lines
