"""``python -m bench.trace_picture OUT.svg``: draw the trace of one record of a real run.

A worker on Apache Kafka sends its spans to a collector; the record waits behind its key, its
first attempt fails, the second one is answered. What is drawn is what was collected.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from tests.e2e.stage import Record, Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.otlp import Collector, Span
from tests.support.worker import WorkerProcess

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
WIDTH, LABELS, ROW, TOP, MARGIN = 960, 270, 34, 74, 20
COLOURS = {"consumer": "#3b6fd4", "internal": "#7d8aa3", "client": "#1f9d6b", "producer": "#a35cc7"}
FAILED = "#d6453d"
MEANINGS = (
    ("consumer", "record"),
    ("internal", "in the worker"),
    ("client", "attempt at the provider"),
    ("producer", "delivery"),
)


async def collect(directory: Path) -> list[Span]:
    """Return the spans of one record, earliest first."""
    broker = KafkaBroker(directory / "kafka")
    await broker.start()
    try:
        async with Collector() as collector, Stage(broker, directory) as stage:
            await stage.open()
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
            environment = stage.environment(topic_prefix=stage.prefix) | variables
            worker = WorkerProcess(directory / "worker", environment, forked=False)
            stage.workers.append(worker)
            worker.start()
            await worker.wait_ready()
            await stage.produce([ask(f"warm-{n}") for n in range(50)])
            await stage.settle(50)
            before = ask("r-1", "ada", script={"latency_s": 0.15})
            record = ask(
                "r-2", "ada", script=[{"status": 503, "latency_s": 0.08}, {"latency_s": 0.25}]
            )
            parent = f"00-{TRACE_ID}-00f067aa0ba902b7-01".encode()
            followed = Record(record.value, record.key, headers=[("traceparent", parent)])
            await stage.produce([before, followed])
            await stage.settle(52)
            spans = await collector.of_trace(TRACE_ID, f"send {stage.prefix}.responses")
            await collector.of_trace(TRACE_ID, f"process {stage.prefix}.requests")
            spans = [span for span in collector.spans if span.trace_id == TRACE_ID]
            return in_order(spans, prefix=stage.prefix)
    finally:
        await broker.stop()


def in_order(spans: Sequence[Span], *, prefix: str) -> list[Span]:
    """Return the spans as a tree is read, under the names that topics have by default."""
    ids = {span.span_id for span in spans}

    def below(parent: str | None) -> Iterator[Span]:
        for span in sorted(spans, key=lambda span: (span.start_ns, span.end_ns)):
            if span.parent == parent or (parent is None and span.parent not in ids):
                yield span
                yield from below(span.span_id)

    return [
        Span(**{**_fields(span), "name": span.name.replace(prefix, "llm")}) for span in below(None)
    ]


def _fields(span: Span) -> dict[str, object]:
    return {name: getattr(span, name) for name in Span.__slots__}


def picture(spans: Sequence[Span]) -> str:
    """Return the spans as a drawing: one bar a span, time to the right."""
    began, ended = min(s.start_ns for s in spans), max(s.end_ns for s in spans)
    depths = _depths(spans)
    scale = (WIDTH - LABELS - 2 * MARGIN - 60) / (ended - began)
    left = LABELS + MARGIN
    height = TOP + ROW * len(spans) + 54
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" role="img">',
        f"<title>Trace of one record over {len(spans)} spans</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="30" font-size="15" font-weight="600" fill="#1b2433">'
        "One record, from its topic to its answer</text>",
        f'<text x="{MARGIN}" y="50" font-size="12" fill="#5a6579">'
        f"trace {TRACE_ID}, {(ended - began) / 1e6:.0f} ms</text>",
    ]
    for tenth in range(0, int((ended - began) / 1e8) + 1):
        x = left + tenth * 1e8 * scale
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 46}" '
            f'stroke="#e3e7ee"/><text x="{x:.1f}" y="{TOP - 12}" font-size="10" '
            f'fill="#5a6579" text-anchor="middle">{tenth * 100} ms</text>'
        )
    for row, span in enumerate(spans):
        y = TOP + row * ROW
        x, width = left + (span.start_ns - began) * scale, (span.end_ns - span.start_ns) * scale
        colour = FAILED if span.is_error else COLOURS.get(span.kind, "#7d8aa3")
        lasted = f"{(span.end_ns - span.start_ns) / 1e6:.1f} ms"
        note = str(span.attributes.get("error.type", "")) if span.is_error else ""
        parts += [
            f'<text x="{MARGIN + 14 * depths[span.span_id]}" y="{y + 20}" font-size="13" '
            f'fill="#1b2433">{escape(span.name)}</text>',
            f'<rect x="{x:.1f}" y="{y + 6}" width="{max(width, 2):.1f}" height="20" rx="3" '
            f'fill="{colour}"/>',
            f'<text x="{x + max(width, 2) + 6:.1f}" y="{y + 20}" font-size="11" '
            f'fill="#5a6579">{" ".join(filter(None, (lasted, escape(note))))}</text>',
        ]
    x = MARGIN
    for kind, meaning in (*MEANINGS, ("failed", "failed")):
        colour = COLOURS.get(kind, FAILED)
        parts.append(
            f'<rect x="{x}" y="{height - 30}" width="12" height="12" rx="2" fill="{colour}"/>'
            f'<text x="{x + 18}" y="{height - 20}" font-size="11" fill="#5a6579">{meaning}</text>'
        )
        x += 40 + 7 * len(meaning)
    return "\n".join([*parts, "</svg>", ""])


def _depths(spans: Sequence[Span]) -> dict[str, int]:
    depths: dict[str, int] = {}
    for span in spans:
        depths[span.span_id] = depths.get(span.parent, -1) + 1
    return depths


def main() -> None:
    """Run, collect, draw."""
    with tempfile.TemporaryDirectory() as directory:
        spans = asyncio.run(collect(Path(directory)))
    Path(sys.argv[1]).write_text(picture(spans))
    for span in spans:
        print(span)


if __name__ == "__main__":
    main()
