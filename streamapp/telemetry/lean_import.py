"""The import of structlog without libraries that it takes where they happen to be installed."""

import sys

#: For tracebacks that we print plainly, and for green threads: 4 MB and a tenth of a second.
_UNUSED = ("greenlet", "rich")


def import_structlog() -> None:
    """Import it; whoever uses one of those libraries afterwards imports it as ever."""
    hidden = [name for name in _UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # Python's way to say: not to be found
    try:
        import structlog  # noqa: F401  # for what its import leaves behind
    finally:
        for name in hidden:
            del sys.modules[name]
