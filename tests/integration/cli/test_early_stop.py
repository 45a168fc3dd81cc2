"""A worker that is told to stop before its code is loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: Stands in for a library that the worker imports, and takes its time.
SLOW = "import signal\nprint('loading', flush=True)\nsignal.pause()\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_that_still_loads_ends_with_exit_0(tmp_path: Path, number: signal.Signals) -> None:
    """Nothing is taken yet; ended by the signal, it would look like a crash."""
    (tmp_path / "mode").mkdir()
    (tmp_path / "mode" / "__init__.py").write_text(SLOW)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", "streamapp", "worker"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"loading\n"

            process.send_signal(number)

            assert process.wait(20) == 0
        finally:
            process.kill()
