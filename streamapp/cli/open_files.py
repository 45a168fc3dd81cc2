"""The bound of open files, which connections are: a worker below it answers nothing for a while."""

import resource

import structlog

from streamapp.settings import PREFIX, Settings

log = structlog.get_logger(__name__)

#: Beside one for each call: Kafka, HTTP and its callers, Redis, tables on a disk.
OTHERS = 100


def few_files_hint(settings: Settings) -> str | None:
    """Return what to change where the process may open too few files; None where it may not."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= settings.max_in_flight + OTHERS:
        return None
    return (
        f"{soft} files and connections may be open at once: raise that (`ulimit -n`) above"
        f" {PREFIX}MAX_IN_FLIGHT={settings.max_in_flight} and {OTHERS} others, or lower it"
    )


def warn_of_few_files(settings: Settings) -> None:
    """Say so in the log, before the worker starts."""
    if hint := few_files_hint(settings):
        log.warning("worker.few_open_files", hint=hint)
