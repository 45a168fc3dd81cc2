"""`streamapp dead-letters edit` against the embedded broker."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main
from streamapp.cli.kafka import producing
from streamapp.records.dead_letter import ATTEMPTS, FIRST_FAILURE, REPLAYS
from streamapp.settings import Settings
from streamapp.streaming.broker.embedded import EmbeddedBroker
from streamapp.streaming.broker.topics import ensure_topics
from streamapp.streaming.dead_letters.replay import MAX_REPLAYS
from tests.support.dead_letters import Pairs, headers_of, request, sent

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]

WORN = [(REPLAYS, b"%d" % MAX_REPLAYS)]
#: By place: value and headers; each stands in a partition of its own.
DEAD: dict[str, tuple[bytes, Pairs]] = {
    "0@0": (request("r-0"), [("tag", b"a"), *headers_of("r-0", partition=3)]),
    "1@0": (b"{not JSON", headers_of("r-1", offset=1)),
    "1@1": (b"\xef\xbb\xbf" + request("r-9"), headers_of("r-9", offset=11)),
    "2@0": (b"\xff", headers_of("r-2", offset=2)),
    "3@0": (request("r-3"), headers_of("r-3", offset=3, earlier=WORN)),
    "4@0": (b"{}", headers_of("r-4", offset=4, topic="llm.prompts")),
    "5@0": (b"{}", headers_of("r-5", offset=5, topic="somebodys")),
    "6@0": (
        b'{"id": "r-6", "type": "chat", "n": 12345678901234567890.5, "text": "\\ud800"}',
        headers_of("r-6", offset=6),
    ),
    "7@0": (request("r-7", stream=1), headers_of("r-7", offset=7)),
    "2@1": (request("r-8"), [("tag", b"old"), *headers_of("r-8", offset=8)]),
    "6@1": (request("r-8"), [("tag", b"new"), *headers_of("r-8", offset=9)]),
    "4@1": (request("0@0"), [("tag", b"place"), *headers_of("0@0", offset=10)]),
}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A broker with a dead letter of each sort."""
    with EmbeddedBroker() as broker:
        found = Settings(_env_file=None, broker=broker.url)
        asyncio.run(_fill(found))
        yield found


async def _fill(settings: Settings) -> None:
    await ensure_topics(settings)
    async with producing(settings) as producer:
        for place, (value, headers) in DEAD.items():
            await producer.send_and_wait(
                "llm.requests-dlt", value, key=b"k", headers=headers, partition=int(place[0])
            )


def editor(folder: Path, *texts: str) -> str:
    """Return a command that writes the texts into what it is to edit, one at each call."""
    script, calls = folder / "editor.py", folder / "calls"
    calls.write_text(json.dumps(texts))
    script.write_text(
        "import json, pathlib, sys\n"
        f"calls = pathlib.Path({str(calls)!r})\n"
        "text, *rest = json.loads(calls.read_text())\n"
        "calls.write_text(json.dumps(rest))\n"
        "edited = pathlib.Path(sys.argv[1])\n"
        f"pathlib.Path({str(folder / 'seen')!r}).write_bytes(edited.read_bytes())\n"
        "edited.write_text(text)\n"
    )
    return f"{sys.executable} {script}"


def run(settings: Settings, *arguments: str, **options: Any) -> Result:
    env = {"STREAMAPP_BROKER": settings.broker, "EDITOR": "false", **options.pop("env", {})}
    return CliRunner().invoke(main, ["dead-letters", *arguments], env=env, **options)


