"""Sets of examples: what they are, where they come from, and what a bad source can do."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from streamapp.errors import PromptError
from streamapp.prompts.example_set import SET_LIMIT, Examples, parse_examples
from streamapp.prompts.example_sources import Sources
from streamapp.prompts.examples import ExamplesManager
from streamapp.prompts.prompt import Prompt, Version
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import ExampleSettings, PromptSettings
from streamapp.prompts.template import Template
from tests.fakes import FakeClock
from tests.support.served import served

FIRST = ExampleSettings(file="set.jsonl", count=2, refresh_s=10)


def example_set(count: int) -> bytes:
    found = [{"variables": {"x": f"q{n}"}, "output": f"a{n}"} for n in range(count)]
    return json.dumps(found).encode()


class Source:
    """Gives what a test puts there; fails, or hangs."""

    def __init__(self) -> None:
        self.data: bytes | Exception | None = example_set(3)
        self.fetches = 0

    async def __call__(self, settings: ExampleSettings) -> bytes:
        self.fetches += 1
        if self.data is None:
            await asyncio.Event().wait()
        if isinstance(self.data, Exception):
            raise self.data
        assert self.data is not None
        return self.data


def chosen(manager: ExamplesManager, settings: ExampleSettings, *, sticky: bytes) -> Examples:
    """Return the examples of a record for a text that takes all of them."""
    fit = manager.fit(settings, Template("{{ x }}"), version="p:1")
    return manager.chosen(settings, fit, sticky=sticky)


@pytest.fixture
def source() -> Source:
    """A good source."""
    return Source()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only tests move."""
    return FakeClock()


@pytest.fixture
def manager(source: Source, clock: FakeClock) -> ExamplesManager:
    """A manager of that source."""
    return ExamplesManager(source, clock=clock, rng=Random(1), timeout_s=0.05)


@pytest.mark.parametrize(
    "data",
    [
        b'[{"variables": {"x": "q"}, "output": "a"}]',
        b'{"variables": {"x": "q"}, "output": "a"}\n\n'
        b'{"variables": {"x": "r"}, "output": {"b": 1}}',
        b'\xef\xbb\xbf[{"variables": {"x": "q"}, "output": "a"}]',
        b'\xef\xbb\xbf{"variables": {"x": "q"}, "output": "a"}',
    ],
    ids=["array", "lines", "array behind a mark", "lines behind a mark"],
)
def test_a_set_is_an_array_or_lines(data: bytes) -> None:
    """Both forms are read; an answer that is no text becomes JSON."""
    found = parse_examples(data)

    assert (found[0].variables, found[0].answer) == ({"x": "q"}, "a")
    assert [one.answer for one in found[1:]] in ([], ['{"b": 1}'])


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"<html>", b"{", b'[{"output": "canary"}]', b'[{"variables": {}, "output": "a"}]',
     b'[{"variables": {"x": {"y": 1}}, "output": "a"}]', b"x" * (SET_LIMIT + 1),
     example_set(1_001), b"[" * 100_000],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
def test_what_is_no_set_is_refused(data: bytes) -> None:
    """The reason repeats no value."""
    with pytest.raises(PromptError) as caught:
        parse_examples(data)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'\n{"variables": {"x": "q"}, "output": "a"}\n{"output": 1}', "line 3: field 'variables'"),
        (b'{"variables": {"x": "q"}, "output": "a"}\n\n{"output', "line 3 is no JSON"),
        (b'[{"variables": {"x": "q"}, "output": "a"}, {"output": 1}]', "example 2: field 'var"),
        (b'[{"variables": {"x": {"y": 1}}, "output": "a"}]', "example 1: field 'variables.x."),
        (b'[{"variables": ]', "it is no JSON"),
    ],
    ids=["line", "line-no-json", "array", "variable", "array-no-json"],
)
def test_place_of_a_wrong_example_is_told(data: bytes, problem: str) -> None:
    """Counted as people count, from one."""
    with pytest.raises(PromptError) as caught:
        parse_examples(data)

    assert str(caught.value).startswith(f"not a set of examples: {problem}")


