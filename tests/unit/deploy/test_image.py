"""The Dockerfile, without building it; tests/e2e/test_containers.py runs its steps."""

import subprocess
import sys
from pathlib import Path

from tests.support.image import ROOT, final_stage, instructions


def test_dockerfile_passes_the_linter() -> None:
    """Hadolint has nothing to say."""
    hadolint = Path(sys.executable).with_name("hadolint")

    linted = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_image_runs_without_root() -> None:
    """Its user is a number above 0, which Kubernetes can check, and only the data are its own."""
    steps = final_stage()

    (user,) = [value for name, value in steps if name == "USER"]
    assert int(user.split(":")[0]) >= 10_000
    assert not any("--chown" in value for name, value in steps if name == "COPY")
    assert {"HEALTHCHECK", "STOPSIGNAL", "CMD"} <= {name for name, _ in steps}


def test_no_secret_reaches_a_layer() -> None:
    """The context is a list of what is needed, and no step takes or sets a secret."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    needed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]

    assert rules[0] == "*"
    assert needed == ["pyproject.toml", "uv.lock", "README.md", "LICENSE", "streamapp"]
    assert not [value for name, value in instructions() if name == "ARG"]
    for name, value in instructions():
        if name == "ENV":
            assert not any(word in value.upper() for word in ("KEY", "PASSWORD", "TOKEN", "SECRET"))
