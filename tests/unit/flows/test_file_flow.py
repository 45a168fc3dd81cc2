import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from streamapp.errors import ConfigurationError, Failure, InvalidRecord, OutputInvalid, Undecodable
from streamapp.flows.file_flow import FileFlow
from streamapp.flows.source_record import SourceRecord
from streamapp.processors.registry import Registry
from streamapp.records.response import PromptUse, Response
from streamapp.settings.flows import FlowSettings

CANARY = "canary-7f3a"
REGISTRY = Registry.load()
LABELS = ["praise", "complaint"]


def _flow(**settings: Any) -> FileFlow:
    defaults: dict[str, Any] = {
        "input": "shop.reviews",
        "output": "shop.labelled",
        "type": "classify",
        "fields": {"text": "{{ value.body }}", "labels": LABELS},
    }
    return FileFlow("labels", FlowSettings(**(defaults | settings)), REGISTRY)


def _record(value: Any, **others: Any) -> SourceRecord:
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    place: dict[str, Any] = {"topic": "shop.reviews", "partition": 2, "offset": 7, "key": b"k"}
    return SourceRecord(value=raw, **(place | others))


def _response(output: Any, **others: Any) -> Response:
    fields: dict[str, Any] = {
        "id": "shop.reviews-2-7",
        "type": "classify",
        "output": output,
        "model": "m-1",
        "provider": "p",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Response(**(fields | others))


def _read(flow: FileFlow, value: Any, **others: Any) -> dict[str, Any] | None:
    request = flow.read(_record(value, **others))
    return None if request is None else request.model_dump(exclude_defaults=True)


def test_a_record_becomes_the_request_of_its_fields() -> None:
    """Templates are filled, other values stand as they are."""
    assert _read(_flow(), {"body": "good"}) == {
        "type": "classify",
        "text": "good",
        "labels": LABELS,
    }


def test_what_a_request_says_beside_its_fields() -> None:
    """Id, tenant, model, prompt and cache come from the flow's own settings."""
    flow = _flow(
        id="{{ value.n }}", tenant="{{ value.shop }}", model="small", prompt="p@x", cache=False
    )

    request = flow.read(_record({"body": "good", "n": 12, "shop": "north"}))

    assert request is not None
    assert (request.id, request.model, request.prompt) == ("12", "small", "p@x")
    assert request.metadata == {"tenant": "north"}
    assert request.cache is False


@pytest.mark.parametrize(("stars", "is_wanted"), [(3, True), (4, False)])
def test_a_filter_skips_the_others(stars: int, is_wanted: bool) -> None:
    """A record whose `when` is false is skipped."""
    flow = _flow(when="{{ value.stars <= 3 }}")

    assert (_read(flow, {"body": "b", "stars": stars}) is not None) == is_wanted


@pytest.mark.parametrize("value", [None, b"null"], ids=["tombstone", "null"])
def test_nothing_is_skipped_unless_the_flow_wants_it_dead(value: bytes | None) -> None:
    """A tombstone and null are skipped, or with `nulls` dead letters."""
    assert _read(_flow(), value) is None
    with pytest.raises(InvalidRecord, match="the value is null"):
        _read(_flow(nulls="dead_letter"), value)


def test_text_is_the_value_itself() -> None:
    """With the format `text` the value is the whole text."""
    flow = _flow(format="text", fields={"text": "{{ value }}", "labels": LABELS})

    assert (_read(flow, b"123") or {})["text"] == "123"
    assert (_read(flow, b"\xef\xbb\xbf123") or {})["text"] == "123"


@pytest.mark.parametrize(
    ("settings", "value", "kind", "problem"),
    [
        ({}, CANARY.encode(), Undecodable, "not strict JSON"),
        ({}, {"other": CANARY}, InvalidRecord, "fields.text: value.body is missing"),
        ({}, {"body": [CANARY]}, InvalidRecord, "field 'text': Input should be a valid string"),
        ({}, {"body": ""}, InvalidRecord, "field 'text'"),
        ({}, [CANARY], InvalidRecord, "fields.text: value.body is missing"),
        ({"when": "{{ value.body }}"}, {"body": CANARY}, InvalidRecord, "gives a text, not true"),
        ({"id": "{{ value.id }}"}, {"body": "b", "id": [CANARY]}, InvalidRecord, "id: it gives no"),
        ({"id": "{{ value.id }}"}, {"body": "b", "id": CANARY * 99}, InvalidRecord, "longer than"),
        ({"format": "text"}, b"\xff" + CANARY.encode(), Undecodable, "not UTF-8 text"),
        ({}, b"\x00\x00\x00\x00\x07" + CANARY.encode(), Undecodable, ': set format = "avro", '),
        (
            {"fields": {"text": "{{ value.n * 1e308 }}", "labels": LABELS}},
            {"n": 1e308, "body": CANARY},
            InvalidRecord,
            "fields.text: it gives what is no JSON",
        ),
        (
            {"shape": "merge", "fields": {"text": "t", "labels": LABELS}},
            [CANARY],
            InvalidRecord,
            "shape: the value has no fields to merge into",
        ),
    ],
)
def test_a_record_that_is_no_request_is_told_by_flow_and_field(
    settings: dict[str, Any], value: Any, kind: type[Failure], problem: str
) -> None:
    """Each bad record has its kind and a text with flow and field, and none of its values."""
    with pytest.raises(kind) as raised:
        _read(_flow(**settings), value)

    assert str(raised.value).startswith("[flows.labels]")
    assert problem in str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("key_format", "key", "problem"),
    [
        ("text", b"\xff", "key is not UTF-8 text: set key_format"),
        ("json", CANARY.encode(), 'key is not what key_format = "json" says'),
    ],
)
def test_a_key_of_another_format_is_told(key_format: str, key: bytes, problem: str) -> None:
    """A template that asks for a field of it is a dead letter that says what to set."""
    fields = {"text": "{{ key.id }}", "labels": LABELS}

    with pytest.raises(InvalidRecord) as raised:
        _read(_flow(key_format=key_format, fields=fields), {"body": "b"}, key=key)

    assert str(raised.value) == f"[flows.labels] fields.text: {problem}"