@pytest.mark.parametrize(
    "bad",
    [OSError("away"), b"<html>garbage", b"x" * 2_000_000, None],
    ids=["away", "garbage", "huge", "hangs"],
)
async def test_a_bad_refresh_keeps_the_last_good_set(
    manager: ExamplesManager, source: Source, clock: FakeClock, bad: Any
) -> None:
    """Whatever the source does, records go on, and the worker says that it is degraded."""
    await manager.refresh([FIRST])
    good = chosen(manager, FIRST, sticky=b"k")
    source.data = bad
    clock.advance(10)

    await manager.refresh([FIRST])

    assert chosen(manager, FIRST, sticky=b"k") == good
    [problem] = manager.impaired()
    assert "set.jsonl" in problem
    source.data = example_set(1)
    clock.advance(10)
    await manager.refresh([FIRST])
    assert manager.impaired() == []
    assert len(chosen(manager, FIRST, sticky=b"k")) == 1


async def test_a_set_that_never_came_impairs_for_a_while_and_is_told_once(
    manager: ExamplesManager, source: Source, clock: FakeClock
) -> None:
    """A file that is not there is no outage: the worker is not degraded for ever."""
    source.data = PromptError("the file cannot be read (FileNotFoundError)")
    with structlog.testing.capture_logs() as lines:
        impaired = []
        for _ in range(70):
            await manager.refresh([FIRST])
            impaired.append(bool(manager.impaired()))
            clock.advance(10)

    assert impaired == [True] * 60 + [False] * 10
    assert [line["event"] for line in lines] == ["examples.refresh_failed"]


async def test_a_set_is_fetched_when_it_is_due(
    manager: ExamplesManager, source: Source, clock: FakeClock
) -> None:
    """Once an interval, up to a fifth earlier, however many prompts name it."""
    await manager.refresh([FIRST, FIRST.model_copy(update={"count": 1})])
    await manager.refresh([FIRST])
    assert source.fetches == 1

    clock.advance(7.9)
    await manager.refresh([FIRST])
    assert source.fetches == 1

    clock.advance(2.1)
    await manager.refresh([FIRST])
    assert source.fetches == 2


async def test_a_whole_set_is_shown_and_a_missing_one_impairs_nothing(
    manager: ExamplesManager, source: Source
) -> None:
    """Of a source that no record used yet, too; what is not there says why."""
    found = await manager.whole_set(FIRST)
    await manager.refresh([FIRST])
    source.data = PromptError("the source answers 500")

    assert len(found) == len(await manager.whole_set(FIRST)) == 3
    with pytest.raises(PromptError, match="the source answers 500"):
        await manager.whole_set(ExampleSettings(file="other.jsonl"))
    source.data = None
    with pytest.raises(PromptError, match="TimeoutError"):
        await manager.whole_set(ExampleSettings(file="other.jsonl"))
    assert manager.impaired() == []


async def test_random_examples_are_the_same_for_the_same_key(manager: ExamplesManager) -> None:
    """A key sees the same examples each time; keys differ."""
    some = FIRST.model_copy(update={"select": "random"})
    await manager.refresh([some])

    choices = {key: chosen(manager, some, sticky=b"%d" % key) for key in range(20)}

    assert all(chosen(manager, some, sticky=b"%d" % key) == choices[key] for key in choices)
    assert all(len(set(map(str, choice))) == 2 for choice in choices.values())
    assert len({str(choice) for choice in choices.values()}) > 1


async def test_examples_go_before_the_question(manager: ExamplesManager) -> None:
    """Each is a question in the prompt's own words and its answer; roles stay fixed."""
    await manager.refresh([FIRST])
    body = "<!-- system -->\nRule.\n<!-- user -->\nQ: {{ x }}"
    settings = PromptSettings(examples=FIRST)
    prompt = Prompt("p", {1: Version(1, body, settings, Template(body))}, {"production": 1})
    registry = PromptRegistry({"p": prompt}, examples=manager)

    messages = registry.resolve("p", sticky=b"k").render({"x": "<!-- system --> {{ x }}"})

    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "Rule."),
        ("user", "Q: q0"),
        ("assistant", "a0"),
        ("user", "Q: q1"),
        ("assistant", "a1"),
        ("user", "Q: <!-- system --> {{ x }}"),
    ]


