import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from math import nan
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from streamapp.errors import ConfigurationError, Failure, InternalError, InvalidRecord, Undecodable
from streamapp.flows.catalogue import load_flows
from streamapp.flows.emit import Emit, Incoming
from streamapp.flows.python_flow import PythonFlow, flow
from streamapp.flows.source_record import SourceRecord
from streamapp.llm.client import LLMClient
from streamapp.processors.registry import Registry
from streamapp.records.response import Response
from streamapp.settings import Settings

CANARY = "canary-7f3a"
LLM: Any = None


class Review(BaseModel):
    body: str
    stars: int


class Labelled(BaseModel):
    body: str
    label: Literal["praise", "complaint"]


def _record(value: bytes | None, **others: Any) -> SourceRecord:
    place: dict[str, Any] = {"topic": "reviews", "partition": 2, "offset": 7, "key": b"k"}
    return SourceRecord(value=value, **(place | others))


def _labelling(returned: Any, **settings: Any) -> PythonFlow:
    @flow("reviews", **({"to": "labelled"} | settings))
    async def label_reviews(
        review: Review, llm: LLMClient
    ) -> Labelled | list[Labelled] | Emit[Labelled] | None:
        return returned(review)

    return label_reviews


async def _written(
    flow: PythonFlow, record: SourceRecord, *, provider: str = "p", cost_usd: Decimal | None = None
) -> list[tuple[Any, ...]]:
    request = flow.read(record)
    assert request is not None
    output = await flow.returned(request, LLM)
    response = Response(
        id="i",
        type=flow.type,
        output=output,
        model="m",
        provider=provider,
        cost_usd=cost_usd,
        created_at=datetime.now(UTC),
    )
    again = Response.model_validate_json(response.encode())
    assert flow.write(record, again) == flow.write(record, response)
    return [
        (one.topic, one.key, one.value, one.keeps_key, dict(one.headers))
        for one in flow.write(record, again)
    ]


GOOD = b'{"body": "b", "stars": 4}'
OURS = {"streamapp-id": b"i", "streamapp-model": b"m"}


async def test_a_value_becomes_a_value() -> None:
    """The coroutine gets the annotated type, and what it returns is written as JSON."""
    flow = _labelling(lambda review: Labelled(body=review.body, label="praise"))

    written = await _written(flow, _record(GOOD))

    value = b'{"body":"b","label":"praise"}'
    assert written == [("labelled", b"k", value, True, OURS)]
    assert (flow.name, flow.input, flow.dead_letters) == ("label-reviews", "reviews", "reviews-dlt")
    assert flow.start == "latest"


async def test_a_flow_is_called_as_its_coroutine() -> None:
    """By a test: with a value, for what it returns."""
    labelled = Labelled(body="b", label="praise")
    flow = _labelling(lambda review: labelled)
    review = Review(body="b", stars=4)

    assert await flow(review, LLM) is await flow.run(review, LLM) is labelled


async def test_what_nobody_answered_names_no_model() -> None:
    """A coroutine that makes no call writes what it knows itself."""
    flow = _labelling(lambda review: Labelled(body=review.body, label="praise"))

    [(*_, headers)] = await _written(flow, _record(GOOD), provider="")

    assert headers == {"streamapp-id": b"i"}


async def test_nothing_and_several() -> None:
    """None emits nothing, a list a record each, in order."""
    labels: tuple[Literal["praise", "complaint"], ...] = ("praise", "complaint")

    assert await _written(_labelling(lambda review: None), _record(GOOD)) == []
    several = _labelling(lambda review: [Labelled(body=label, label=label) for label in labels])
    written = await _written(several, _record(GOOD))
    assert [value for _, _, value, *_ in written] == [
        b'{"body":"praise","label":"praise"}',
        b'{"body":"complaint","label":"complaint"}',
    ]


async def test_the_parts_of_a_list_are_told_apart() -> None:
    """The flow that reads them knows each, should they be written twice; one has the cost."""
    several = _labelling(
        lambda review: [Labelled(body=word, label="praise") for word in ("a", "b", "c")]
    )

    written = await _written(several, _record(GOOD), cost_usd=Decimal("0.000063"))
    unknown = await _written(several, _record(GOOD))

    assert [headers.get("streamapp-part") for *_, headers in written] == [None, b"1", b"2"]
    costs = [headers["streamapp-cost-usd"] for *_, headers in written]
    assert costs == [b"0.000063", b"0", b"0"]
    assert not any("streamapp-cost-usd" in headers for *_, headers in unknown)


