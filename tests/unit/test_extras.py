"""What the lock file installs, by extras."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def locked(*options: str) -> subprocess.CompletedProcess[str]:
    """Return what uv would install, by the lock file alone."""
    command = [str(UV), "export", "--frozen", "--offline", "--quiet", "--no-hashes", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "openai", "has_litellm"),
    [
        ((), "3", False),
        (("--all-extras", "--no-extra", "litellm"), "3", False),
        (("--no-dev", "--extra", "litellm"), "2", True),
    ],
    ids=["plain", "all-but-litellm", "litellm"],
)
def test_litellm_has_an_environment_with_its_own_openai(
    options: tuple[str, ...], openai: str, has_litellm: bool
) -> None:
    """Only the extra `litellm` brings it, and the older openai that it wants."""
    pins = dict(
        line.split("==") for line in locked(*options).stdout.splitlines() if line.count("==") == 1
    )

    assert pins["openai"].startswith(f"{openai}.")
    assert ("litellm" in pins) is has_litellm


def test_litellm_is_refused_beside_the_development_tools() -> None:
    """A mix of both is an error of uv, not an older openai under the tests."""
    refused = locked("--all-extras")

    assert refused.returncode != 0
    assert "incompatible" in refused.stderr
