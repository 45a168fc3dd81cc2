"""The quick fetch says on the wire, and reads from it, what aiokafka's own classes do."""

from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.fetch import (
    FetchRequest,
    FetchRequest_v4,
    FetchRequest_v11,
    FetchResponse_v11,
)
from aiokafka.protocol.group import HeartbeatRequest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.streaming.protocol.fetch import (
    QuickFetch,
    QuickFetchRequest,
    QuickFetchResponse,
    fetch_quickly,
)

INT16, INT32, INT64 = (st.integers(-(2**bits), 2**bits - 1) for bits in (15, 31, 63))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WANTED = st.tuples(INT32, INT64, INT32)
REQUESTS = st.builds(
    FetchRequest,
    INT32,
    INT32,
    INT32,
    st.sampled_from([0, 1]),
    st.lists(st.tuples(NAMES, st.lists(WANTED, max_size=4)), max_size=4),
    NAMES,
)
ANSWERED = st.tuples(
    INT32,
    INT16,
    INT64,
    INT64,
    INT64,
    st.none() | st.lists(st.tuples(INT64, INT64), max_size=3),
    INT32,
    st.none() | st.binary(max_size=40),
)
RESPONSES = st.builds(
    FetchResponse_v11,
    INT32,
    INT16,
    INT32,
    st.lists(st.tuples(NAMES, st.lists(ANSWERED, max_size=4)), max_size=4),
)
FULL = FetchResponse_v11(
    0,
    0,
    0,
    [("llm.requests", [(0, 0, 9, 9, 0, [(7, 3)], -1, b"records"), (1, 0, 2, 2, 0, [], -1, None)])],
)


@given(request=REQUESTS)
def test_request_is_the_same_on_the_wire(request: FetchRequest) -> None:
    """Whatever is asked for, the broker cannot tell who encoded it."""
    theirs = request.build(FetchRequest_v11)
    ours = QuickFetch(request).prepare({FetchRequest.API_KEY: (0, 11)})

    assert type(ours) is QuickFetchRequest
    assert ours.encode() == theirs.encode()
    assert (
        ours.build_request_header(5, "c").encode() == theirs.build_request_header(5, "c").encode()
    )


@given(response=RESPONSES)
def test_response_is_read_as_the_same(response: FetchResponse_v11) -> None:
    """All fields of every partition arrive, its records as bytes."""
    wire = response.encode()

    assert vars(QuickFetchResponse.decode(BytesIO(wire))) == vars(FetchResponse_v11.decode(wire))
    assert QuickFetchResponse.API_VERSION == 11


@pytest.mark.parametrize("cut", range(1, len(FULL.encode())))
def test_response_that_is_cut_off_is_refused(cut: int) -> None:
    """As aiokafka does, which then closes the connection; nothing is taken for fetched."""
    wire = FULL.encode()[:cut]

    with pytest.raises(ValueError, match=r"."):
        FetchResponse_v11.decode(wire)
    with pytest.raises(ValueError, match="cut off"):
        QuickFetchResponse.decode(BytesIO(wire))


def test_older_broker_is_asked_in_the_client_s_own_way() -> None:
    """A broker that does not know the version gets one that it knows."""
    request = FetchRequest(500, 1, 1_000, 0, [("t", [(0, 7, 100)])])

    assert type(QuickFetch(request).prepare({FetchRequest.API_KEY: (0, 4)})) is FetchRequest_v4


async def test_fetches_alone_are_sent_this_way() -> None:
    """What else the client sends stays as it is, on the connection that it is for."""
    sent: list[tuple[Any, Any]] = []

    async def send(node_id: int, request: Any, *, group: Any) -> str:
        sent.append((request, group))
        return "answer"

    client = SimpleNamespace(send=send)
    fetch_quickly(client)
    heartbeat = HeartbeatRequest("group", 1, "member")

    fetched = await client.send(1, FetchRequest(500, 1, 1_000, 0, []))
    await client.send(1, heartbeat, group=ConnectionGroup.COORDINATION)

    assert fetched == "answer"
    assert type(sent[0][0]) is QuickFetch
    assert sent[0][1] is ConnectionGroup.DEFAULT
    assert sent[1] == (heartbeat, ConnectionGroup.COORDINATION)
