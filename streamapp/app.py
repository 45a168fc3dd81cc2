"""The app that `faust -A streamapp.app worker` loads; nothing else may import it."""

import sys

import mode.loop

from streamapp.bootstrap import create_app
from streamapp.errors import ConfigurationError

mode.loop.use("uvloop")

try:
    app = create_app()
except ConfigurationError as error:
    sys.stderr.write(f"streamapp: {error}\n")
    raise SystemExit(2) from None
