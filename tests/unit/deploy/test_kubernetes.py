"""deploy/kubernetes/: every manifest against its schema, and all of them against each other."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from streamapp.settings import Settings
from streamapp.settings.loading import load_settings
from streamapp.streaming.app.lifecycle import STOP_MARGIN_S
from tests.support.queries import alert_rules

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"

#: The models of each API group's schemas, imported here: what is there before the first test is
#: passed over by all collections of garbage, and these are half a million objects.
MODELS = {
    group: import_module(f"cloudcoil.models.{name}")
    for group, name in {
        "v1": "kubernetes.core.v1",
        "apps/v1": "kubernetes.apps.v1",
        "policy/v1": "kubernetes.policy.v1",
        "networking.k8s.io/v1": "kubernetes.networking.v1",
        "monitoring.coreos.com/v1": "prometheus_operator.v1",
        "keda.sh/v1alpha1": "keda.v1alpha1",
    }.items()
}

Manifest = dict[str, Any]


def kustomization() -> Manifest:
    """Return what `kubectl apply -k` reads."""
    parsed: Manifest = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return parsed


def manifests() -> list[Manifest]:
    """Return every manifest that the kustomization names."""
    return [
        manifest
        for name in kustomization()["resources"]
        for manifest in yaml.safe_load_all((FOLDER / name).read_text())
    ]


def the(kind: str, name: str = "") -> Any:
    """Return the only manifest of a kind, or that of a name."""
    (found,) = [
        manifest
        for manifest in manifests()
        if manifest["kind"] == kind and name in ("", manifest["metadata"]["name"])
    ]
    return found


def variables(file: str) -> dict[str, str]:
    """Return the variables of a file that a generator reads."""
    lines = (FOLDER / file).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def check_schema(manifest: Manifest) -> None:
    """Raise `ValueError` where a manifest is not what its kind's schema says."""
    model = getattr(MODELS[manifest["apiVersion"]], manifest["kind"])
    text = model.model_validate(manifest).model_dump_json(by_alias=True, exclude_unset=True)
    # A field that the schema does not know, or a text for a number, does not come back.
    if json.loads(text) != manifest:
        raise ValueError(f"{manifest['kind']} holds what its schema does not")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a pod: ConfigMap, Secret, file and the pod's own variables."""
    secrets = {name: f"CANARY-{name}" for name in variables("secret.env.example")}
    for name, value in (variables("config.env") | secrets).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STREAMAPP_CONFIG", str(FOLDER / "streamapp.toml"))
    return load_settings()


def test_every_manifest_fits_its_schema() -> None:
    """Nothing is misspelled, missing or of the wrong type."""
    for manifest in manifests():
        check_schema(manifest)


@pytest.mark.parametrize(
    ("kind", "path", "wrong"),
    [
        ("StatefulSet", ["spec", "replica"], 3),
        ("StatefulSet", ["spec", "replicas"], "3"),
        ("StatefulSet", ["spec", "template", "spec", "restartPolicies"], "Always"),
        ("ScaledObject", ["spec", "maxReplicas"], 12),
        ("ServiceMonitor", ["spec", "endpoints"], "http"),
        ("NetworkPolicy", ["spec", "egres"], []),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(kind: str, path: list[str], wrong: Any) -> None:
    """A misspelled field or a wrong type does not pass: the check itself works."""
    manifest = the(kind)
    part = manifest
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = wrong

    with pytest.raises((ValueError, ValidationError)):
        check_schema(manifest)


def test_kustomization_names_every_file() -> None:
    """No manifest is left out, and what is not there is made from an example."""
    kustomized = kustomization()
    named = {"kustomization.yaml", *kustomized["resources"]}
    for generator in kustomized["configMapGenerator"] + kustomized["secretGenerator"]:
        named |= {*generator.get("envs", ()), *generator.get("files", ())}
    to_be_made = {"secret.env", "ca.pem"}
    there = {path.name for path in FOLDER.iterdir()} - to_be_made - {"secret.env.example"}

    assert there == named - to_be_made


def test_no_secret_is_in_the_repository() -> None:
    """The example has names without values, and git ignores the filled one."""
    ignored = (FOLDER.parents[1] / ".gitignore").read_text().splitlines()

    assert not any(variables("secret.env.example").values())
    assert {"/deploy/kubernetes/secret.env", "/deploy/kubernetes/ca.pem"} <= {*ignored}


def test_pods_start_with_these_settings(settings: Settings) -> None:
    """ConfigMap, Secret and file give settings that load, and KEDA's are the same."""
    (trigger,) = the("ScaledObject")["spec"]["triggers"]
    login = {
        "bootstrapServers": settings.brokers[0],
        "consumerGroup": settings.app_id,
        "topic": settings.topic("requests"),
        "sasl": settings.kafka_sasl_mechanism.lower().replace("-sha-", "_sha"),
        "tls": "enable",
    }

    assert trigger["metadata"].items() >= login.items()
    assert settings.kafka_security_protocol == "SASL_SSL"
    refs = the("TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {ref["key"] for ref in refs} <= {*variables("secret.env.example"), "ca.pem"}


def test_prometheus_may_only_read_metrics(settings: Settings) -> None:
    """The scrape's key is one of the workers' named ones, with the least scope that opens it."""
    (endpoint,) = the("ServiceMonitor")["spec"]["endpoints"]
    variable = endpoint["authorization"]["credentials"]["key"]

    [key] = [key for key in settings.keys.values() if variable in key.key_env]
    assert key.scopes == ["metrics"]


def test_termination_grace_is_above_the_drain(settings: Settings) -> None:
    """Kubernetes kills no worker that would still have finished its records."""
    grace_s = the("StatefulSet")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert grace_s > settings.drain_s + STOP_MARGIN_S


def test_workers_are_never_more_than_partitions(settings: Settings) -> None:
    """Three at least, and one partition for each at most; less disruption than workers."""
    scaled = the("ScaledObject")["spec"]

    assert the("StatefulSet")["spec"]["replicas"] == scaled["minReplicaCount"] == 3
    assert scaled["maxReplicaCount"] <= settings.partitions
    assert the("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_pods_are_restricted() -> None:
    """Another user than root, a read-only root, no capability, no token of the cluster."""
    pod = the("StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"/data", "/tmp"}


def test_selectors_find_the_workers() -> None:
    """What selects pods selects the workers', and the monitor selects one service of the two."""
    worker = the("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    services = [manifest for manifest in manifests() if manifest["kind"] == "Service"]
    monitored = the("ServiceMonitor")["spec"]["selector"]["matchLabels"]

    assert the("StatefulSet")["spec"]["selector"]["matchLabels"] == worker
    assert the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == worker
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == worker
    assert all(service["spec"]["selector"] == worker for service in services)
    assert [s["metadata"]["name"] for s in services if s["metadata"]["labels"] == monitored] == [
        the("StatefulSet")["spec"]["serviceName"]
    ]


def test_operator_has_the_same_alerts() -> None:
    """The PrometheusRule holds the rules of deploy/prometheus/alerts.yaml."""
    (group,) = the("PrometheusRule")["spec"]["groups"]

    assert group["rules"] == alert_rules()
