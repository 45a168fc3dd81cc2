"""`streamapp explain` where there is no broker."""

import json
import time
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamapp.cli import main
from streamapp.cli.dry_run import DryRun, Explanation
from streamapp.cli.explain import _sum, _text
from streamapp.cli.kept_answers import KeptAnswer, SharedAnswers, WorkerPartitions
from streamapp.cli.lines import Line
from streamapp.prompts.registry import PromptRegistry
from streamapp.settings.loading import load_settings
from tests.support.process import free_port

NOBODY = {"STREAMAPP_BROKER": "kafka://127.0.0.1:1", "STREAMAPP_WEB_PORT": str(free_port())}
SUMMARIZE = {"id": "s", "type": "summarize", "text": "Kafka is a log. " * 20, "max_words": 5}


def run(*records: Any, arguments: tuple[str, ...] = (), **environment: str) -> Result:
    lines = "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records)
    command = ["explain", "-", *arguments]
    return CliRunner().invoke(main, command, input=lines, env=NOBODY | environment)


def explained(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_record_is_explained_without_a_call() -> None:
    """Processor, prompt version, target, tokens and price of what would happen."""
    result = run(
        SUMMARIZE,
        arguments=("--json",),
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
        STREAMAPP_MODEL="some-model",
    )

    assert result.exit_code == 0, result.stderr
    [found] = explained(result)
    assert found["processor"] == "streamapp.processors.summarize.summarize"
    assert found["prompt"] == "summarize:1 @production"
    assert found["targets"] == ["openai/some-model"]
    assert found["tokens"] > 300
    assert found["cost_usd"] is None
    assert "no topic to read" in result.stderr


def test_every_sample_of_the_demo_is_explained() -> None:
    """All record types go their way, and the offline provider costs nothing."""
    lines = files("streamapp.cli").joinpath("samples.jsonl").read_text().splitlines()
    result = run(*lines, arguments=("--json",))

    assert result.exit_code == 0, result.stderr
    assert {found["type"] for found in explained(result)} == {
        "generate", "chat", "summarize", "classify", "extract", "translate", "embed",
    }  # fmt: skip
    assert {float(found["cost_usd"]) for found in explained(result)} == {0}


def test_text_fits_80_columns_and_names_each_record() -> None:
    """Two lines a record, with its own id also where it is wrong."""
    wrong = {"id": "w", "type": "generate", "prompt": "Write a poem about bees"}
    result = run(SUMMARIZE, wrong, {**SUMMARIZE, "id": None} | {"x": 1}, "nope")

    lines = result.stdout.splitlines()
    assert result.exit_code == 2
    assert lines[0] == "line 1  s  summarize  summarize:1 @production"
    assert lines[1].startswith("    offline/offline  cache possible  about ")
    assert max(map(len, lines[:2])) <= 80
    assert lines[2] == "line 2  w  DEAD LETTER"
    assert lines[3].endswith("(write NAME, NAME@LABEL or NAME:VERSION)")
    assert lines[6] == "line 4  DEAD LETTER"
    assert "3 of 4 records would become dead letters" in result.stderr


def test_an_equal_call_of_the_file_is_paid_once_where_one_worker_has_both() -> None:
    """That is certain of one key alone; one without cache is always paid."""
    uncached = {**SUMMARIZE, "id": "no", "cache": False}
    of_one = {**SUMMARIZE, "id": "six", "max_words": 6}
    other = {**SUMMARIZE, "id": "other"}

    result = run(SUMMARIZE, SUMMARIZE, other, uncached, of_one, arguments=("--json",))

    first, again, elsewhere, *rest = explained(result)
    assert [first["cache"], again["cache"]] == ["possible", "line 1"]
    assert again["tokens"] == 0 < elsewhere["tokens"] == first["tokens"]
    assert elsewhere["cache"] == "possible"
    assert elsewhere["cache_note"].startswith("line 1 asks the same")
    assert [found["cache"] for found in rest] == ["off", "possible"]


def test_an_id_that_comes_again_with_other_content_is_a_dead_letter() -> None:
    """It names the first line; equal records, and those without an id, are answered."""
    other, wrong = {**SUMMARIZE, "max_words": 6}, {**SUMMARIZE, "id": "w", "model": "x"}
    corrected = {**SUMMARIZE, "id": "w"}
    nameless = [{**SUMMARIZE, "id": None, "max_words": words} for words in (7, 8)]

    result = run(
        "", SUMMARIZE, other, SUMMARIZE, *nameless, wrong, corrected, arguments=("--json",)
    )

    assert result.exit_code == 2
    problems = {found["line"]: found["problem"] for found in explained(result)}
    assert problems.pop(3) == "invalid: id: line 2 has it with other content; use a new id"
    assert problems.pop(7).startswith("invalid: model: no such route")
    assert set(problems.values()) == {""}
    assert "2 of 7 records would become dead letters" in result.stderr


def test_a_file_ends_with_what_it_costs_together() -> None:
    """Dead letters cost nothing; what has no known price is told apart."""
    found = [
        Explanation(1, "a", tokens=600, cost_usd=Decimal("0.0012"), more_calls=7),
        Explanation(2, "b", tokens=700, cost_usd=Decimal("0.3")),
        Explanation(3, "c", tokens=5),
        Explanation(4, "d", problem="invalid: no"),
        Explanation(5, "e", skipped=True),
    ]

    assert _sum(found) == (
        "3 records together: about 1,305 tokens  $0.3012  1 of unknown price"
        "  then up to 7 more calls"
    )
    records = [SUMMARIZE, {**SUMMARIZE, "id": "other", "max_words": 6}]
    assert "2 records together: about " in run(*records).stderr
    assert "together" not in run(SUMMARIZE).stderr


def test_what_is_known_beyond_the_word_is_a_line_of_its_own() -> None:
    """So that the first two still fit 80 columns."""
    text = _text(Explanation(1, "r", type="chat", cache="possible", cache_note="kept by some"))

    assert text.splitlines()[2] == "    cache: kept by some"


async def test_what_the_only_worker_keeps_is_a_hit_and_costs_nothing() -> None:
    """As long as it is kept; what nobody keeps is a miss and is paid for."""
    settings = load_settings(_env_file=None, cache_ttl_s=60)
    prompts = PromptRegistry.load(Path("nowhere"))
    asked: list[str] = []

    async def explained_at(age_s: float | None) -> Explanation:
        async def kept(fingerprint: str) -> list[KeptAnswer]:
            asked.append(fingerprint)
            return [] if age_s is None else [KeptAnswer("a", "memory", time.time() - age_s)]

        line = Line(1, json.dumps(SUMMARIZE).encode())
        answers = SharedAnswers(ttl_s=60, kept=kept, workers=WorkerPartitions({"a": [0]}))
        return await DryRun(settings, prompts, answers=answers).explain(line, None)

    hit, late, miss = [await explained_at(age_s) for age_s in (10, 61, None)]

    assert [found.cache for found in (hit, late, miss)] == ["hit", "miss", "miss"]
    assert hit.tokens == 0 < miss.tokens
    assert len(set(asked)) == 1


def test_the_examples_of_a_prompt_are_estimated_too(tmp_path: Path) -> None:
    """They are part of the question, and of what it is known by in the cache."""
    example = {"variables": {"x": "word " * 100}, "output": "good"}
    (tmp_path / "set.json").write_text(json.dumps([example]))
    (tmp_path / "plain.md").write_text("{{ x }}")
    (tmp_path / "shown.md").write_text("---\nexamples: {file: set.json}\n---\n{{ x }}")
    records = [
        {"type": "generate", "prompt": name, "variables": {"x": "y"}} for name in ("plain", "shown")
    ]

    result = run(*records, arguments=("--json",), STREAMAPP_PROMPTS_DIR=str(tmp_path))

    plain, shown = explained(result)
    assert shown["tokens"] > plain["tokens"] + 100


def test_what_would_be_a_dead_letter_is_named() -> None:
    """Its kind and what to change, and exit code 2."""
    result = run(
        *("{", {"type": "nope"}, {**SUMMARIZE, "prompt": "summarize:9"}),
        *({**SUMMARIZE, "model": "x"}, {**SUMMARIZE, "text": "x" * 1_000_000}),
    )

    assert result.exit_code == 2
    for kind in ("undecodable", "unknown_type", "prompt_error", "invalid", "too_large"):
        assert kind in result.stdout
    assert "5 of 5 records would become dead letters" in result.stderr


def test_the_key_decides_as_when_it_is_sent() -> None:
    """A record without the field that is to be its key cannot be sent."""
    result = run(SUMMARIZE, arguments=("--key", "metadata.customer", "--json"))

    assert result.exit_code == 2
    assert "no text or number at 'metadata.customer'" in explained(result)[0]["problem"]


OWN = """
from streamapp.llm.client import LLMClient
from streamapp.processors import processor
from streamapp.records.request import Request


class Paid(Request, type="paid"):
    pass


async def charge():
    open("charged", "w").close()


@processor(Paid, prompt="summarize")
async def paid(request: Paid, llm: LLMClient) -> object:
    client = llm.openai()
    turns = [{"role": "user", "content": "How much?"}]
    await client.chat.completions.create(model="default", messages=turns)
    await llm.step("charge", charge)
    return await llm.chat([{"role": "user", "content": "Thank you."}])
"""


def test_no_step_of_a_processor_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may act on the world outside: what comes before it is told, and its name."""
    (tmp_path / "own_paid.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    as_json = run({"type": "paid"}, arguments=("--json",), STREAMAPP_PROCESSORS="own_paid")
    as_text = run({"type": "paid"}, STREAMAPP_PROCESSORS="own_paid")

    [found] = explained(as_json)
    assert not (tmp_path / "charged").exists()
    assert (found["problem"], found["unknown_from"]) == ("", "charge")
    assert found["targets"] == ["offline/offline"]
    assert found["prompt"] == "summarize:1 @production"
    assert "summarize:1 @production" in as_text.stdout
    assert "then unknown: step charge is not run here" in as_text.stdout


READS = """
import json

from streamapp.llm.client import LLMClient
from streamapp.processors import processor
from streamapp.records.request import Request


class Reads(Request, type="reads"):
    pass


@processor(Reads, prompt="summarize")
async def reads(request: Reads, llm: LLMClient) -> object:
    if request.metadata:
        raise LookupError
    answer = await llm.chat([{"role": "user", "content": "As JSON, please."}])
    if not answer.startswith("{"):
        await llm.chat([{"role": "user", "content": "As JSON!"}])
    return json.loads(answer)
"""


def test_what_a_processor_makes_of_an_answer_by_rules_is_no_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model answers otherwise; the first call, and what fails before it, are known."""
    (tmp_path / "own_reads.py").write_text(READS)
    monkeypatch.syspath_prepend(str(tmp_path))
    record, wrong = {"type": "reads"}, {"type": "reads", "metadata": {"a": "b"}}

    as_json = run(record, arguments=("--json",), STREAMAPP_PROCESSORS="own_reads")
    as_text = run(record, STREAMAPP_PROCESSORS="own_reads")
    before = run(wrong, arguments=("--json",), STREAMAPP_PROCESSORS="own_reads")

    [found] = explained(as_json)
    why = "internal: own_reads.reads raised JSONDecodeError (own_reads.py:20: JSONDecodeError: "
    why += "Expecting value: line 1 column 2 (char 1))"
    assert (as_json.exit_code, found["problem"], found["unknown_why"]) == (0, "", why)
    assert found["targets"] == ["offline/offline"]
    assert found["tokens"] > 0
    assert f"then unknown: by rules, not by the model, {why}" in as_text.stdout
    raised = "internal: own_reads.reads raised LookupError (own_reads.py:16: LookupError)"
    assert explained(before)[0]["problem"] == raised
    assert before.exit_code == 2


def test_what_send_refuses_is_told_whatever_is_run_of_its_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that a dry run ends at comes before the call whose route there is not."""
    before, _, after = OWN.partition("    client = ")
    step_first = before + after[after.index("    await llm.step") :]
    (tmp_path / "own_step.py").write_text(step_first.replace('"paid"', '"stepping"'))
    monkeypatch.syspath_prepend(str(tmp_path))

    result = run({"type": "stepping", "model": "x"}, STREAMAPP_PROCESSORS="own_step")

    assert "invalid: model: no such route; there are: default" in result.stdout


def test_steps_of_a_record_in_progress_are_told() -> None:
    """A line each, with how it ended."""
    steps = [
        {"number": "1", "kind": "model", "name": "m", "outcome": "done", "duration_s": 0.25},
        {"number": "2", "kind": "tool", "name": "order", "outcome": "running", "duration_s": 3.0},
    ]

    text = _text(Explanation(1, "r", type="agent", steps=steps))

    assert text.splitlines()[-2:] == [
        "    running: step 1  model m  done  0.2 s",
        "    running: step 2  tool order  running  3.0 s",
    ]


@pytest.mark.parametrize(("bounds", "more"), [("max_steps: 6", 5), ("", 7), ("max_steps: 1", 0)])
def test_calls_that_may_follow_what_tools_give_are_told(
    bounds: str, more: int, tmp_path: Path
) -> None:
    """The estimate has the first call alone: nobody knows what an agent asks next."""
    (tmp_path / "desk.md").write_text(f"---\ntools: [shop.*]\n{bounds}\n---\nHello")
    (tmp_path / "plain.md").write_text("Hello")
    records = [{"id": n, "type": "generate", "prompt": n} for n in ("desk", "plain")]
    own = {"STREAMAPP_PROMPTS_DIR": str(tmp_path), "STREAMAPP_TOOLS": "tests.support.desk"}

    found = explained(run(*records, arguments=("--json",), **own))
    told = [
        line for line in run(*records, arguments=(), **own).stdout.splitlines() if "then" in line
    ]

    assert [one["more_calls"] for one in found] == [more, 0]
    assert len(told) == bool(more)
    assert all(f"then up to {more} more calls by what tools give" in line for line in told)
