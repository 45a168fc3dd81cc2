"""The words for files named by settings that cannot be used."""

from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.llm.costs.prices import prices_of
from streamapp.settings.file_problems import file_problem
from streamapp.settings.loading import load_settings
from streamapp.settings.located import located_problems


def test_missing_file_is_named_in_words(tmp_path: Path) -> None:
    """Also where the error names none of several, as OpenSSL's does."""
    there, missing = tmp_path / "cert.pem", tmp_path / "key.pem"
    there.touch()

    assert file_problem([there, missing], OSError(2, "x")) == f"there is no file '{missing}'"
    assert file_problem([None, there], OSError("odd")) == f"cannot use '{there}': odd"


def test_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    """By the system's own words, without Python's."""
    with pytest.raises(OSError) as caught:  # noqa: PT011  # whichever the system raises
        tmp_path.read_text()

    assert file_problem([tmp_path], caught.value) == f"cannot read '{tmp_path}': is a directory"


def test_missing_prices_are_named_with_their_place() -> None:
    """As any other mistake in the file is."""
    Path("streamapp.toml").write_text('# a note\nprices_file = "nosuch.toml"\n')
    settings = load_settings()

    with pytest.raises(ConfigurationError) as caught, located_problems(settings):
        prices_of(settings)

    assert str(caught.value) == "streamapp.toml:2: prices_file: there is no file 'nosuch.toml'"


def test_a_path_that_a_variable_sets_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wins over the file, which is not where to change it."""
    Path("streamapp.toml").write_text('prices_file = "other.toml"\n')
    monkeypatch.setenv("STREAMAPP_PRICES_FILE", "nosuch.toml")
    settings = load_settings()

    with pytest.raises(ConfigurationError) as caught, located_problems(settings):
        prices_of(settings)

    assert str(caught.value) == "STREAMAPP_PRICES_FILE: there is no file 'nosuch.toml'"


def test_variables_are_looked_at_beside_a_file_that_is_no_toml(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One start names both."""
    Path("streamapp.toml").write_text("prices_file = \n")
    monkeypatch.setenv("STREAMAPP_PRICE_FILE", "prices.toml")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    variable, file = str(caught.value).splitlines()
    assert variable.startswith("STREAMAPP_PRICE_FILE: there is no such setting")
    assert file.startswith("streamapp.toml:1:")


def test_file_that_cannot_be_looked_at_is_said_with_its_reason() -> None:
    """As in a folder of another user: that it is not there would be a guess."""
    path = Path("/", "x" * 300)
    with pytest.raises(OSError, match="too long") as caught:
        path.read_text()

    assert file_problem([path], caught.value) == f"cannot read {str(path)!r}: file name too long"


def test_folder_in_the_place_of_the_file_is_named() -> None:
    """As Docker makes one where what is mounted is not there; it was passed over."""
    Path("streamapp.toml").mkdir()

    with pytest.raises(ConfigurationError, match=r"^streamapp\.toml: it is a folder: "):
        load_settings()


@pytest.mark.parametrize("name", [".env", "streamapp.toml"])
def test_file_that_cannot_be_read_is_named(name: str) -> None:
    """As one that is for its owner alone; nobody is shown a traceback."""
    Path(name).symlink_to("/proc/self/mem")  # which root may not read either

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value).startswith(f"{name}: it cannot be read: ")
