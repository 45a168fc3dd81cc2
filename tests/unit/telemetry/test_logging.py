"""Logging: one format for our lines and the libraries'."""

import io
import json
import logging

import pytest
import structlog
from pydantic import SecretStr

from streamapp.settings import ProviderSettings, Settings
from streamapp.settings.mcp import McpSettings
from streamapp.telemetry.logging import configure_logging, known_secrets
from tests.support.logs import restored_logging

__all__ = ["restored_logging"]

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_json_lines_of_ours_and_of_libraries_have_the_same_fields() -> None:
    """A structlog event and a stdlib line both become one JSON object a line."""
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)

    structlog.get_logger("ours").info("record.done", type="chat", duration_s=0.12)
    logging.getLogger("library").warning("lost %s", "node-1")

    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["logger"]) == ("record.done", "info", "ours")
    assert (ours["type"], ours["duration_s"]) == ("chat", 0.12)
    assert (theirs["event"], theirs["level"]) == ("lost node-1", "warning")
    assert (theirs["logger"], sorted(theirs)) == (
        "library",
        ["event", "level", "logger", "timestamp"],
    )


def test_console_lines_are_readable_and_carry_tracebacks() -> None:
    """The console format has event, fields and traceback, without colours off a terminal."""
    stream = io.StringIO()
    configure_logging("info", "console", stream=stream)

    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("ours").exception("record.failed", kind="internal")

    text = stream.getvalue()
    assert "record.failed" in text
    assert "kind=internal" in text
    assert "ValueError: broken" in text
    assert "\x1b" not in text


def test_level_is_obeyed_by_ours_and_by_libraries() -> None:
    """Lines below the level do not appear."""
    stream = io.StringIO()
    configure_logging("warning", "json", stream=stream)

    structlog.get_logger("quiet").info("hidden")
    logging.getLogger("library").info("hidden")
    structlog.get_logger("quiet").warning("shown")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["shown"]


def test_kafka_client_never_builds_debug_lines() -> None:
    """The client's logger is off for DEBUG even when everything else is at DEBUG."""
    configure_logging("debug", stream=io.StringIO())

    assert not logging.getLogger("aiokafka.consumer.fetcher").isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize("name", ["mcp.client", "instructor.v2.retry"])
def test_libraries_that_tell_content_in_their_errors_say_nothing(name: str) -> None:
    """Instructor writes the answer that it could not validate, at ERROR."""
    stream = io.StringIO()
    configure_logging("debug", "json", stream=stream)

    logging.getLogger(name).error("input_value=%r", "canary-7f3a")

    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["httpx", "httpx2", "openai"])
def test_clients_on_ours_say_no_line_a_call(name: str) -> None:
    """What is built on `llm.openai()` calls as often as we do, and some of it tells messages."""
    configure_logging("debug", stream=io.StringIO())

    assert not logging.getLogger(f"{name}.client").isEnabledFor(logging.INFO)


def test_framework_speaks_one_level_more_quietly() -> None:
    """Faust's lines about each service appear with DEBUG, its warnings with INFO."""
    configure_logging("info", stream=io.StringIO())
    at_info = [logging.getLogger("faust.x").isEnabledFor(n) for n in (20, 30)]
    configure_logging("debug", stream=io.StringIO())
    at_debug = [logging.getLogger("mode.x").isEnabledFor(n) for n in (10, 20)]

    assert at_info == at_debug == [False, True]


@pytest.mark.parametrize("format", ["console", "json"])
def test_secrets_never_reach_a_line(format: str) -> None:
    """Message, arguments, fields and traceback are redacted alike."""
    stream = io.StringIO()
    configure_logging("info", format, secrets=["CANARY-42"], stream=stream)  # type: ignore[arg-type]

    logging.getLogger("library").warning("sent %s", {"Authorization": "Bearer CANARY-1"})
    try:
        raise ValueError("bad key CANARY-42")
    except ValueError:
        structlog.get_logger("ours").exception("call.failed", key="CANARY-42")

    assert "CANARY" not in stream.getvalue()


def test_repeated_lines_are_bounded_and_counted() -> None:
    """A line repeated thousands of times is written a few times."""
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)

    for _ in range(1000):
        logging.getLogger("library").error("Unable to connect to %s", "node-1")

    assert len(stream.getvalue().splitlines()) == 10


def test_configuring_again_replaces_the_former_setup() -> None:
    """Lines are never written twice."""
    first, second = io.StringIO(), io.StringIO()
    configure_logging(stream=first)
    configure_logging(stream=second)

    logging.getLogger("library").error("once")

    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_known_secrets_are_those_of_the_settings() -> None:
    """API keys, passwords, the providers' keys and headers that hold secrets are all known.

    What a header says that is none by its name is a word like another.
    """
    server = McpSettings(url="http://a", values={"authorization": SecretStr("mcp")})
    program = McpSettings(command=["b"], values={"FOLDER": SecretStr("/")})
    settings = Settings(
        _env_file=None,
        api_keys=SecretStr("key-1, key-2"),
        kafka_sasl_password=SecretStr("sasl"),
        cache_url=SecretStr("redis://:pw@host"),
        schema_registry_url="https://r",
        schema_registry_user="u",
        schema_registry_password=SecretStr("registry"),
        providers={
            "p": ProviderSettings(
                kind="openai",
                api_key=SecretStr("provider"),
                extra_headers={
                    "Proxy-Authorization": "Basic gateway",
                    "x-gateway-token": "token-1",
                    "X-Title": "The shop's reviews",
                },
            )
        },
        mcp={"s": server, "p": program},
    )

    assert known_secrets(settings) == (
        "key-1",
        "key-2",
        "sasl",
        "redis://:pw@host",
        "registry",
        "pw",
        "provider",
        "Basic gateway",
        "gateway",
        "token-1",
        "mcp",
    )
