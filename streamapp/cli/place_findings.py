"""The checks of what settings point to beside Kafka, such as cache, folder and certificate."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from streamapp.cli.finding import Finding
from streamapp.cli.open_files import few_files_hint
from streamapp.errors import ConfigurationError
from streamapp.llm.caching.tiers import RedisTier
from streamapp.settings import PREFIX, Settings
from streamapp.settings.environment import ENV_FILE, unread
from streamapp.settings.file_problems import folder_problem
from streamapp.settings.opentelemetry import tracing_settings
from streamapp.web.server import own_url
from streamapp.web.tls import distrusted

#: Longest wait for Redis, seconds.
_ANSWER_S = 2.0


async def places(settings: Settings) -> list[Finding]:
    """Look at each that is set; nothing is written."""
    found = [*await _cache(settings), *_folder(settings.data_dir), *_certificate(settings)]
    if hint := few_files_hint(settings):
        found.append(Finding("open files", True, hint, is_note=True))
    return [*found, *_traces(), *_variables(), *_hosts(settings)]


async def _cache(settings: Settings) -> list[Finding]:
    """Look whether Redis answers; its address may hold a password, and is not told."""
    if not (url := settings.cache_url.get_secret_value()):
        return []
    try:
        tier = RedisTier(url, timeout_s=_ANSWER_S)
    except ConfigurationError as error:
        return [Finding("cache", False, str(error))]
    try:
        if await tier.answers():
            return [Finding("cache", True, "Redis answers")]
    finally:
        await tier.aclose()
    if tier.refusal:
        return [Finding("cache", False, f"{PREFIX}CACHE_URL: {tier.refusal}")]
    there = "there over TLS" if url.startswith("rediss:") else "there"
    detail = f"{PREFIX}CACHE_URL: no Redis answers {there}; workers do without until one does"
    return [Finding("cache", True, detail, is_note=True)]


def _folder(folder: Path) -> Iterator[Finding]:
    """Look whether a worker could make and fill it, by a file without a name."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        yield Finding("folder", False, f"{PREFIX}DATA_DIR: {folder_problem(folder, error)}")


def _certificate(settings: Settings) -> Iterator[Finding]:
    """Look whether the server could present it, and others would trust it."""
    url = own_url(settings)
    try:
        problem = distrusted(settings, host=urlsplit(url).hostname or "")
    except ConfigurationError as error:
        yield Finding("certificate", False, str(error))
    else:
        if problem:
            detail = f"other workers and commands do not trust it at {url}: {problem}; set"
            more = f"{PREFIX}WEB_URL to a name that it holds, or renew it"
            yield Finding("certificate", True, f"{detail} {more}", is_note=True)


def _traces() -> Iterator[Finding]:
    """Look whether a worker could send spans, where it is to."""
    try:
        tracing_settings()
    except ConfigurationError as error:
        yield Finding("traces", False, str(error))


def _variables() -> Iterator[Finding]:
    """Name what others than the settings read, and not from where it stands."""
    if names := unread():
        detail = (
            f"{ENV_FILE} sets {', '.join(names)} in vain: what counts is the environment itself"
        )
        mend = f"export {ENV_FILE}, as honcho does"
        yield Finding("environment", True, f"{detail}; {mend}", is_note=True)


def _hosts(settings: Settings) -> Iterator[Finding]:
    for host in sorted(settings.allowed_example_hosts):
        if "/" in host:
            detail = f"{PREFIX}EXAMPLES_HOSTS: write HOST or HOST:PORT, not {host!r}"
            yield Finding("examples", False, detail)
