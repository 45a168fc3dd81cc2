"""The targets of make, with a stand-in for Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[3] / "Makefile"


@pytest.mark.parametrize("code", [0, 1])
def test_units_print_what_the_tests_print_and_end_as_they_do(code: int, tmp_path: Path) -> None:
    """Not one backslash is read as an escape: a failure shows the bytes that it was about."""
    said = r"assert b'a\nb' == b'a\cb \033 %s'"
    for name in ("pyproject.toml", "uv.lock"):
        (tmp_path / name).touch()
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    python = folder / "python"
    python.write_text(
        f"""#!/bin/sh
        if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi
        while [ "$1" != --out ]; do shift; done
        echo '{{"summary": {{"percent_covered_display": "90"}}}}' > "$2"
        printf '%s\\n' "{said}"; exit {code}
        """
    )
    python.chmod(0o755)
    os.utime(folder.parent)
    make = shutil.which("make")
    assert make

    done = subprocess.run(
        [make, "-f", MAKEFILE, "units"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},  # it is no part of a make that runs the tests
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == [
        said,
        "Lines of streamapp/ that the unit tests run: 90 %",
    ]
    assert (done.returncode == 0) is (code == 0)
