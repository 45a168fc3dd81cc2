"""The image without Docker: what the Dockerfile says, and a folder where its steps were run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.machine import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """Return the Dockerfile's instructions in order: name, and the rest on one line."""
    text = (ROOT / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    parts = [line.partition(" ") for line in joined.splitlines() if line]
    return [(name, value) for name, _, value in parts]


def final_stage() -> list[Instruction]:
    """Return the instructions of what is run."""
    steps = instructions()
    return steps[max(n for n, (name, _) in enumerate(steps) if name == "FROM") :]


class Image:
    """A folder that stands for the image's root.

    Args:
        root: Empty; readable by everyone.

    Attributes:
        command: The default command.
        health_check: The command of the health check.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        steps = dict(final_stage())
        self.command: list[str] = json.loads(steps["CMD"])
        self.health_check: list[str] = json.loads(steps["HEALTHCHECK"].split(" CMD ", 1)[1])
        self._user = steps["USER"].split(":")[0]
        self._python = _python_for(self._as_user()) if os.geteuid() == 0 else None
        self._prefix = self._as_user() if self._python else []

    def build(self) -> None:
        """Do what the build stage does for our own code; base image and user stay away."""
        app = self.root / "app"
        app.mkdir()
        variables = {"UV_COMPILE_BYTECODE": "0", "UV_PYTHON": self._python or sys.executable}
        uv = str(Path(sys.executable).with_name("uv"))
        for name, value in instructions():
            if name == "COPY" and "--from" not in value:
                *sources, _ = value.split()
                for source in sources:
                    _copy(ROOT / source, app / source)
            elif name == "RUN" and value.startswith("uv "):
                subprocess.run(
                    [uv, *shlex.split(value)[1:]],
                    cwd=app,
                    env=_environment("ENV", instructions()) | dict(ENVIRONMENT) | variables,
                    capture_output=True,
                    check=True,
                )
        for path in app.iterdir():
            if path.name != ".venv":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        subprocess.run(["chmod", "-R", "a-w,a+rX", str(app)], check=True)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return all the variables a container has: the image's, then its own."""
        variables = _environment("ENV", final_stage())
        variables["PATH"] = variables["PATH"].replace("$PATH", "/usr/bin:/bin")
        return {name: self.inside(value) for name, value in {**variables, **settings}.items()}

    def inside(self, text: str) -> str:
        """Return a text with the container's paths turned into ours."""
        return re.sub(r"(?<![\w/.])/(app|data|samples)\b", rf"{self.root}/\1", text)

    def run(self, command: Sequence[str]) -> list[str]:
        """Return the command as the image's user runs it; as ours where we may not change it."""
        return [*self._prefix, *(self.inside(argument) for argument in command)]

    def _as_user(self) -> list[str]:
        user = ["--reuid", self._user, "--regid", self._user, "--clear-groups"]
        return ["setpriv", *user, "--no-new-privs", "--"]

    def own(self, path: Path) -> None:
        """Give a folder to the image's user, as Docker does with a volume."""
        if self._prefix:
            os.chown(path, int(self._user), int(self._user))


def _python_for(prefix: Sequence[str]) -> str | None:
    """Return a Python that the user behind a prefix can start; ours may be in root's home."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        shell = ["sh", "-c", f"exec {python} -c '{probe}'"]
        if subprocess.run([*prefix, *shell], capture_output=True, check=False).returncode == 0:
            return python
    return None


def _environment(instruction: str, steps: Sequence[Instruction]) -> dict[str, str]:
    pairs = [pair for name, value in steps if name == instruction for pair in value.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
