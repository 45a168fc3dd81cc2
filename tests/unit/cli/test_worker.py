"""`streamapp worker` before it starts."""

import pytest
from click.testing import CliRunner

from streamapp.cli import main


@pytest.mark.parametrize(
    "arguments",
    [["-p", "abc"], ["--web-port", "0"], ["--web-port=65536"], ["-p", "1" * 5000]],
    ids=["word", "zero", "too large", "far too large"],
)
def test_what_is_no_port_is_refused_in_words(arguments: list[str]) -> None:
    """With what to write, before anything starts."""
    result = CliRunner().invoke(main, ["worker", *arguments])

    assert result.exit_code == 2
    assert "is no port: write a number from 1 to 65535" in result.stderr
