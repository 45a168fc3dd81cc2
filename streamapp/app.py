"""The app that `faust -A streamapp.app worker` loads; nothing else may import it."""

from typing import TYPE_CHECKING

import mode.loop

from streamapp.telemetry.garbage import collect_rarely
from streamapp.telemetry.lean_import import import_structlog
from streamapp.telemetry.refusal import refused_at_start

if TYPE_CHECKING:
    from streamapp.streaming.app.lifecycle import StreamApp


def _app() -> "StreamApp":
    # After the collector was told: most of the time of a start goes into these imports.
    import_structlog()
    from streamapp.bootstrap import create_app
    from streamapp.settings.loading import load_settings
    from streamapp.telemetry.logging import log_in_format

    with refused_at_start():
        settings = load_settings()
        log_in_format(settings)
        return create_app(settings)


mode.loop.use("uvloop")
collect_rarely()
app = _app()