def test_a_merge_is_the_source_with_the_output_in_it() -> None:
    """The source's members keep their spelling; the field that is named takes the output."""
    flow = _flow(shape="merge", merge_into="label")

    [written] = flow.write(_record(b'{"body": "b", "price": 1.10}'), _response({"label": "praise"}))

    assert written.topic == "shop.labelled"
    assert written.key == b"k"
    assert written.value == b'{"body":"b","price":1.10,"label":{"label":"praise"}}'


def test_without_a_name_the_fields_of_the_output_are_merged() -> None:
    """An output that is an object stands beside the source's members."""
    flow = _flow(shape="merge")

    [written] = flow.write(_record({"body": "b"}), _response({"label": "praise"}))

    assert json.loads(written.value or b"") == {"body": "b", "label": "praise"}


@pytest.mark.parametrize(
    ("settings", "output", "expected"),
    [
        ({"shape": "output"}, {"label": "praise"}, b'{"label":"praise"}'),
        ({"shape": "output"}, "good", b'"good"'),
        ({"shape": "output", "output_format": "text"}, "good", b"good"),
    ],
)
def test_an_output_alone(settings: dict[str, Any], output: Any, expected: bytes) -> None:
    """The shape `output` writes the answer and nothing else."""
    [written] = _flow(**settings).write(_record({}), _response(output))

    assert written.value == expected


def test_a_response_is_the_default() -> None:
    """Without a shape the response record is written."""
    response = _response({"label": "praise"})

    [written] = _flow().write(_record({}), response)

    assert written.value == response.encode()


@pytest.mark.parametrize(
    ("settings", "output", "kind"),
    [
        ({"shape": "merge"}, "text", OutputInvalid),
        ({"shape": "output", "output_format": "text"}, {"label": "praise"}, OutputInvalid),
    ],
)
def test_an_output_that_does_not_fit_the_shape(
    settings: dict[str, Any], output: Any, kind: type[Failure]
) -> None:
    """It is a failure of its kind that says what to set."""
    with pytest.raises(kind, match=r"^\[flows\.labels\] the output is no .*: "):
        _flow(**settings).write(_record({"a": 1}), _response(output))


def test_nothing_is_merged_into_a_list() -> None:
    """A source that is no object cannot take an output."""
    with pytest.raises(InvalidRecord, match="the source is no JSON object"):
        _flow(shape="merge", merge_into="x").write(_record([1]), _response("a"))


