"""`/v1/prompts` as its users meet it."""

from typing import Any

import pytest

from streamapp.errors import DeliveryFailed, OutputInvalid, PromptError
from streamapp.prompts.events import Labelled, Protected, Published, Retired
from streamapp.prompts.example_set import Example
from streamapp.prompts.variants import Variants
from streamapp.streaming.app.health import Check
from streamapp.web.peers import HOP
from tests.integration.web.conftest import FakeExamples, FakeHealth, Serve
from tests.support.prompt_store import NOW, FakePromptStore

HAIKU = "/v1/prompts/haiku"
ROUTES: dict[str, Any] = {
    "providers": {"fake": {"kind": "offline"}},
    "models": {"default": {"targets": ["fake/m"]}},
}


async def test_prompts_are_listed_without_their_texts(
    serve: Serve, prompt_store: FakePromptStore
) -> None:
    """The list tells which versions there are and what points at them."""
    await prompt_store.publish("haiku", "a", "b")
    await prompt_store.publish("answer", "x")
    site = await serve()

    status, body, _ = await site("GET", "/v1/prompts")

    assert status == 200
    assert [prompt["name"] for prompt in body["prompts"]] == ["answer", "haiku"]
    assert body["prompts"][1] == {
        "name": "haiku",
        "versions": [1, 2],
        "labels": {"production": 1, "latest": 2},
        "split": None,
        "protected": [],
        "retired": False,
        "moved": {
            "production": {
                "version": 1,
                "before": None,
                "author": "",
                "message": "",
                "created_at": NOW.isoformat(),
            }
        },
        "before": {"latest": 1},
    }


async def test_a_prompt_is_shown_whole(serve: Serve, prompt_store: FakePromptStore) -> None:
    """The contract's shape: versions with their texts, labels, split."""
    await prompt_store.publish("haiku", "Write about {{ x }}")
    site = await serve()

    status, body, _ = await site("GET", HAIKU)

    assert status == 200
    assert body["versions"] == [
        {
            "version": 1,
            "body": "Write about {{ x }}",
            "settings": {},
            "author": "",
            "message": "",
            "created_at": "2030-01-01T00:00:00+00:00",
        }
    ]
    assert (body["labels"], body["split"]) == ({"production": 1, "latest": 1}, None)


async def test_publishing_answers_with_the_new_state(serve: Serve) -> None:
    """201 for a new version, 200 for a content that is one already; both name its number."""
    site = await serve(**ROUTES)
    given = {"body": "Be brief: {{ x }}", "settings": {"model": "default"}, "message": "why"}

    first = await site("POST", f"{HAIKU}/versions", json=given)
    again = await site("POST", f"{HAIKU}/versions", json=given)
    second = await site("POST", f"{HAIKU}/versions", json={"body": "Be long", "label": "next"})

    assert [status for status, *_ in (first, again, second)] == [201, 200, 201]
    assert [body["version"] for _, body, _ in (first, again, second)] == [1, 1, 2]
    assert first[1]["versions"][0]["settings"] == {"model": "default"}
    assert first[1]["versions"][0]["message"] == "why"
    assert second[1]["labels"] == {"production": 1, "latest": 2, "next": 2}


async def test_a_retired_prompt_is_read_and_says_what_brings_it_back(
    serve: Serve, prompt_store: FakePromptStore
) -> None:
    """Its texts and examples are shown, and each answer has a note until a new text comes."""
    await prompt_store.publish("haiku", "a", "b")
    await prompt_store.write("haiku", Retired(created_at=NOW))
    site = await serve()

    listed = (await site("GET", "/v1/prompts"))[1]["prompts"][0]
    shown = await site("GET", HAIKU)
    examples, _, _ = await site("GET", f"{HAIKU}/versions/1/examples")
    again = await site("POST", f"{HAIKU}/versions", json={"body": "a"})
    moved = await site("PUT", f"{HAIKU}/labels/candidate", json={"version": 2})
    new = await site("POST", f"{HAIKU}/versions", json={"body": "c"})

    assert [version["body"] for version in shown[1]["versions"]] == ["a", "b"]
    assert [shown[0], examples, again[0], moved[0], new[0]] == [200, 200, 200, 200, 201]
    told = "retired: a new text, or 'streamapp prompts retire haiku --off', brings it back"
    assert [body["note"] for body in (listed, shown[1], again[1], moved[1])] == [told] * 4
    assert (new[1]["retired"], "note" in new[1]) == (False, False)


