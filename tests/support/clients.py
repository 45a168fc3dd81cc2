"""Other people's HTTP clients, installed once into `.clients/`: Node's `openai`, and frameworks.

Those of Python have one environment together, since they want an older `openai` than we do.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.machine import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "clients"
CACHE = ROOT / ".clients"
#: uv of the environment that the tests run in.
UV = Path(sys.executable).with_name("uv")


class ClientUnavailable(Exception):
    """A program is missing or a package could not be fetched; the message says which."""


def node_modules() -> Path:
    """Return the directory with the Node packages of tests/clients/package.json.

    Raises:
        ClientUnavailable: Node or npm is missing, or npm could not fetch them.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise ClientUnavailable(f"the Node client needs `{program}` on the path")
    manifest = SCRIPTS / "package.json"
    home = CACHE / "node"
    with _locked():
        fresh = home / "package.json"
        if not fresh.exists() or fresh.read_bytes() != manifest.read_bytes():
            home.mkdir(exist_ok=True)
            shutil.copy(SCRIPTS / "package-lock.json", home)
            shutil.copy(manifest, fresh)
            try:
                _run(["npm", "ci", "--no-audit", "--no-fund", "--prefix", str(home)])
            except ClientUnavailable:
                fresh.unlink()
                raise
    return home / "node_modules"


def python_with_clients() -> Path:
    """Return the interpreter that can import what is in tests/clients/requirements.txt.

    That file is requirements.in with every version: ``uv pip compile --universal
    --python-version 3.11 --no-header --no-annotate requirements.in -o requirements.txt``.

    Raises:
        ClientUnavailable: They could not be installed.
    """
    wanted = SCRIPTS / "requirements.txt"
    home = CACHE / "python"
    python, done = home / "bin" / "python", home / "installed.txt"
    with _locked():
        if not done.exists() or done.read_bytes() != wanted.read_bytes():
            uv = [str(UV), "--quiet"]
            _run([*uv, "venv", "--clear", "--python", sys.executable, str(home)])
            _run([*uv, "pip", "sync", "--python", str(python), str(wanted)])
            shutil.copy(wanted, done)
    return python


def packages_for_workers() -> Path:
    """Return the directory of the frameworks that run inside a worker, for its `PYTHONPATH`.

    They stand beside our own packages: tests/clients/in_worker.txt names what those do not hold,
    and no second copy of `openai` or pydantic, whose newest versions they ask for.

    Raises:
        ClientUnavailable: They could not be installed.
    """
    wanted = SCRIPTS / "in_worker.txt"
    home = CACHE / "in-worker"
    done = home / wanted.name
    with _locked():
        if not done.exists() or done.read_bytes() != wanted.read_bytes():
            shutil.rmtree(home, ignore_errors=True)
            uv = [str(Path(sys.executable).with_name("uv")), "--quiet", "pip", "install"]
            _run([*uv, "--no-deps", "--target", str(home), "--requirement", str(wanted)])
            shutil.copy(wanted, done)
    return home


@contextmanager
def _locked() -> Iterator[None]:
    """Hold off a second test run that wants the same."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise ClientUnavailable(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")
