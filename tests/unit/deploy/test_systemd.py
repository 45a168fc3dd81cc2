"""deploy/systemd/: a unit for each worker of a machine."""

from configparser import ConfigParser
from pathlib import Path

import pytest

from streamapp.settings.loading import load_settings
from streamapp.streaming.app.lifecycle import STOP_MARGIN_S
from streamapp.telemetry.refusal import EXIT_CONFIGURATION

UNIT = Path(__file__).resolve().parents[3] / "deploy" / "systemd" / "streamapp@.service"


@pytest.fixture
def service() -> dict[str, str]:
    """The unit's own section."""
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # as its documentation has it
    unit.read(UNIT)
    return dict(unit["Service"])


def test_each_worker_has_a_port_and_a_folder_of_its_own(
    service: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by the instance's name; the folder is one that systemd makes for the user."""
    found = {}
    for port in ("5000", "5001"):
        for variable in service["Environment"].replace("%i", port).split():
            monkeypatch.setenv(*variable.split("=", 1))
        settings = load_settings()
        found[settings.web_port] = settings.data_dir

    state = Path("/var/lib") / service["StateDirectory"]
    assert found == {5000: state / "5000", 5001: state / "5001"}


def test_stop_and_restart_fit_what_a_worker_does(service: dict[str, str]) -> None:
    """It may drain, ends its children itself, and is not started again with wrong settings."""
    assert float(service["TimeoutStopSec"]) > load_settings().drain_s + STOP_MARGIN_S
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == str(EXIT_CONFIGURATION)


def test_keys_come_from_a_file_alone(service: dict[str, str]) -> None:
    """What stands in a unit is shown to every user of the machine."""
    assert service["EnvironmentFile"] == "/etc/streamapp.env"
    assert "KEY" not in service["Environment"]
