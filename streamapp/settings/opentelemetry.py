"""The settings of OpenTelemetry, by its own variables."""

import os
from dataclasses import dataclass
from urllib.parse import unquote

from streamapp.errors import ConfigurationError


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
        ConfigurationError: Another protocol than http/protobuf is asked for.
    """

    def read(name: str) -> str:
        signal = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
        return signal or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    is_on = (
        bool(read("ENDPOINT"))
        and os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() in ("", "otlp")
    )
    if is_on and read("PROTOCOL") not in ("", "http/protobuf"):
        raise ConfigurationError("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken")
    captures = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
    headers = [pair.partition("=")[2] or pair for pair in read("HEADERS").split(",")]
    return TracingSettings(
        is_on=is_on,
        captures_content=captures.strip().lower() in ("true", "span_only", "span_and_event"),
        secrets=tuple(unquote(value.strip()) for value in headers if value.strip()),
    )