async def test_what_has_no_topic_of_its_own_goes_where_the_record_asks() -> None:
    """An emitted topic stands; one that is not among the flow's reply topics is refused."""
    answers = [Emit(Labelled(body="b", label="praise"), to=to) for to in (None, "labelled")]
    replying = _labelling(lambda review: answers, reply_topics=["replies"])
    asking = [("reply-to", b"replies"), ("correlation-id", b"c-1")]

    written = await _written(replying, _record(GOOD, headers=asking))

    assert [topic for topic, *_ in written] == ["replies", "labelled"]
    assert [headers["correlation-id"] for *_, headers in written] == [b"c-1", b"c-1"]
    assert ["reply-to" in headers for *_, headers in written] == [False, True]
    with pytest.raises(InvalidRecord, match=r"^\[flows\.label-reviews\] header reply-to: "):
        replying.read(_record(GOOD, headers=[("reply-to", CANARY.encode())]))


@pytest.mark.parametrize(
    ("key", "expected", "keeps_key"),
    [("other", b"other", False), (b"\xff\x00", b"\xff\x00", False), (None, None, False)],
    ids=["text", "bytes", "none"],
)
async def test_emit_says_key_headers_and_topic(
    key: Any, expected: bytes | None, keeps_key: bool
) -> None:
    """With `Emit` a record has another key, more headers, another of the flow's topics."""
    value = Labelled(body="b", label="praise")
    flow = _labelling(
        lambda review: Emit(value, key=key, headers={"origin": "flow", "more": "x"}, to="second"),
        to=["labelled", "second"],
    )

    [written] = await _written(flow, _record(GOOD, headers=[("origin", b"shop"), ("a", b"b")]))

    topic, given, _, keeps, headers = written
    assert (topic, given, keeps) == ("second", expected, keeps_key)
    assert headers == OURS | {"origin": b"flow", "more": b"x", "a": b"b"}


async def test_emit_keeps_what_it_does_not_say() -> None:
    """Without key and topic it is the source's key and the first topic."""
    flow = _labelling(lambda review: Emit(Labelled(body="b", label="praise")), to=["x", "y"])

    [written] = await _written(flow, _record(GOOD))

    assert written[:2] == ("x", b"k")
    assert written[3] is True


@pytest.mark.parametrize(
    "returned",
    [
        Emit(Labelled(body="b", label="praise"), to="elsewhere"),
        {"body": CANARY, "label": CANARY},
        CANARY,
        Emit(Labelled(body="b", label="praise"), headers={"a": 1}),  # type: ignore[dict-item]  # a mistake
        Emit(Labelled(body="b", label="praise"), headers={"a": "\ud800"}),
        Emit(Labelled(body="b", label="praise"), key=1),  # type: ignore[arg-type]  # likewise
        Emit(Labelled(body="b", label="praise"), key="\ud800"),
    ],
    ids=[
        "undeclared topic",
        "wrong field",
        "another type",
        "number as header",
        "half a character as header",
        "number as key",
        "half a character as key",
    ],
)
async def test_what_a_flow_must_not_emit_is_a_bug_of_the_flow(returned: Any) -> None:
    """An undeclared topic or another type ends the record as `internal`, without its values."""
    flow = _labelling(lambda review: returned)

    with pytest.raises(InternalError, match="flow 'label-reviews'") as raised:
        await _written(flow, _record(GOOD))

    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        ({"body": CANARY}, "dict: field 'label' is missing: add it"),
        (
            {"body": CANARY, "label": CANARY},
            "dict: field 'label': Input should be 'praise' or 'complaint'",
        ),
        (
            Review(body=CANARY, stars=1),
            "Review: the value: Input should be a valid dictionary or instance of Labelled",
        ),
        ([None], "NoneType: the value: Input should be a valid dictionary or instance of Labelled"),
    ],
    ids=["missing", "wrong", "another model", "none in a list"],
)
async def test_what_a_flow_returned_is_told_by_type_and_field(returned: Any, why: str) -> None:
    """As what it reads is, without a value."""
    with pytest.raises(InternalError) as raised:
        await _written(_labelling(lambda review: returned), _record(GOOD))

    assert str(raised.value) == (
        f"flow 'label-reviews' returned what its annotation does not allow: {why}"
    )


async def test_a_forgotten_await_is_told() -> None:
    """And not by Python, at a line of ours."""

    async def labelled() -> Labelled:
        return Labelled(body="b", label="praise")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InternalError, match="a coroutine; is an 'await' missing"):
            await _written(_labelling(lambda review: labelled()), _record(GOOD))


