"""Tool calls of answers, as vendors send and stream them."""

import pytest

from streamapp.llm.chunks import CallDelta
from streamapp.llm.providers.shapes.tool_calls import ToolCalls, tool_calls_of


def call(id: str, name: str, arguments: str) -> dict[str, object]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_calls_of_a_message_are_kept() -> None:
    """Whole calls come in order, an object of arguments as its text."""
    calls = [call("a", "f", '{"x":1}'), {"id": "b", "function": {"name": "g", "arguments": {}}}]

    assert tool_calls_of({"tool_calls": calls}) == [call("a", "f", '{"x":1}'), call("b", "g", "{}")]


@pytest.mark.parametrize("with_index", [True, False])
def test_parts_are_put_together(with_index: bool) -> None:
    """Parts of one call have its index, or none where there is one call alone."""
    calls = ToolCalls()
    place = {"index": 0} if with_index else {}
    calls.add({"tool_calls": [{**place, "id": "a", "function": {"name": "f", "arguments": ""}}]})
    for text in ('{"x"', ":1}"):
        calls.add({"tool_calls": [{**place, "function": {"arguments": text}}]})

    assert calls.all() == [call("a", "f", '{"x":1}')]


def test_calls_side_by_side_are_told_apart() -> None:
    """Interleaved parts go to the call of their index."""
    calls = ToolCalls()
    for index, id in enumerate("ab"):
        part = {"index": index, "id": id, "function": {"name": f"f{id}", "arguments": ""}}
        calls.add({"tool_calls": [part]})
    for index in (1, 0):
        calls.add({"tool_calls": [{"index": index, "function": {"arguments": f"{index}"}}]})

    assert calls.all() == [call("a", "fa", "0"), call("b", "fb", "1")]
    assert calls.new() == [
        CallDelta(0, "a", "fa"),
        CallDelta(1, "b", "fb"),
        CallDelta(1, arguments="1"),
        CallDelta(0, arguments="0"),
    ]
    assert calls.new() == []


def test_whole_calls_that_all_have_index_0_are_told_apart() -> None:
    """Some servers send each call whole and count none of them."""
    calls = ToolCalls()
    for id in "ab":
        calls.add({"tool_calls": [{"index": 0, **call(id, "f", id)}]})

    assert calls.all() == [call("a", "f", "a"), call("b", "f", "b")]


SIGNATURE = {"google": {"thought_signature": "c2ln"}}


def test_what_the_vendor_wants_back_stays_with_its_call() -> None:
    """Gemini signs the first of several calls: the signature is that one's, whole or in parts."""
    calls = ToolCalls()
    signed = {**call("a", "f", "{}"), "extra_content": SIGNATURE}
    calls.add({"tool_calls": [{"index": 0, **signed}, {"index": 1, **call("b", "f", "{}")}]})

    assert calls.all() == [signed, call("b", "f", "{}")]
    assert calls.new() == [
        CallDelta(0, "a", "f", "{}", SIGNATURE),
        CallDelta(1, "b", "f", "{}"),
    ]


@pytest.mark.parametrize("extra", [SIGNATURE, {}, None, "text"])
def test_signature_may_come_behind_its_call(extra: object) -> None:
    """It is told once, when it is there; what is no object is none."""
    calls = ToolCalls()
    calls.add({"tool_calls": [{"index": 0, **call("a", "f", "")}]})
    for _ in range(2):
        calls.add({"tool_calls": [{"index": 0, "extra_content": extra}]})

    is_there = extra == SIGNATURE
    assert calls.new() == [
        CallDelta(0, "a", "f"),
        *([CallDelta(0, extra=SIGNATURE)] if is_there else []),
    ]
    assert calls.all() == [
        {**call("a", "f", ""), **({"extra_content": SIGNATURE} if is_there else {})}
    ]


def test_call_of_the_older_form_gets_an_id() -> None:
    """A server that knows functions alone still names a call that can be answered."""
    found = tool_calls_of({"function_call": {"name": "f", "arguments": "{}"}})

    assert found == [call("call_0", "f", "{}")]


def test_call_without_a_name_is_none() -> None:
    """What names no function cannot be called."""
    with pytest.raises(LookupError):
        tool_calls_of({"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]})


def test_piece_of_a_call_that_has_no_name_yet_waits() -> None:
    """What came before the name is in the first piece; an id that comes later is not another."""
    calls = ToolCalls()
    parts: list[dict[str, object]] = [
        {"index": 3, "function": {"arguments": "{"}},
        {"index": 3, "function": {"name": "f", "arguments": '"x"'}},
        {"index": 3, "id": "late", "function": {"arguments": ":1}"}},
    ]
    for part in parts:
        calls.add({"tool_calls": [part]})

    assert calls.new() == [CallDelta(0, "call_3", "f", '{"x"'), CallDelta(0, arguments=":1}")]
    assert calls.all() == [call("call_3", "f", '{"x":1}')]
