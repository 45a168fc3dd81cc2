"""Redaction: what looks like a secret, or is one of ours, never reaches a line."""

import json

import pytest

from streamapp.telemetry.redaction import Redactor


@pytest.mark.parametrize(
    "line",
    [
        "authorization: Bearer CANARY-1",
        "Authorization: Basic CANARY-1",
        '{"Authorization": "Token-CANARY-1"}',
        "api_key=CANARY-1",
        "{'api-key': 'CANARY-1'}",
        "\x1b[36mpassword\x1b[0m=\x1b[35mCANARY-1\x1b[0m",
        "kafka_sasl_password='CANARY-1'",
        "redis://user:CANARY-1@host:6379/0",
        "the key sk-proj-CANARY-1 is wrong",
    ],
)
def test_redactor_masks_what_looks_like_a_secret(line: str) -> None:
    """Header, field, URL and key shapes lose their value, the rest of the line stays."""
    redacted = Redactor()(line)

    assert "CANARY" not in redacted
    assert "***" in redacted


def test_redactor_masks_known_secrets_anywhere() -> None:
    """A secret of the settings is masked even where nothing around it says so."""
    redact = Redactor(["hunter2-secret", "hunter2-secret-longer"])

    assert redact("got hunter2-secret-longer and hunter2-secret") == "got *** and ***"


def test_redactor_keeps_json_valid() -> None:
    """A redacted JSON line is still JSON with all its fields."""
    line = json.dumps({"event": "call", "authorization": "Bearer abc.def", "api_key": "x", "n": 1})

    assert json.loads(Redactor()(line)) == {
        "event": "call",
        "authorization": "Bearer ***",
        "api_key": "***",
        "n": 1,
    }


@pytest.mark.parametrize(
    "line",
    ["risk-averse tasks", "https://host:8080/path", "http://a/b:c@d", "prompt_tokens=12", ""],
)
def test_redactor_leaves_harmless_lines_alone(line: str) -> None:
    """Lines without a secret come out as they went in."""
    assert Redactor([""])(line) == line
