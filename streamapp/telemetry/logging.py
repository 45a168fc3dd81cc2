"""Logging: structlog over stdlib, one format for our lines and the libraries', to stderr."""

import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Literal

import structlog
from structlog.typing import EventDict, Processor

from streamapp.settings import Settings
from streamapp.settings.opentelemetry import tracing_settings
from streamapp.telemetry.line_writer import LineWriter
from streamapp.telemetry.outage import CLIENT
from streamapp.telemetry.redaction import Redactor
from streamapp.telemetry.repeats import RepeatLimit
from streamapp.telemetry.subject import add_subject

#: Names of a provider's headers whose values are secrets.
_SECRET_HEADER = re.compile(r"auth|cookie|credential|key|passw|secret|token", re.IGNORECASE)
#: Libraries whose DEBUG and INFO lines say nothing to an operator. aiokafka's level is also
#: speed: it builds its DEBUG records even where no handler wants them (a tenth of the CPU).
#: `httpx` says a line a call at INFO; `openai` tells messages at DEBUG.
QUIET = (
    *("aiokafka", "asyncio", "aiohttp", "rocksdict"),
    *("httpx", "httpx2", "openai"),
)
#: They tell content in their errors, too: MCP's SDK what it could not read of a tool's result,
#: Instructor the answers that it could not validate.
SILENT = ("mcp", "instructor")
#: Their INFO lines name every service that starts or stops: shown at our DEBUG.
FRAMEWORK = ("faust", "mode")


def configure_logging(
    level: str = "info",
    format: Literal["console", "json"] = "console",
    *,
    secrets: Iterable[str] = (),
    stream: IO[str] | None = None,
    quiet_level: int = logging.WARNING,
    waits_for_reader: bool = True,
) -> None:
    """Send all logging of the process to ``stream``; call it again to change it.

    A worker calls it through :class:`streamapp.streaming.app.worker.Worker`, so that it replaces
    Faust's own set-up under both start commands; every other command calls it itself.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        format: ``console`` for people, ``json`` for one object a line.
        secrets: Literal values to mask, see :func:`known_secrets`.
        stream: Where lines go; None is stderr as it is now.
        quiet_level: Level of the libraries in ``QUIET``.
        waits_for_reader: Whether a line waits until ``stream`` takes it; else it is queued, and
            dropped where nobody reads.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_subject,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A cached logger would keep the configuration it was first used with.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream) if waits_for_reader else LineWriter(stream)
    handler.addFilter(RepeatLimit(retrying=[CLIENT]))
    handler.setFormatter(
        _Formatter(
            Redactor(secrets),
            foreign_pre_chain=shared,
            processors=[
                _add_suppressed,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                *_renderers(format, stream),
            ],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, quiet_level))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in FRAMEWORK:
        logging.getLogger(name).setLevel(number + 10)


def log_in_format(settings: Settings) -> None:
    """Log as the settings say, to stderr."""
    configure_logging(settings.log_level, settings.log_format, secrets=known_secrets(settings))


def known_secrets(settings: Settings) -> tuple[str, ...]:
    """Return the secrets that the settings hold, for redaction."""
    cache_url = settings.cache_url.get_secret_value()
    named = [one for key in settings.keys.values() for one in key.key_values]
    values = [*settings.api_tokens, settings.kafka_sasl_password.get_secret_value(), cache_url]
    values.append(settings.kafka_oauth_client_secret.get_secret_value())
    values.append(settings.schema_registry_password.get_secret_value())
    values.append(cache_url.partition("://")[2].rpartition("@")[0].partition(":")[2])
    values += [p.api_key.get_secret_value() for p in settings.providers.values() if p.api_key]
    values += [one for p in settings.providers.values() for one in _of_headers(p.extra_headers)]
    values += [
        p.extra_headers.get(h, "") for p in settings.providers.values() for h in p.headers_env
    ]
    values += [value.get_secret_value() for value in named]
    servers = [server for server in settings.mcp.values() if server.url is not None]
    values += [one.get_secret_value() for server in servers for one in server.values.values()]
    values += tracing_settings().secrets
    return tuple(value for value in values if value)


def _of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of headers that are secrets by their names, and what follows a scheme.

    Others are words such as the name of an application, and stand in lines of the log.
    """
    for name, value in headers.items():
        if _SECRET_HEADER.search(name):
            yield value
            yield value.partition(" ")[2]


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Redacts the finished line: message, fields and traceback alike."""

    def __init__(self, redact: Redactor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def _add_suppressed(logger: Any, name: str, event: EventDict) -> EventDict:
    """Show how many lines of this template were held back before this one."""
    suppressed = getattr(event["_record"], "suppressed", 0)
    return {**event, "suppressed": suppressed} if suppressed else event


def _renderers(format: str, stream: IO[str]) -> list[Processor]:
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    colors = stream.isatty()
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    ]