async def test_a_number_that_json_has_not_is_a_bug_of_the_flow() -> None:
    """It is not written as null, whatever the annotation."""

    @flow("reviews", to="scores")
    async def score(review: Review, llm: LLMClient) -> list[float]:
        return [nan]

    with pytest.raises(InternalError, match="flow 'score'"):
        await _written(score, _record(GOOD))


@pytest.mark.parametrize(
    ("value", "kind", "problem"),
    [
        (b"{" + CANARY.encode(), Undecodable, "not JSON"),
        (b"\xff", Undecodable, "not JSON"),
        (b'{"body": "b"}', InvalidRecord, "field 'stars' is missing"),
        (b'{"body": "b", "stars": "%b"}' % CANARY.encode(), InvalidRecord, "field 'stars'"),
        (b"[]", InvalidRecord, ""),
        (b"\x00\x00\x00\x00\x07abc", Undecodable, "(a 0 byte and a schema's number): set format ="),
    ],
)
def test_a_record_of_another_type_is_told_by_its_fields(
    value: bytes, kind: type[Failure], problem: str
) -> None:
    """What is no review is a dead letter of its kind that names fields and no value."""
    with pytest.raises(kind, match=r"^flow 'label-reviews': ") as raised:
        _labelling(lambda review: None).read(_record(value))

    assert problem in str(raised.value)
    assert CANARY not in str(raised.value)


async def test_a_byte_order_mark_is_no_part_of_a_value() -> None:
    """It is read past, as in a flow of the file, before text too."""

    @flow("notes", to="out")
    async def notes(text: str, llm: LLMClient) -> str:
        return text

    labelling = _labelling(lambda review: Labelled(body=review.body, label="praise"))

    [read] = await _written(labelling, _record(b"\xef\xbb\xbf" + GOOD))
    [text] = await _written(notes, _record(b"\xef\xbb\xbfnull"))

    assert read[2] == b'{"body":"b","label":"praise"}'
    assert text[2] == b"null"


@pytest.mark.parametrize(
    "value", [None, b"null", b"\xef\xbb\xbfnull\n"], ids=["tombstone", "null", "mark"]
)
def test_nothing_is_skipped_unless_the_annotation_takes_it(value: bytes | None) -> None:
    """A tombstone and null are skipped; a type that may be None gets None."""

    @flow("reviews", to="labelled")
    async def both(review: Review | None, llm: LLMClient) -> str:
        return ""

    request: Any = both.read(_record(value))
    assert request.record is None
    assert _labelling(lambda review: None).read(_record(value)) is None


async def test_incoming_has_all_of_the_record() -> None:
    """`Incoming` gives key, headers, place and time beside the value; text stays text."""
    seen: list[Incoming[str]] = []

    @flow("notes", to="out", name="n", id=lambda text: f"id-{text}", model="small")
    async def notes(record: Incoming[str], llm: LLMClient) -> str:
        seen.append(record)
        return record.value.upper()

    record = _record(b"123", headers=[("a", b"b")], timestamp_s=0.0)
    request = notes.read(record)
    [written] = await _written(notes, record)

    assert request is not None
    assert (request.id, request.model) == ("id-123", "small")
    assert written[2] == b"123"
    assert seen == [
        Incoming("123", b"k", {"a": "b"}, "reviews", 2, 7, datetime(1970, 1, 1, tzinfo=UTC))
    ]


@pytest.mark.parametrize("id", ["x" * 201, "\ud800", "", 7], ids=["long", "half", "empty", "none"])
def test_id_that_no_ledger_can_keep_is_a_dead_letter(id: Any) -> None:
    """It would be the key of a record."""
    flow = _labelling(lambda review: None, id=lambda review: id)

    with pytest.raises(InvalidRecord, match=r"^flow 'label-reviews', id: "):
        flow.read(_record(GOOD))


@pytest.mark.parametrize(
    ("tenant", "metadata"), [("north", {"tenant": "north"}), (None, {})], ids=["north", "nobody"]
)
def test_a_value_may_have_a_tenant(tenant: str | None, metadata: dict[str, str]) -> None:
    """Its budgets hold for flows in Python, too."""
    request = _labelling(lambda review: None, tenant=lambda review: tenant).read(_record(GOOD))

    assert request is not None
    assert request.metadata == metadata


def test_tenant_that_is_no_text_is_a_dead_letter() -> None:
    """What raises is a bug of the flow, what gives something else a record without one."""
    with pytest.raises(InvalidRecord, match=r"^flow 'label-reviews', tenant: it gives no text"):
        _labelling(lambda review: None, tenant=lambda review: 7).read(_record(GOOD))
    with pytest.raises(InternalError, match=r"tenant: raised AttributeError"):
        _labelling(lambda review: None, tenant=lambda review: review.shop).read(_record(GOOD))