async def test_a_label_and_a_split_are_put(serve: Serve, prompt_store: FakePromptStore) -> None:
    """Each answers with the state after it."""
    await prompt_store.publish("haiku", "a", "b")
    site = await serve()

    label = await site("PUT", f"{HAIKU}/labels/candidate", json={"version": 2})
    split = await site("PUT", f"{HAIKU}/split", json={"production": 90, "candidate": 10})
    ended = await site("PUT", f"{HAIKU}/split", data=b"null")

    assert [status for status, *_ in (label, split, ended)] == [200, 200, 200]
    assert label[1]["labels"]["candidate"] == 2
    assert split[1]["split"] == {"production": 90, "candidate": 10}
    assert ended[1]["split"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/prompts/missing", None, 404, "prompt_error"),
        ("GET", "/v1/prompts/a%20b", None, 422, "prompt_error"),
        ("PUT", "/v1/prompts/missing/labels/x", {"version": 1}, 404, "prompt_error"),
        ("PUT", f"{HAIKU}/labels/x", {"version": 9}, 404, "prompt_error"),
        ("PUT", f"{HAIKU}/labels/x", {"version": "1"}, 422, "invalid"),
        ("PUT", f"{HAIKU}/labels/a%20b", {"version": 1}, 422, "invalid"),
        ("PUT", f"{HAIKU}/labels/latest", {"version": 1}, 422, "prompt_error"),
        ("PUT", f"{HAIKU}/split", {"production": 90, "latest": 9}, 422, "prompt_error"),
        ("PUT", f"{HAIKU}/split", {"production": 90, "nope": 10}, 404, "prompt_error"),
        ("PUT", f"{HAIKU}/split", {"production": 0.5}, 422, "invalid"),
        ("PUT", f"{HAIKU}/split", [90, 10], 422, "invalid"),
        ("POST", f"{HAIKU}/versions", {}, 422, "invalid"),
        ("POST", f"{HAIKU}/versions", {"body": "x", "base_url": "http://x"}, 422, "invalid"),
        ("POST", f"{HAIKU}/versions", {"body": "{{ x.__class__ }}"}, 422, "prompt_error"),
        ("POST", f"{HAIKU}/versions", {"body": "{% include 'x' %}"}, 422, "prompt_error"),
        ("POST", f"{HAIKU}/versions", {"body": "x", "settings": {"modle": "y"}}, 422, "invalid"),
        (
            "POST",
            f"{HAIKU}/versions",
            {"body": "x", "settings": {"output_schema": {"type": "nonsense"}}},
            422,
            "invalid",
        ),
        (
            "POST",
            f"{HAIKU}/versions",
            {"body": "x", "settings": {"model": "missing"}},
            404,
            "model_not_found",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_cannot_be_is_refused_before_it_is_written(
    serve: Serve,
    prompt_store: FakePromptStore,
    method: str,
    path: str,
    body: Any,
    status: int,
    code: str,
) -> None:
    """Nothing invalid reaches the topic, and the message repeats no value."""
    await prompt_store.publish("haiku", "a")
    site = await serve(**ROUTES)

    answered, answer, _ = await site(method, path, **({"json": body} if body is not None else {}))

    assert (answered, answer["error"]["code"]) == (status, code)
    assert prompt_store.history.position == 1


async def test_byte_order_mark_is_read(serve: Serve, prompt_store: FakePromptStore) -> None:
    """Editors that put one before the JSON are read, as everywhere."""
    site = await serve(**ROUTES)

    status, body, _ = await site("POST", f"{HAIKU}/versions", data=b'\xef\xbb\xbf{"body": "x"}')

    assert (status, body["versions"][0]["body"]) == (201, "x")


@pytest.mark.parametrize(
    "body",
    [b'{"body": "x", "body": "y"}', b'{"body": "x", "settings": {"top_p": NaN}}', b""],
    ids=["twice", "nan", "empty"],
)
async def test_change_is_strict_json(
    serve: Serve, prompt_store: FakePromptStore, body: bytes
) -> None:
    """What could be read in two ways is read in none, and the error says what it is."""
    site = await serve(**ROUTES)

    status, answer, _ = await site("POST", f"{HAIKU}/versions", data=body)

    assert (status, answer["error"]["code"]) == (422, "undecodable")
    assert prompt_store.history.position == 0


async def test_a_protected_label_is_a_conflict_without_force(
    serve: Serve, prompt_store: FakePromptStore
) -> None:
    """409 says that somebody decided otherwise; force decides again."""
    await prompt_store.publish("haiku", "a", "b")
    await prompt_store.write("haiku", Protected(label="production", created_at=NOW))
    site = await serve()

    refused = await site("PUT", f"{HAIKU}/labels/production", json={"version": 2})
    unsplit = await site("PUT", f"{HAIKU}/split", json={"latest": 100})
    forced = await site("PUT", f"{HAIKU}/labels/production", json={"version": 2, "force": True})
    split = await site("PUT", f"{HAIKU}/split?force=true", json={"latest": 100})

    assert [status for status, *_ in (refused, unsplit, forced, split)] == [409, 409, 200, 200]
    assert refused[1]["error"]["code"] == "conflict"


async def test_a_label_of_a_text_is_moved_or_nothing_is_published(
    serve: Serve, prompt_store: FakePromptStore
) -> None:
    """Also to an older version of that content; a protected one moves by force alone."""
    await prompt_store.publish("haiku", "a", "b")
    site, versions = await serve(), f"{HAIKU}/versions"

    old = await site("POST", versions, json={"body": "b", "label": "production"})
    await prompt_store.write("haiku", Protected(label="production", created_at=NOW))
    end = prompt_store.history.position
    refused = [
        await site("POST", versions, json={"body": body, "label": "production"})
        for body in ("a", "c")
    ]
    nothing = prompt_store.history.position == end
    forced = await site("POST", versions, json={"body": "c", "label": "production", "force": True})

    assert (old[0], old[1]["labels"]["production"]) == (200, 2)
    assert [(one[0], one[1]["error"]["code"]) for one in refused] == [(409, "conflict")] * 2
    assert nothing
    assert (forced[0], forced[1]["labels"]["production"]) == (201, 3)


async def test_whoever_is_slower_learns_it_of_a_text(
    serve: Serve, prompt_store: FakePromptStore
) -> None:
    """Its label was free when it was looked at."""
    await prompt_store.publish("haiku", "a", "b")
    prompt_store.first = Protected(label="production", created_at=NOW)
    site = await serve()

    status, _, _ = await site(
        "POST", f"{HAIKU}/versions", json={"body": "c", "label": "production"}
    )

    assert status == 409
    assert prompt_store.history.prompts["haiku"].labels == {"production": 1, "latest": 3}


async def test_whoever_is_slower_learns_it(serve: Serve, prompt_store: FakePromptStore) -> None:
    """A protection that comes between look and write is honoured."""
    await prompt_store.publish("haiku", "a", "b")
    await prompt_store.write("haiku", Labelled(label="x", version=1, created_at=NOW))
    prompt_store.first = Protected(label="x", created_at=NOW)
    site = await serve()

    status, _, _ = await site("PUT", f"{HAIKU}/labels/x", json={"version": 2})

    assert status == 409
    assert prompt_store.history.prompts["haiku"].labels["x"] == 1


@pytest.mark.parametrize("failure", [DeliveryFailed("x"), TimeoutError()], ids=["broker", "slow"])
async def test_a_broker_that_does_not_take_it_is_503(
    serve: Serve, prompt_store: FakePromptStore, failure: Exception
) -> None:
    """The caller may try again: the same twice is once."""
    prompt_store.failure = failure
    site = await serve()

    status, _, headers = await site("POST", f"{HAIKU}/versions", json={"body": "a"})

    assert status == 503
    assert headers["Retry-After"]


async def test_an_unready_worker_does_not_answer_for_the_registry(
    serve: Serve, health: FakeHealth
) -> None:
    """Its table may be behind."""
    health.ready["recovered"] = Check(False)
    site = await serve()

    status, _, _ = await site("GET", "/v1/prompts")

    assert status == 503


async def test_the_registry_asks_for_a_key(serve: Serve) -> None:
    """Prompts are neither shown nor changed without one."""
    site = await serve(api_keys="secret")

    for method, path in (("GET", "/v1/prompts"), ("PUT", f"{HAIKU}/split")):
        assert (await site(method, path))[0] == 401


async def test_results_of_what_no_prompt_can_be_named_are_refused(serve: Serve) -> None:
    """A name that the document forbids is no prompt without results."""
    site = await serve()
    status, body, _ = await site("GET", "/v1/prompts/%C3%97/stats")

    assert (status, body["error"]["code"]) == (422, "prompt_error")


async def test_results_of_a_prompt_that_is_not_there_are_not_found(
    serve: Serve, prompt_store: FakePromptStore
) -> None:
    """As the prompt itself is not; one that nobody has used has none."""
    await prompt_store.publish("haiku", "a")
    other = await serve()
    site = await serve(others=[other.url])

    status, body, _ = await site("GET", "/v1/prompts/hiaku/stats")
    _, unused, _ = await site("GET", f"{HAIKU}/stats")

    assert (status, body["error"]["code"]) == (404, "prompt_error")
    assert (unused["workers"], unused["missing"], unused["variants"]) == (2, 0, [])


async def test_a_worker_asked_by_another_counts_though_it_knows_no_such_prompt(
    serve: Serve, variants: Variants
) -> None:
    """Its registry may be behind: it has no results, and is not missing."""
    site = await serve()

    status, body, _ = await site("GET", f"{HAIKU}/stats", headers={HOP: "1"})

    assert (status, body["variants"]) == (200, [])


@pytest.mark.parametrize(
    "body", [{"shares": {"production": 50}}, {"production": 50, "force": True}, {"a": "50"}]
)
async def test_split_says_what_its_body_is(
    serve: Serve, prompt_store: FakePromptStore, body: dict[str, Any]
) -> None:
    """Whatever stands around the labels or beside them is taken for one, and would confuse."""
    await prompt_store.publish("haiku", "a")
    site = await serve()

    status, answer, _ = await site("PUT", f"{HAIKU}/split", json=body)

    assert status == 422
    assert 'give labels at the top level, as {"production": 90' in answer["error"]["message"]


async def test_stats_are_summed_up_over_the_workers(serve: Serve, variants: Variants) -> None:
    """One worker asks the others, and is asked no further; who does not answer is counted."""
    variants.failed("haiku", 1, "production", OutputInvalid("x"))
    other = await serve()
    site = await serve(others=[other.url, "http://127.0.0.1:1"])

    status, body, _ = await site("GET", f"{HAIKU}/stats")

    assert status == 200
    assert (body["name"], body["workers"], body["missing"]) == ("haiku", 2, 1)
    [variant] = body["variants"]
    assert (variant["calls"], variant["errors"], variant["invalid_outputs"]) == (2, 2, 2)


async def test_examples_of_a_version_are_shown(
    serve: Serve, prompt_store: FakePromptStore, examples: FakeExamples
) -> None:
    """The first ones of the set; of a version without any, none; else why there is none."""
    settings = {"examples": {"file": "haiku.jsonl"}}
    await prompt_store.publish("haiku", "Write about {{ x }}")
    await prompt_store.write("haiku", Published(body="{{ x }}", settings=settings, created_at=NOW))
    examples.found = [Example(variables={"x": n}, output="a") for n in range(60)]
    site = await serve()
    plain, whole = f"{HAIKU}/versions/1/examples", f"{HAIKU}/versions/2/examples"

    _, none, _ = await site("GET", plain)
    _, found, _ = await site("GET", whole)
    examples.found = PromptError("the file cannot be read (FileNotFoundError)")
    _, missing, _ = await site("GET", whole)

    assert none == {"source": None, "count": 0, "examples": [], "problem": None}
    assert (found["source"], found["count"], len(found["examples"])) == ("haiku.jsonl", 60, 50)
    assert found["examples"][0] == {"variables": {"x": 0}, "output": "a"}
    assert missing["problem"] == "the file cannot be read (FileNotFoundError)"
    assert (missing["count"], missing["examples"]) == (0, [])


async def test_examples_that_a_version_leaves_out_are_told(
    serve: Serve, prompt_store: FakePromptStore, examples: FakeExamples
) -> None:
    """They are shown, and the problem names which and why."""
    settings = {"examples": {"file": "haiku.jsonl"}}
    await prompt_store.write("haiku", Published(body="{{ x }}", settings=settings, created_at=NOW))
    examples.found = [Example(variables={"y": "q"}, output="a")]
    site = await serve()

    _, found, _ = await site("GET", f"{HAIKU}/versions/1/examples")

    assert (found["count"], len(found["examples"])) == (1, 1)
    assert found["problem"] == (
        "1 of 1 examples is left out: example 1: the text has no variable 'y'"
    )


@pytest.mark.parametrize("place", ["haiku/versions/3", "haiku/versions/x", "other/versions/1"])
async def test_examples_of_no_version_are_not_found(
    serve: Serve, prompt_store: FakePromptStore, place: str
) -> None:
    """A version that does not exist is told as such."""
    await prompt_store.publish("haiku", "Write about {{ x }}")
    site = await serve()

    status, _, _ = await site("GET", f"/v1/prompts/{place}/examples")

    assert status == 404


async def test_worker_in_a_rebalance_shows_prompts_and_changes_none(
    serve: Serve, health: FakeHealth, prompt_store: FakePromptStore
) -> None:
    """It could not read back what it wrote; the caller hears at once that nothing was."""
    await prompt_store.publish("haiku", "a")
    site = await serve()
    health.ready["assigned"] = Check(False, "waiting for the group", is_excused=True)

    refused, body, headers = await site("POST", f"{HAIKU}/versions", json={"body": "b"})
    shown, _, _ = await site("GET", HAIKU)

    assert (refused, body["error"]["code"], shown) == (503, "not_ready", 200)
    assert headers["Retry-After"]
    assert len(prompt_store.history.prompts["haiku"].versions) == 1
