"""The app that `faust -A streamapp.app worker` loads; nothing else may import it."""

import sys
from typing import TYPE_CHECKING

import mode.loop

from streamapp.errors import ConfigurationError
from streamapp.telemetry.garbage import collect_rarely
from streamapp.telemetry.lean_import import import_structlog

if TYPE_CHECKING:
    from streamapp.streaming.app.lifecycle import StreamApp


def _app() -> "StreamApp":
    # After the collector was told: most of the time of a start goes into these imports.
    import_structlog()
    from streamapp.bootstrap import create_app

    try:
        return create_app()
    except ConfigurationError as error:
        sys.stderr.write(f"streamapp: {error}\n")
        raise SystemExit(2) from None


mode.loop.use("uvloop")
collect_rarely()
app = _app()
