"""The demo's chain of flows and its table."""

import io

from rich.console import Console

from streamapp.cli.demo_chain import FLOWS, chain_table, reviews
from streamapp.flows.catalogue import load_flows
from streamapp.flows.source_record import SourceRecord
from streamapp.processors.registry import Registry
from streamapp.settings import Settings


def test_flows_of_the_demo_are_a_chain_that_starts() -> None:
    """They are right as the file's are, each reads what the one before writes."""
    flows = load_flows(Settings.model_validate({"flows": FLOWS}), Registry.load())

    assert [flow.name for flow in flows] == ["translate", "classify", "reply"]
    assert [flow.input for flow in flows[1:]] == [flow.outputs[0] for flow in flows[:-1]]


def test_praise_needs_no_reply() -> None:
    """The last flow skips it, and asks for the others."""
    *_, reply = load_flows(Settings.model_validate({"flows": FLOWS}), Registry.load())
    values = [b'{"label": "%b", "english": "x"}' % label for label in (b"praise", b"quality")]
    records = [SourceRecord(reply.input, 0, n, b"k", value) for n, value in enumerate(values)]

    assert [reply.read(record) is not None for record in records] == [False, True]


def test_table_shows_what_each_flow_added() -> None:
    """A column for each, and no escape sequence of an answer."""
    ends = [{**review, "english": "e\x1b[31m", "label": "praise"} for review in reviews()]
    console = Console(file=io.StringIO(), width=120, force_terminal=False)

    console.print(chain_table(ends))

    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert all(review["body"][:12] in shown for review in reviews())
    assert "translate" in shown
    assert "\x1b" not in shown
