"""The settings of OpenTelemetry, by its own variables."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from streamapp.errors import ConfigurationError
from streamapp.settings.checks import is_address


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """What OpenTelemetry's own variables mean to us; its SDK reads the others itself.

    Attributes:
        is_on: Whether spans are wanted.
        captures_content: Whether the text of messages and answers may be in them.
        secrets: Values of the headers that go to the collector.
    """

    is_on: bool = False
    captures_content: bool = False
    secrets: tuple[str, ...] = ()


def tracing_settings() -> TracingSettings:
    """Read ``OTEL_*``.

    Raises:
        ConfigurationError: Spans could not be sent: by another protocol than http/protobuf, to
            what is no address, with a certificate that is not there.
    """
    endpoint_name, endpoint = _read("ENDPOINT")
    is_on = (
        bool(endpoint)
        and os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() in ("", "otlp")
    )
    if is_on and _read("PROTOCOL")[1] not in ("", "http/protobuf"):
        raise ConfigurationError("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken")
    if is_on and not is_address(endpoint):
        raise ConfigurationError(f"{endpoint_name}: write an address, as http://HOST:4318")
    certificate_name, certificate = _read("CERTIFICATE")
    if is_on and certificate and not Path(certificate).is_file():
        raise ConfigurationError(f"{certificate_name}: there is no file {certificate!r}")
    captures = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
    headers = [pair.partition("=")[2] or pair for pair in _read("HEADERS")[1].split(",")]
    return TracingSettings(
        is_on=is_on,
        captures_content=captures.strip().lower() in ("true", "span_only", "span_and_event"),
        secrets=tuple(unquote(value.strip()) for value in headers if value.strip()),
    )


def _read(name: str) -> tuple[str, str]:
    """Return the variable of the exporter that is set, that for traces first, and its text."""
    variables = (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")
    values = ((variable, os.environ.get(variable, "").strip()) for variable in variables)
    return next((found for found in values if found[1]), (variables[1], ""))
