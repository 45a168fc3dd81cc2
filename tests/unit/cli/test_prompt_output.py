"""What commands print as tables."""

import pytest

from streamapp.cli.prompt_output import print_table


def test_a_wide_cell_is_folded_and_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic's name can be copied whole, however narrow the terminal."""
    monkeypatch.setenv("COLUMNS", "20")

    print_table(("flow", "input"), [("labels", "shop.reviews.of.all.countries")])

    lines = capsys.readouterr().out.splitlines()
    assert "".join(line[8:].strip() for line in lines[1:]) == "shop.reviews.of.all.countries"
