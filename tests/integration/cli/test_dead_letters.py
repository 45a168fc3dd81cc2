"""`streamapp dead-letters` against the embedded broker."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main
from streamapp.cli.kafka import producing
from streamapp.errors import InvalidRecord, Undecodable
from streamapp.records.dead_letter import REPLAYS
from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.topics import ensure_topics
from streamapp.streaming.dead_letters.replay import MAX_REPLAYS
from tests.support.dead_letters import FOREIGN, Pairs, headers_of, request, sent

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(60)]

COUNT = 40


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A broker with dead letters, half of them `invalid`, and what others wrote."""
    with EmbeddedBroker() as broker:
        found = Settings(_env_file=None, broker=broker.url)
        asyncio.run(_fill(found))
        yield found


async def _fill(settings: Settings) -> None:
    await ensure_topics(settings)
    written: list[tuple[bytes | None, Pairs, int]] = []
    for n in range(COUNT):
        failure = InvalidRecord("field 'x'") if n % 2 else Undecodable("no \x1b[31mJSON")
        headers = headers_of(f"r-{n}", failure=failure, partition=n % 8, offset=n // 8)
        written.append((request(f"r-{n}"), [("tag", b"a"), *headers], n % 8))
    await write(settings, *written, *((*foreign, 5) for foreign in FOREIGN.values()))


async def write(settings: Settings, *dead_letters: tuple[bytes | None, Pairs, int]) -> None:
    topic = settings.topic("requests-dlt")
    async with producing(settings) as producer:
        for value, headers, partition in dead_letters:
            await producer.send_and_wait(
                topic, value, key=b"k", headers=headers, partition=partition
            )


def run(settings: Settings, *arguments: str) -> Result:
    env = {"STREAMAPP_BROKER": settings.broker}
    return CliRunner().invoke(main, ["dead-letters", *arguments], env=env)


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_filters_and_counts_what_is_foreign(settings: Settings) -> None:
    """Machines get all, people the newest; records of others are counted and harm nothing."""
    every = run(settings, "list", "--json")
    lines = run(settings, "list", "--limit", "3")
    some = run(settings, "list", "--json", "--kind", "invalid", "--type", "chat", "--since", "1h")
    one = run(settings, "list", "--json", "--id", "r-7", "--text", "FIELD")

    assert [result.exit_code for result in (every, lines, some, one)] == [0] * 4
    assert {dead_letter["id"] for dead_letter in objects(every)} == {f"r-{n}" for n in range(COUNT)}
    told = f"{COUNT} dead letters: 20 invalid, 20 undecodable"
    assert every.stderr.strip() == (
        f"{told}; {len(FOREIGN)} records are no dead letters of ours, first 5@5"
    )
    which, why = lines.stdout.splitlines()[::2], lines.stdout.splitlines()[1::2]
    assert [line.split("  ")[2] for line in which] == ["r-39", "r-38", "r-37"]
    assert all(reason.startswith("    ") and reason.strip() for reason in why), why
    assert max(map(len, which)) < 80
    assert lines.stdout.replace("\n", "").isprintable()
    assert len(objects(some)) == 20
    assert [dead_letter["id"] for dead_letter in objects(one)] == ["r-7"]
    assert run(settings, "list", "--until", "1h").stdout == ""


def test_show_finds_by_place_and_by_id(settings: Settings) -> None:
    """All there is of them; what is not there is named, and the exit code says so."""
    result = run(settings, "show", "--json", "3@1", "r-1")
    people = run(settings, "show", "r-0")
    missing = run(settings, "show", "5@5", "r-99")

    assert (result.exit_code, people.exit_code, missing.exit_code) == (0, 0, 1)
    assert [dead_letter["id"] for dead_letter in objects(result)] == ["r-11", "r-1"]
    assert objects(result)[0]["record"] == request("r-11").decode()
    assert objects(result)[0]["headers"] == {"tag": "a"}
    assert "\x1b" not in people.stdout
    assert "there is no dead letter of ours at 5@5, r-99" in missing.stderr


def test_show_takes_an_id_that_reads_like_a_place(settings: Settings) -> None:
    """By `--id` it is the id: what stands at the place of that name is another record."""
    both = run(settings, "show", "--json", "3@1", "--id", "r-1")
    other = run(settings, "show", "--id", "3@1")

    assert [dead_letter["id"] for dead_letter in objects(both)] == ["r-11", "r-1"]
    assert (other.exit_code, other.stdout) == (1, "")
    assert "there is no dead letter of ours at 3@1" in other.stderr


def test_dry_run_sends_nothing(settings: Settings) -> None:
    """It names what would be sent."""
    result = run(settings, "replay", "--dry-run", "--kind", "invalid")
    counts = run(settings, "replay", "--dry-run", "--kind", "invalid", "--json")

    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2 * 20)
    assert "would send 20 records again" in result.stderr
    none = run(settings, "replay", "--dry-run", "--id", "r-99")
    assert "would send 0 records again" in none.stderr
    assert "no dead letter fits" in none.stderr
    assert objects(counts)[0]["would_send"] == 20
    assert sent(settings) == []


