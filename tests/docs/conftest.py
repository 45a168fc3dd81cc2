"""A fresh clone of what is committed, with an empty home."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.machine import ENVIRONMENT
from tests.support.process import free_port

#: How this machine reaches the package index, and where its caches are: nothing of a developer.
_PASSED_ON = (
    "PATH",
    "LANG",
    "SSL_CERT_FILE",
    "UV_",
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of somebody new: an empty HOME, ports of their own, shared package caches."""
    environment = {
        name: value for name, value in ENVIRONMENT.items() if name.upper().startswith(_PASSED_ON)
    }
    cache = Path(ENVIRONMENT.get("UV_CACHE_DIR", f"{ENVIRONMENT['HOME']}/.cache/uv"))
    if cache.is_dir():
        environment["UV_CACHE_DIR"] = str(cache)
    return {
        **environment,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "COLUMNS": "160",
        "STREAMAPP_BROKER": f"kafka://localhost:{free_port()}",
        "STREAMAPP_SESSION_TIMEOUT_S": "6",
        "STREAMAPP_WEB_PORT": str(free_port()),
    }


@pytest.fixture(scope="session")
def clone(
    tmp_path_factory: pytest.TempPathFactory,
    home: Mapping[str, str],
    pytestconfig: pytest.Config,
) -> Path:
    """The repository as `git clone` gives it, with the `.venv` that make builds by itself."""
    folder = tmp_path_factory.mktemp("clone") / "streamapp"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, folder], check=True)
    subprocess.run(["make", ".venv"], cwd=folder, env=home, check=True, stdout=subprocess.DEVNULL)
    # When all is over: it takes longer than the last test of the process may.
    pytestconfig.add_cleanup(lambda: shutil.rmtree(folder))
    return folder