@pytest.mark.parametrize(
    ("arguments", "input", "code", "says"),
    [
        (["0@0"], "", 2, "give --yes"),
        (["0@0", "--yes", "--from", "-"], '{"type": "chat"}', 2, "field 'messages'"),
        (["0@0", "--yes", "--from", "-"], b"\xff", 2, "no text"),
        (["0@0", "--yes", "--from", "-"], request("r-0").decode(), 1, "nothing was changed"),
        (["0@0", "--yes"], "", 1, "Editing failed"),
        (["2@0", "--yes"], "", 1, "its bytes are no text"),
        (["4@0", "--yes"], "", 1, "publish the prompt again"),
        (["5@0", "--yes"], "", 1, "of a topic that is not of this app"),
        (["7@9", "--yes"], "", 1, "there is no dead letter of ours"),
        (["nope", "--yes"], "", 1, "there is no dead letter of a record 'nope'"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_sent(
    settings: Settings, arguments: list[str], input: Any, code: int, says: str
) -> None:
    """Before anything is sent, by its exit code too."""
    before = len(sent(settings))

    result = run(settings, "edit", *arguments, input=input)

    assert (result.exit_code, says in result.stderr) == (code, True), result.stderr
    assert len(sent(settings)) == before


def test_corrected_record_goes_where_the_failed_one_stood(
    settings: Settings, tmp_path: Path
) -> None:
    """With its key and headers, without its history; it counts as sent again."""
    corrected = json.dumps({**json.loads(request("r-0")), "temperature": 0})
    env = {"EDITOR": editor(tmp_path, corrected)}

    result = run(settings, "edit", "0@0", "--yes", env=env)
    again = run(settings, "edit", "0@0", "--yes", env=env)

    assert result.exit_code == 0, result.stderr
    assert '+  "temperature": 0' in result.stderr
    (record,) = [one for one in sent(settings) if one.value == corrected.encode()]
    assert f"sent as llm.requests-3@{record.offset}" in result.stderr
    assert (record.partition, record.key, dict(record.headers)["tag"]) == (3, b"k", b"a")
    assert not {REPLAYS, ATTEMPTS, FIRST_FAILURE} & dict(record.headers).keys()
    assert (tmp_path / "seen").read_text().startswith('{\n  "id": "r-0"')
    assert again.exit_code == 1
    assert "sent again before" in again.stderr
    listed = run(settings, "list", "--json", "--id", "r-0")
    assert json.loads(listed.stdout)["replayed"] is True


def test_record_that_failed_again_and_again_can_be_corrected(
    settings: Settings, tmp_path: Path
) -> None:
    """A replay refuses it; corrected, it has no history any more."""
    corrected = tmp_path / "corrected.json"
    corrected.write_bytes(request("r-3", seed=1))

    replayed = run(settings, "replay", "3@0")
    result = run(settings, "edit", "3@0", "--yes", "--from", str(corrected))

    assert (replayed.exit_code, result.exit_code) == (1, 0), result.stderr
    assert corrected.read_bytes() in [record.value for record in sent(settings)]


def test_editor_shows_what_json_cannot_write_again(settings: Settings, tmp_path: Path) -> None:
    """Half of a surrogate pair and digits past a float's stay as the producer wrote them."""
    result = run(settings, "edit", "6@0", "--yes", env={"EDITOR": editor(tmp_path, "{}")})

    assert result.exit_code == 2, result.exception
    assert (tmp_path / "seen").read_bytes().rstrip() == DEAD["6@0"][0]


def test_editor_shows_no_byte_order_mark(settings: Settings, tmp_path: Path) -> None:
    """JSON behind one is shown by its lines; with nothing else changed there is nothing to send."""
    shown = json.dumps(json.loads(request("r-9")), indent=2)

    result = run(settings, "edit", "1@1", "--yes", env={"EDITOR": editor(tmp_path, shown)})

    assert (tmp_path / "seen").read_text().rstrip() == shown
    assert (result.exit_code, "nothing was changed" in result.stderr) == (1, True), result.stderr


def test_number_that_should_be_true_is_a_change(settings: Settings, tmp_path: Path) -> None:
    """The two are equal in Python, and not in JSON."""
    corrected = tmp_path / "corrected.json"
    corrected.write_bytes(request("r-7", stream=True))

    result = run(settings, "edit", "7@0", "--yes", "--from", str(corrected))

    assert result.exit_code == 0, result.stderr


def test_editor_that_leaves_no_text_is_told(settings: Settings, tmp_path: Path) -> None:
    """In one line, as a file that is none."""
    command = editor(tmp_path, "\udcff")
    script = tmp_path / "editor.py"
    script.write_text(script.read_text().replace("(text)", "(text, errors='surrogateescape')"))

    result = run(settings, "edit", "1@0", "--yes", env={"EDITOR": command})

    assert (result.exit_code, "no text" in result.stderr) == (2, True), result.exception


def test_wrong_correction_is_edited_again(settings: Settings, tmp_path: Path) -> None:
    """On a terminal: what is wrong, the editor with what was written, and a question at the end."""
    good = request("r-1").decode()
    program = f"""
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    arguments = "-m streamapp dead-letters edit 1@0".split()
    os.execv({sys.executable!r}, [{sys.executable!r}, *arguments])
seen = b""
for question, answer in ((b"Edit again? [Y/n]", b"y\\n"), (b"headers? [y/N]", b"y\\n")):
    while question not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, answer)
try:
    while piece := os.read(terminal, 4096):
        seen += piece
except OSError:
    pass
print(seen.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    env = {**os.environ, "STREAMAPP_BROKER": settings.broker, "VISUAL": ""}
    env["EDITOR"] = editor(tmp_path, '{"type": "chat"}', good)
    found = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=100
    )

    assert "invalid: field 'messages'" in found.stdout, found
    assert "Send it to llm.requests, partition 0, with its key and headers?" in found.stdout
    assert found.stdout.split()[-1] == "0"
    assert (tmp_path / "seen").read_text().strip() == '{"type": "chat"}'
    assert good.encode() in [record.value for record in sent(settings)]


def test_nothing_at_a_place_is_told_before_anybody_would_be_asked(settings: Settings) -> None:
    """To a script as well: `--yes` would not help."""
    result = run(settings, "edit", "7@99")

    assert result.exit_code == 1
    assert "7@99 is not sent: there is no dead letter of ours" in result.stderr


def test_record_is_found_by_its_id(settings: Settings, tmp_path: Path) -> None:
    """As `list` prints it; of several dead letters it is the newest."""
    corrected = json.dumps({**json.loads(request("r-8")), "temperature": 1})

    result = run(settings, "edit", "r-8", "--yes", env={"EDITOR": editor(tmp_path, corrected)})

    assert result.exit_code == 0, result.stderr
    [record] = [one for one in sent(settings) if one.value == corrected.encode()]
    assert dict(record.headers)["tag"] == b"new"


def test_record_whose_id_reads_like_a_place_is_found_by_option(
    settings: Settings, tmp_path: Path
) -> None:
    """By `--id` it is the id, and not what stands at the place of that name."""
    corrected = json.dumps({**json.loads(request("0@0")), "temperature": 1})
    env = {"EDITOR": editor(tmp_path, corrected)}

    result = run(settings, "edit", "--id", "0@0", "--yes", env=env)

    assert result.exit_code == 0, result.stderr
    [record] = [one for one in sent(settings) if one.value == corrected.encode()]
    assert dict(record.headers)["tag"] == b"place"
