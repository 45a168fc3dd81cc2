"""Dead letters as commands print them: lines for people, JSON for machines."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from streamapp.cli.terminal import counted, one_line, printable
from streamapp.records.timestamps import moment_of, time_text
from streamapp.streaming.dead_letters.reader import Seen
from streamapp.streaming.dead_letters.stored import StoredDeadLetter


def json_line(dead_letter: StoredDeadLetter, is_replayed: bool) -> str:
    """Return one JSON object."""
    return json.dumps(dead_letter.summary() | {"replayed": is_replayed}, ensure_ascii=False)


def text_lines(dead_letter: StoredDeadLetter, is_replayed: bool) -> str:
    """Return two lines that fit 80 columns: which record, and why; the reason is cut at the end."""
    summary, moment = dead_letter.summary(), moment_of(dead_letter.at)
    again = counted(summary["replays"], "replay") if summary["replays"] else ""
    which = (
        time_text(moment),
        dead_letter.place,
        summary["id"],
        summary["type"] or "-",
        "replayed" if is_replayed else again,
    )
    lines = [one_line(*filter(None, which))]
    lines.append(one_line("  ", ": ".join(filter(None, (summary["kind"], summary["message"])))))
    return "\n".join(lines)


def detail_lines(dead_letter: StoredDeadLetter, detail: Mapping[str, Any]) -> str:
    """Return all there is of it, a field a line, and the record."""
    topic, partition, offset = dead_letter.origin
    lines = {
        "place": dead_letter.place,
        "written": time_text(moment_of(dead_letter.at)),
        **{name: detail[name] for name in ("id", "type", "kind", "stage", "exception", "message")},
        "record": f"{topic}-{partition}@{offset}",
        "first failure": _time_of(detail["first_failure"]),
        **{name: detail[name] for name in ("attempts", "replays")},
        "sent again": "yes" if detail["replayed"] else "no",
        "key": "(no key)" if detail["key"] is None else detail["key"],
        **{f"header {name}": text for name, text in detail["headers"].items()},
    }
    texts = {name: "-" if value is None else str(value) for name, value in lines.items()}
    head = "\n".join(f"{name:<14} {printable(text)}" for name, text in texts.items())
    return f"{head}\n{printable(detail['record'] or '(no value)')}\n"


def summary_line(kinds: Mapping[str, int], sent: int, seen: Seen, limit: int) -> str:
    """Return what a list says at its end.

    Args:
        kinds: How many there are of each.
        sent: How many of them were sent again.
        seen: What was looked at.
        limit: How many are shown; 0 where all are.
    """
    total = sum(kinds.values())
    words = by_kind(kinds)
    again = f"; {sent:,} of them sent again, {total - sent:,} not" if sent else ""
    shown = f"; the newest {limit:,} are shown, --limit 0 shows all" if 0 < limit < total else ""
    return (
        f"{counted(total, 'dead letter')}{': ' if words else ''}{words}{again}{shown}"
        f"{foreign_words(seen)}"
    )


def by_kind(kinds: Mapping[str, int]) -> str:
    """Return how many there are of each kind, in words."""
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))


def foreign_words(seen: Seen) -> str:
    """Return what is said of records of others, behind a semicolon; nothing without any."""
    if not seen.foreign:
        return ""
    are = "is no dead letter" if seen.foreign == 1 else "are no dead letters"
    return f"; {counted(seen.foreign, 'record')} {are} of ours, first {seen.first_foreign}"


def _time_of(text: str | None) -> str:
    """Return what a header of ours says; what is no time stays as it is."""
    try:
        return time_text(None if not text else datetime.fromisoformat(text))
    except ValueError:
        return str(text)
