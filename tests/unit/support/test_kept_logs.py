import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.worker import ROOT

FAILING = """
import sys
import pytest
from tests.support.process import ChildProcess

def program(tmp_path, word):
    process = ChildProcess([sys.executable, "-c", f"print('{word}')"], log=tmp_path / word)
    process.start()
    process._process.wait()
    return process

@pytest.fixture
def prepared(tmp_path):
    program(tmp_path, "said-before")
    1 / 0

def test_good(tmp_path):
    program(tmp_path, "said-well")

def test_bad(tmp_path):
    program(tmp_path, "said-badly")
    assert False

def test_unprepared(prepared):
    pass
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_failed_test_shows_what_its_programs_said(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Also from a fixture that failed; nothing of a test that passed, or of the one before."""
    (tmp_path / "test_it.py").write_text(FAILING)

    plugins = ("-p", "tests.support.kept_logs", "-p", "no:cloudcoil", "-p", "no:cacheprovider")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *arguments, "test_it.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 1, ran.stdout
    said = [line for line in ran.stdout.splitlines() if line.startswith("said-")]
    assert sorted(said) == ["said-badly", "said-before"]
