"""deploy/compose.yaml, as `docker compose config` would show it."""

from typing import Any

import pytest
import yaml

from streamapp.settings.loading import load_settings
from tests.support.compose import FILE, ROOT, config

SECRETS = {
    "STREAMAPP_API_KEYS": "CANARY-key",
    "PROMETHEUS_KEY": "CANARY-scrape",
    "GRAFANA_PASSWORD": "CANARY-password",
}


@pytest.fixture
def services() -> dict[str, Any]:
    """The services, with the variables that are required."""
    return config(SECRETS)["services"]


@pytest.mark.parametrize("missing", list(SECRETS))
def test_secret_has_no_default(missing: str) -> None:
    """Without an own key or password nothing starts, and the message names the file to make."""
    with pytest.raises(ValueError, match=rf"{missing}: .*deploy/\.env"):
        config(SECRETS | {missing: ""})


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stop_grace_period", "stop_grace_time"),
        ("120s", "soon"),
        ('"worker-1:/data"', '"worker-9:/data"'),
        ("kafka:\n      condition: service_healthy", "kafka:\n      condition: healthy"),
        ("depends_on: [prometheus]", "depends_on: [prometeus]"),
    ],
)
def test_what_compose_would_refuse_is_refused(right: str, wrong: str) -> None:
    """A misspelled field, value or name does not pass: the check itself works."""
    text = FILE.read_text()
    assert right in text

    with pytest.raises(ValueError, match=r"."):
        config(SECRETS, text=text.replace(right, wrong))


def test_example_environment_names_what_is_required() -> None:
    """deploy/.env.example lists the required variables, without a value."""
    lines = (FILE.parent / ".env.example").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == [
        f"{name}=" for name in SECRETS
    ]


def test_file_holds_no_secret() -> None:
    """Every key and password comes from a variable."""
    for service in yaml.safe_load(FILE.read_text())["services"].values():
        for name, value in service.get("environment", {}).items():
            if name.endswith(("_KEY", "_KEYS", "_PASSWORD")):
                assert value.startswith("${"), name


def test_nothing_is_open_beyond_this_machine(services: dict[str, Any]) -> None:
    """Published ports are bound to loopback, and no two are the same."""
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


def test_everything_mounted_exists(services: dict[str, Any]) -> None:
    """A folder that is missing would be made by Docker, empty and owned by root."""
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    paths = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]

    assert paths
    assert all((FILE.parent / path).exists() for path in paths)


def test_our_containers_may_change_nothing_but_their_data(services: dict[str, Any]) -> None:
    """Workers and producer: read-only root, no capability, no way to gain one."""
    ours = [service for service in services.values() if service["image"] == "streamapp:local"]

    assert len(ours) == 3
    for service in ours:
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["worker-1", "worker-2"])
def test_worker_starts_with_this_environment(
    services: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings load, others reach the worker by its own name, and it may drain."""
    for variable, value in services[name]["environment"].items():
        monkeypatch.setenv(variable, value)

    settings = load_settings()

    assert settings.web_url == f"http://{name}:6066"
    assert settings.api_tokens == ("CANARY-key",)
    assert float(services[name]["stop_grace_period"].removesuffix("s")) > settings.drain_s + 5


def test_prometheus_scrapes_every_worker_with_a_key_of_its_own(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its targets are the workers, by name and port, and its key opens their metrics alone."""
    for variable, value in services["worker-1"]["environment"].items():
        monkeypatch.setenv(variable, value)
    keys = load_settings().keys
    folder = ROOT / "deploy" / "prometheus"
    settings = yaml.safe_load((folder / "prometheus.yml").read_text())
    (job,) = settings["scrape_configs"]

    targets = job["static_configs"][0]["targets"]
    assert [f"http://{target}" for target in targets] == [
        services[name]["environment"]["STREAMAPP_WEB_URL"] for name in ("worker-1", "worker-2")
    ]
    assert job["authorization"]["credentials_file"] == "/run/secrets/prometheus_key"
    assert services["prometheus"]["secrets"] == ["prometheus_key"]
    assert config(SECRETS)["secrets"] == {"prometheus_key": {"environment": "PROMETHEUS_KEY"}}
    assert [(name, key.key_env, key.scopes) for name, key in keys.items()] == [
        ("prometheus", ["PROMETHEUS_KEY"], ["metrics"])
    ]
    assert all((folder / file).exists() for file in settings["rule_files"])


def test_grafana_finds_dashboard_and_data(services: dict[str, Any]) -> None:
    """The provisioned folder is the mounted one, and the data source is the Prometheus here."""
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    boards = yaml.safe_load((provisioning / "dashboards" / "streamapp.yaml").read_text())
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())

    folder = boards["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in services["grafana"]["volumes"]
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