def test_headers_tell_who_answered_and_carry_the_sources_own() -> None:
    """Headers of an earlier flow and of dead letters are replaced, others carried on, bounded."""
    record = _record(
        {},
        headers=[
            ("origin", b"shop"),
            ("streamapp-id", b"old"),
            ("streamapp.replays", b"1"),
            ("long", b"x" * 20_000),
        ],
    )
    response = _response(
        "a",
        cost_usd=Decimal("0.00001"),
        prompt=PromptUse(name="classify", version=3),
        missing_tools=["files.*", "orders.pay"],
    )

    [written] = _flow().write(record, response)

    assert dict(written.headers) == {
        "origin": b"shop",
        "streamapp-id": b"shop.reviews-2-7",
        "streamapp-model": b"m-1",
        "streamapp-cost-usd": b"0.00001",
        "streamapp-prompt": b"classify:3",
        "streamapp-missing-tools": b"files.*, orders.pay",
    }


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"type": "clasify"},
            "type: there is no record type 'clasify', did you mean 'classify'?; there are chat,"
            " classify, embed, extract, generate, summarize, translate; types of your own come"
            " from the modules in STREAMAPP_PROCESSORS",
        ),
        ({"fields": {"labels": LABELS}}, "fields: 'classify' needs the field 'text'"),
        ({"type": "generate", "fields": {}}, "fields: 'generate' needs the field 'prompt'"),
        (
            {"fields": {"text": "t", "labels": LABELS, "txt": "x"}},
            "fields.txt: 'classify' has no such field, did you mean 'text'?; it has: metadata,",
        ),
        ({"fields": {"text": "{{ vlaue }}", "labels": LABELS}}, "fields.text: there is no 'vlaue'"),
        ({"fields": {"text": "t", "labels": ["{{", "b"]}}, "fields.labels[0]: "),
        ({"fields": {"text": "t", "labels": LABELS, "id": "x"}}, "is a setting of the flow itself"),
        ({"when": "{{ value.a }} and more"}, "when: write one {{ ... }} and nothing else"),
        ({"when": "true"}, "when: write one {{ ... }} and nothing else"),
    ],
)
def test_what_is_wrong_with_the_flow_ends_the_start(settings: dict[str, Any], problem: str) -> None:
    """A mistake in the table is found before the first record, with the place of it."""
    with pytest.raises(ConfigurationError) as raised:
        _flow(**settings)

    assert problem in str(raised.value)
    assert str(raised.value).startswith("[flows.labels] ")


def test_all_mistakes_are_told_at_once() -> None:
    """Each has its own line."""
    with pytest.raises(ConfigurationError) as raised:
        _flow(type="nope", when="{{ x }}", id="{{ y }}")

    assert len(str(raised.value).splitlines()) == 3


def test_an_answer_goes_to_the_topic_that_its_record_names() -> None:
    """Only to one of the flow's, with the asker's mark first, and without the asking header."""
    flow = _flow(reply_topics=("shop.replies",))
    long = ("note", b"x" * 16_000)
    headers = [
        long,
        ("reply-to", b"shop.replies"),
        ("correlation-id", b"c-1"),
        ("more", b"y" * 400),
    ]
    record = _record({"body": "good"}, headers=headers)

    assert flow.read(record) is not None
    [emission] = flow.write(record, _response({"label": "praise"}))

    names = [name for name, _ in emission.headers]
    assert emission.topic == "shop.replies"
    assert names[:2] == ["correlation-id", "note"]
    assert "reply-to" not in names


def test_a_record_that_names_no_topic_gets_its_answer_on_the_output() -> None:
    """So does one whose flow has no reply topics: the header may be meant for a later flow."""
    record = _record({"body": "good"}, headers=[("reply-to", b"shop.replies")])
    plain, asking = _flow(), _flow(reply_topics=("shop.replies",))

    [untouched] = plain.write(record, _response({"label": "praise"}))
    [silent] = asking.write(_record({"body": "good"}), _response({"label": "praise"}))

    assert (untouched.topic, silent.topic) == ("shop.labelled", "shop.labelled")
    assert dict(untouched.headers)["reply-to"] == b"shop.replies"


def test_a_record_may_not_have_its_answer_sent_just_anywhere() -> None:
    """A topic that the flow does not name is refused before anything is paid; it is not quoted."""
    flow = _flow(reply_topics=("shop.replies",))

    with pytest.raises(InvalidRecord) as raised:
        flow.read(_record({"body": "good"}, headers=[("reply-to", CANARY.encode())]))

    assert str(raised.value) == (
        "[flows.labels] header reply-to: it names none of the flow's reply_topics"
    )
