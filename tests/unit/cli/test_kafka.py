"""A broker that keeps a command waiting."""

import asyncio
from pathlib import Path

import pytest

from streamapp.cli.kafka import answered, unreachable
from streamapp.errors import StreamappError
from streamapp.settings import Settings
from tests.support.waiting import until


async def test_whoever_waits_for_a_broker_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A frozen one takes a connection and says nothing, and silence looks like a hang."""
    settings, said = Settings(_env_file=None, broker="kafka://frozen:9092"), ""

    def is_said() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return bool(said)

    await answered(settings, until(is_said, 5), said_after_s=0.0)

    assert said == "waiting for the broker kafka://frozen:9092\n"


async def test_whoever_waits_longer_than_said_is_told_what_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A broker that refuses is looked at once more, which takes as long again."""
    settings = Settings(_env_file=None, broker="kafka://127.0.0.1:1")

    async def late() -> None:
        await asyncio.sleep(0.01)
        raise TimeoutError

    with pytest.raises(StreamappError, match="does not answer"):
        await answered(settings, late(), said_after_s=0.0)

    *_, last = capsys.readouterr().err.splitlines()
    assert last == "no answer; looking whether it refuses this program"


async def test_a_broker_that_answers_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is one later that a command asks once more."""
    settings = Settings(_env_file=None, broker="kafka://quick:9092")

    async def at_once() -> int:
        return 5

    assert await answered(settings, at_once(), said_after_s=0.0) == 5
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert capsys.readouterr().err == ""


def test_a_broker_that_does_not_answer_is_named_with_its_line_in_env() -> None:
    """Whoever forgot the file never set the variable."""
    settings = Settings(_env_file=None, broker="kafka://old:9092")
    untold = unreachable(settings)
    Path(".env").write_text("# old\nSTREAMAPP_BROKER=kafka://old:9092\n")

    assert "set STREAMAPP_BROKER, which .env:2 sets (" in unreachable(settings)
    assert "set STREAMAPP_BROKER (" in untold