def test_replay_sends_each_record_once(settings: Settings) -> None:
    """Bytes, key, partition and headers are the record's; a second command finds the notes."""
    first = run(settings, "replay", "--kind", "invalid", "--rate", "5000", "--json")
    second = run(settings, "replay", "--all", "--rate", "5000", "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert objects(first)[0]["sent"] == 20
    summary = objects(second)[0]
    assert (summary["sent"], summary["not_sent"]) == (20, {"replayed": 20})
    assert summary["foreign_records"] == len(FOREIGN)
    records = {record.value: record for record in sent(settings)}
    assert records.keys() == {request(f"r-{n}") for n in range(COUNT)}
    assert records[request("r-11")].partition == 3
    assert dict(records[request("r-11")].headers)["tag"] == b"a"
    assert dict(records[request("r-11")].headers)[REPLAYS] == b"1"
    assert {
        dead_letter["replayed"] for dead_letter in objects(run(settings, "list", "--json"))
    } == {True}


def at_a_terminal(settings: Settings, **env: str) -> str:
    """Replay all from a terminal, and say no where it asks; return what is shown and the exit."""
    program = f"""
import pty, os, sys
child, terminal = pty.fork()
if child == 0:
    os.execv({sys.executable!r}, [{sys.executable!r}, "-m", "streamapp", "dead-letters", "replay"])
seen, answered = b"", False
try:
    while piece := os.read(terminal, 4096):
        seen += piece
        if b"[y/N]" in seen and not answered:
            answered = os.write(terminal, b"n\\n")
except OSError:
    pass
print(seen.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "STREAMAPP_BROKER": settings.broker, **env},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    return found.stdout


def test_those_not_sent_yet_are_listed_alone(settings: Settings) -> None:
    """What is still to be done, of all that failed; the summary counts them alone."""
    run(settings, "replay", "--kind", "invalid", "--yes")

    left = run(settings, "list", "--json", "--unsent")
    lines = run(settings, "list", "--unsent", "--limit", "3")

    assert {found["id"] for found in objects(left)} == {f"r-{n}" for n in range(0, COUNT, 2)}
    assert len(lines.stdout.splitlines()) == 6
    for result in (left, lines):
        assert f"{COUNT // 2} dead letters: {COUNT // 2} undecodable" in result.stderr
        assert "sent again" not in result.stderr
    told = run(settings, "list").stderr
    assert f"20 undecodable; {COUNT // 2} of them sent again, {COUNT // 2} not" in told


def test_replay_of_all_asks_who_can_answer(settings: Settings) -> None:
    """It says how many, and sends nothing before a yes; what nobody answers is refused."""
    shown = at_a_terminal(settings)

    assert f"Send {COUNT} records again? [y/N]" in shown
    assert "20 invalid, 20 undecodable" in shown
    assert "50 a second at most" in shown
    assert shown.split()[-1] == "1"
    assert sent(settings) == []


def test_replay_of_nothing_asks_nobody_and_sends_nothing(settings: Settings) -> None:
    """What fails after it has looked is not sent unasked: it only tells what it would send."""
    empty = settings.model_copy(update={"topic_prefix": "empty"})
    asyncio.run(ensure_topics(empty))
    shown = at_a_terminal(settings, STREAMAPP_TOPIC_PREFIX="empty")

    assert "[y/N]" not in shown
    assert "would send 0 records again" in shown
    assert shown.split()[-1] == "0"


def test_replay_names_what_it_refuses(settings: Settings) -> None:
    """A loop, a place without a dead letter: one line each, exit 1, and the rest is sent."""
    headers = headers_of("loop", offset=99, earlier=[(REPLAYS, b"%d" % MAX_REPLAYS)])
    asyncio.run(write(settings, (request("loop"), headers, 0)))

    result = run(settings, "replay", "0@5", "0@1", "5@5", "70@0")

    assert result.exit_code == 1
    assert "0@5 is not sent: failed again 5 times" in result.stderr
    assert "5@5 is not sent: there is no dead letter of ours" in result.stderr
    assert "70@0 is not sent: there is no dead letter of ours" in result.stderr
    assert "sent 1 record again" in result.stderr
    assert [record.value for record in sent(settings)] == [request("r-8")]


def test_replay_takes_the_ids_that_list_prints(settings: Settings) -> None:
    """One that has no dead letter is named, exit 1, and the rest is sent."""
    result = run(settings, "replay", "r-1", "r-8", "r-99")

    assert result.exit_code == 1
    assert "record r-99 is not sent: there is no dead letter of ours" in result.stderr
    assert "sent 2 records again" in result.stderr
    assert {record.value for record in sent(settings)} == {request("r-1"), request("r-8")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "1@2", "--kind", "invalid"], "options alone"),
        (["replay", "r-1", "--kind", "invalid"], "options alone"),
        (["replay", "1@2", "r-1"], "PLACEs alone"),
        (["edit"], "one of them"),
        (["edit", "1@2", "--id", "r-1"], "one of them"),
        (["show"], "give PLACEs, IDs or --id"),
        (["replay", "--rate", "0"], "--rate"),
        (["replay", "--rate", "10"], "would send every dead letter again: name PLACEs"),
        (["list", "--kind", "nope"], "--kind"),
        (["list", "--since", "nope"], "write an age like 30m"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_use_is_exit_2(arguments: list[str], says: str) -> None:
    """Nothing is asked of a broker before the command makes sense."""
    result = CliRunner().invoke(main, ["dead-letters", *arguments])

    assert result.exit_code == 2
    assert says in result.stderr


def test_without_a_topic_the_message_says_who_makes_it() -> None:
    """A broker that no worker has used yet is no crash."""
    with EmbeddedBroker() as broker:
        result = CliRunner().invoke(
            main, ["dead-letters", "list"], env={"STREAMAPP_BROKER": broker.url}
        )

    assert result.exit_code == 1
    assert "there is no topic llm.requests-dlt yet: a worker creates it" in result.stderr