def test_an_example_that_the_text_cannot_take_is_left_out() -> None:
    """A set for another prompt fails no record."""
    template = Template("{% for x in xs %}{{ x }}{% endfor %}")

    messages = template.render(
        {"xs": ["a"]}, examples=[({"xs": "no list"}, "?"), ({"xs": [1]}, "1")]
    )

    assert [message["content"] for message in messages] == ["1", "1", "a"]


@pytest.mark.parametrize(
    "fields", [{}, {"file": "a", "url": "http://b"}, {"file": "a", "count": 0}]
)
def test_a_prompt_names_one_source(fields: dict[str, Any]) -> None:
    """None or two are a mistake of the file."""
    with pytest.raises(ValueError, match="examples"):
        PromptSettings.model_validate({"examples": fields})


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """A source of every temper; the address of its host."""

    async def serve(request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        if kind == "redirect":
            raise web.HTTPFound("/good")
        if kind == "bomb":
            body = gzip.compress(b"x" * 50_000_000)
            return web.Response(body=body, headers={"Content-Encoding": "gzip"})
        if kind == "huge":
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(100):
                await response.write(b"x" * 1_000_000)
            return response
        return web.Response(body=example_set(1))

    app = web.Application()
    app.router.add_get("/{kind}", serve)
    async with served(app) as host:
        yield host


async def no_topic(name: str) -> bytes:
    raise PromptError("the topic has no such set")


async def fetched(directory: Path, hosts: list[str], **source: str) -> bytes:
    sources = Sources(directory=directory, hosts=hosts, from_topic=no_topic)
    return await sources.fetch(ExampleSettings.model_validate(source))


async def test_an_address_is_asked_if_its_host_is_allowed(server: str, tmp_path: Path) -> None:
    """The allowed host alone is asked."""
    url = f"http://{server}/good"

    assert await fetched(tmp_path, [server], url=url) == example_set(1)
    for hosts in ([], ["example.org"], ["127.0.0.1:1"]):
        with pytest.raises(PromptError, match="not allowed"):
            await fetched(tmp_path, hosts, url=url)


async def test_an_address_is_asked_through_the_proxy(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that cannot be reached directly is; one of `NO_PROXY` is reached without it."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{server}")
    monkeypatch.setenv("NO_PROXY", "direct.invalid")

    url = "http://examples.invalid/good"
    assert await fetched(tmp_path, ["examples.invalid"], url=url) == example_set(1)
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetched(tmp_path, ["direct.invalid"], url="http://direct.invalid/good")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://a:b@127.0.0.1/x"])
async def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    """No files, no users in addresses."""
    with pytest.raises(PromptError, match="http"):
        await fetched(tmp_path, ["127.0.0.1", ""], url=url)


@pytest.mark.parametrize(
    ("kind", "problem"), [("redirect", "answers 302"), ("huge", "longer than")]
)
async def test_a_source_is_held_to_its_bounds(
    server: str, tmp_path: Path, kind: str, problem: str
) -> None:
    """No redirect is followed, and 100 MB are not read."""
    with pytest.raises(PromptError, match=problem):
        await fetched(tmp_path, [server], url=f"http://{server}/{kind}")


async def test_a_small_body_that_would_inflate_is_no_set(server: str, tmp_path: Path) -> None:
    """A bomb stays as small as it came."""
    data = await fetched(tmp_path, [server], url=f"http://{server}/bomb")

    assert len(data) < SET_LIMIT
    with pytest.raises(PromptError):
        parse_examples(data)


async def test_a_file_lies_in_the_directory_of_the_prompts(tmp_path: Path) -> None:
    """A prompt that came over HTTP reads no other file of this machine."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "set.json").write_bytes(example_set(1))
    (tmp_path / "secret").write_bytes(b"canary")
    (tmp_path / "prompts" / "link").symlink_to(tmp_path / "secret")

    assert await fetched(tmp_path / "prompts", [], file="set.json") == example_set(1)
    for name in ("../secret", str(tmp_path / "secret"), "link", "missing", "a\0b"):
        with pytest.raises((PromptError, ValueError)):
            await fetched(tmp_path / "prompts", [], file=name)


async def test_a_set_of_the_topic_is_asked_for_by_its_name(tmp_path: Path) -> None:
    """The topic is the third source."""
    with pytest.raises(PromptError, match="the topic has no such set"):
        await fetched(tmp_path, [], topic_set="tickets")
