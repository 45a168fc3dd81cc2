"""The demo's table of answers."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from streamapp.cli.samples import SampleOutcome

#: Longest text shown of an answer, characters.
SHOWN = 240


def answers_table(outcomes: Sequence[SampleOutcome]) -> Table:
    """Return one row for each sample."""
    table = Table("type", "answer", "provider", "tokens", "time", show_lines=True)
    for outcome in outcomes:
        response = outcome.response
        if response is None:
            table.add_row(outcome.type, Text(outcome.failure, style="red"), "", "", "")
            continue
        usage = response["usage"]
        table.add_row(
            outcome.type,
            # Text, not markup: an answer may hold brackets and escape sequences.
            Text(shown(response["output"])),
            Text("\n".join(dict.fromkeys((response["provider"], response["model"])))),
            f"{usage['input_tokens']} + {usage['output_tokens']}",
            f"{response['duration_s']:.2f} s",
        )
    return table


def shown(output: Any) -> str:
    """Return an output as text of bounded length, without escape sequences."""
    if isinstance(output, list):  # vectors
        first = ", ".join(f"{x:.3f}" for x in output[0][:3])
        return f"{len(output)} vectors of {len(output[0])}: [{first}, ...], ..."
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    text = "".join(c if c.isprintable() or c == "\n" else "·" for c in text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
