"""What is said where a process may open too few files."""

import resource
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from streamapp.cli.open_files import OTHERS, few_files_hint, warn_of_few_files
from streamapp.cli.place_findings import places
from streamapp.settings import Settings


@pytest.fixture
def limit() -> Iterator[int]:
    """As many files as may be open now; the bound is as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(before[0], 1_000) if before[0] > 0 else 1_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    yield soft
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_calls_and_others_need_a_file_each(limit: int) -> None:
    """The worker's log and `streamapp check` say so, with the setting and the bound."""
    enough, few = (Settings(max_in_flight=limit - OTHERS + more) for more in (0, 1))

    with capture_logs() as logs:
        warn_of_few_files(enough)
        warn_of_few_files(few)
    found = [one for one in await places(few) if one.name == "open files"]

    hint = few_files_hint(few) or ""
    assert few_files_hint(enough) is None
    assert hint.startswith(f"{limit} files and connections may be open at once: raise that")
    assert f"STREAMAPP_MAX_IN_FLIGHT={few.max_in_flight}" in hint
    assert [(line["event"], line["hint"]) for line in logs] == [("worker.few_open_files", hint)]
    assert [(one.is_note, one.detail) for one in found] == [(True, hint)]
