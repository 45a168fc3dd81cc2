"""The process around the app: Faust's worker with our logging and our exit codes."""

import logging
from pathlib import Path
from typing import IO, Any, NoReturn

import click
import faust
import structlog
from click.core import ParameterSource

from streamapp.errors import ConfigurationError
from streamapp.settings import refuse_public
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.process_end import leave_if_threads_run
from streamapp.telemetry.garbage import collect_rarely, keep_what_is_there
from streamapp.telemetry.logging import configure_logging, known_secrets
from streamapp.telemetry.refusal import refuse

log = structlog.get_logger(__name__)


class Worker(faust.Worker):
    """What ``faust -A streamapp.app worker`` and ``streamapp worker`` both run.

    Pass it to the app as its ``Worker`` setting. Faust's own set-up of logging is replaced,
    its spinner too: that one sets the root logger to DEBUG.
    """

    app: StreamApp

    def __init__(self, app: StreamApp, *services: Any, **kwargs: Any) -> None:
        super().__init__(app, *services, **kwargs)
        self.spinner = None
        try:  # again, since --web-bind may have changed it
            refuse_public(app.conf.web_bind, has_keys=app.settings.has_keys)
        except ConfigurationError as error:
            self._refuse(error)

    def execute_from_commandline(self) -> NoReturn:
        """Run until stopped; a wrong configuration ends with exit 2 and one line."""
        try:
            super().execute_from_commandline()
        except SystemExit as ending:
            if isinstance(ending.__context__, ConfigurationError):
                self._refuse(ending.__context__)
            leave_if_threads_run(ending.code)
            raise

    async def on_execute(self) -> None:
        """Say what starts, in place of Faust's banner."""
        settings = self.app.settings
        log.info(
            "worker.starting",
            app_id=settings.app_id,
            broker=settings.broker,
            store=settings.store,
            web=str(self.app.conf.canonical_url) if self.app.conf.web_enabled else "off",
            providers=sorted({provider.kind for provider in settings.providers.values()}),
        )

    async def on_startup_finished(self) -> None:
        """Take what lives as long as the process out of the garbage collector's way."""
        await super().on_startup_finished()
        keep_what_is_there()
        collect_rarely()

    def _setup_logging(self) -> None:
        settings = self.app.settings
        configure_logging(
            _chosen_level(str(self.loglevel)) or settings.log_level,
            settings.log_format,
            secrets=known_secrets(settings),
            stream=self._log_stream(),
            waits_for_reader=False,
        )
        # Faust would tell of a wrong configuration with a traceback: the last line is enough.
        logging.getLogger("faust.worker").addFilter(_is_no_refusal)
        if self.redirect_stdouts:
            self._redirect_stdouts()

    def _log_stream(self) -> IO[str]:
        """Return stderr as it is now, before Faust redirects it into the log."""
        return Path(self.logfile).open("a") if isinstance(self.logfile, str) else self.stderr

    def _refuse(self, error: ConfigurationError) -> NoReturn:
        refuse(error, self.stderr, log_format=self.app.settings.log_format)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], ConfigurationError))


def _chosen_level(loglevel: str) -> str | None:
    """Return the level of ``-l``, or None where it was not given: Faust has a default for it."""
    context = click.get_current_context(silent=True)
    while context is not None:
        if context.get_parameter_source("loglevel") is ParameterSource.COMMANDLINE:
            return "critical" if loglevel.upper() == "CRIT" else loglevel.lower()
        context = context.parent
    return None