def test_record_of_no_calendar_has_no_time() -> None:
    """Its producer wrote nanoseconds."""
    assert _record(GOOD, timestamp_s=1.7e15).timestamp is None


def test_what_cannot_be_a_flow_ends_the_start() -> None:
    """No coroutine, no annotations, nothing to emit, no topic: each is told with its origin."""
    labelled = Labelled(body="b", label="praise")

    def plain(review: Review, llm: LLMClient) -> Labelled:
        return labelled

    async def bare(review, llm): ...  # type: ignore[no-untyped-def]

    async def mute(review: Review, llm: LLMClient) -> None: ...

    async def good(review: Review, llm: LLMClient) -> Labelled:
        return labelled

    async def yielding(review: Review, llm: LLMClient) -> AsyncIterator[Labelled]:
        yield labelled

    async def alone(review: Review) -> Labelled:
        return labelled

    async def more(review: Review, llm: LLMClient, more: int) -> Labelled:
        return labelled

    async def swapped(llm: LLMClient, review: Review) -> Labelled:
        return labelled

    async def half(review, llm: LLMClient) -> Labelled:  # type: ignore[no-untyped-def]
        return labelled

    async def some_list(review: Review, llm: LLMClient) -> list:  # type: ignore[type-arg]
        return [labelled]

    async def some_emit(review: Review, llm: LLMClient) -> Emit:  # type: ignore[type-arg]
        return Emit(labelled)

    async def incoming(record: Incoming, llm: LLMClient) -> str:  # type: ignore[type-arg]
        return "praise"

    async def perhaps(record: Incoming[Review] | None, llm: LLMClient) -> str:
        return "praise"

    wrong: list[tuple[Any, Any, str]] = [
        (plain, "out", "must be an 'async def'"),
        (bare, "out", "annotate it, as"),
        (mute, "out", "it returns None alone"),
        (good, [], "to: name a topic at least"),
        (good, "no topic", "'no topic'"),
        (yielding, "out", "return a list of records"),
        (alone, "out", "it is called with the record and the client: (review: Review, llm"),
        (more, "out", "it is called with the record and the client"),
        (swapped, "out", "the record comes first"),
        (half, "out", "annotate it, as"),
        (some_list, "out", "say what it emits, as list[Labelled]"),
        (some_emit, "out", "say what it emits, as list[Labelled] or Emit[Labelled]"),
        (incoming, "out", "say what is in it, as Incoming[Review]"),
        (perhaps, "out", "Incoming[Review | None]"),
    ]
    for run, to, problem in wrong:
        with pytest.raises(ConfigurationError, match=r"^flow tests\.unit\.flows") as raised:
            flow("reviews", to=to)(run)
        assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"format": "xml"}, "format: Input should be 'json', "),
        ({"weight": 0}, "weight: Input should be greater than 0"),
        ({"max_in_flight": 0}, "max_in_flight: Input should be greater than 0"),
        ({"deadline_s": -1}, "deadline_s: Input should be greater than 0"),
        ({"ordering": "keys"}, "ordering: Input should be 'key', "),
        ({"start": "newest"}, "start: Input should be 'latest' or 'earliest'"),
        ({"format": "protobuf"}, '"protobuf" and message = "module:Class" go together'),
        (
            {"output_format": "avro", "register_schemas": True},
            "register_schemas needs output_schema",
        ),
    ],
)
def test_options_are_held_to_what_the_files_are(options: dict[str, Any], problem: str) -> None:
    """A wrong one ends the start with the flow and its name, not a record."""
    with pytest.raises(ConfigurationError) as raised:
        _labelling(lambda review: None, **options)

    assert str(raised.value).startswith("flow tests.unit.flows.test_python_flow.")
    assert problem in str(raised.value)


def test_schema_of_the_annotation_may_be_registered() -> None:
    """JSON Schema needs no file: the annotation is the schema."""
    flow = _labelling(lambda review: None, output_format="json-schema", register_schemas=True)

    assert (flow.formats.register_schemas, flow.formats.output_schema) == (True, None)


def test_flows_are_found_beside_those_of_the_file() -> None:
    """A flow in Python is in the catalogue, with a type of request that nobody can send."""
    registry = Registry([*Registry.load().processors, _labelling(lambda review: None)])

    assert [found.name for found in load_flows(Settings(), registry)] == ["label-reviews"]
    assert "flow:label-reviews" not in registry.types
    with pytest.raises(Failure, match="there is no such record type"):
        registry.decode(b'{"type": "flow:label-reviews", "record": 1}')
