"""Mistakes in the syntax of the file: the line, the key, and what to write."""

from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError
from streamapp.settings.loading import load_settings

LABELS = '[flows.labels]\ninput = "x"\n'
MISTAKES = {
    "bare word": (
        f"{LABELS}type = classify\n",
        '3: [flows.labels] type: a text stands in quotes, as type = "..."',
    ),
    "key twice": (
        f'{LABELS}type = "a"\ninput = "y"\n',
        "4: [flows.labels] input: the key is there twice, first in line 2: remove one of them",
    ),
    "table twice": (
        f"{LABELS}[keys.a]\n[flows.labels]\n",
        "4: the table [flows.labels] is there twice, first in line 1: write all its keys below one"
        " of them",
    ),
    "True": (f"{LABELS}cache = True\n", "3: [flows.labels] cache: write true or false, in small"),
    "None": ("model = None\n", "1: model: there is no such value in TOML: leave the key out"),
    "nothing": ("model =\npartitions = 3\n", "1: model: there is no value behind the ="),
    "template": (
        f"{LABELS}when = {{{{ value.stars < 3 }}}}\n",
        '3: [flows.labels] when: a template stands in quotes, as when = "{{ value }}"',
    ),
    "open quotes": ('model = "x\n', "1: model: not valid TOML: Illegal character"),
    "open list": ('[models.a]\ntargets = ["x"\n', "3: [models.a] targets: not valid TOML: Uncl"),
    "list alone": ("model = [", "1: model: the list has no ] at its end"),
    "list at the end": ("[models.a]\ntargets = [\n", "2: [models.a] targets: the list has no ]"),
    "list before a key": ("partitions = [\nmodel = 3\n", "1: partitions: the list has no ]"),
    "list before a table": ('model = ["a",\n[models.a]\n', "1: model: the list has no ] at its"),
    "word before an open list": ("model = word\nkeys = [", "1: model: a text stands in quotes"),
    "word in a list": ("model = [\na]\n", "2: model: a text stands in quotes"),
    "nothing at the end": ("model =", "1: model: there is no value behind the ="),
    "comment in brackets": ("[# models.a]\n", "1: not valid TOML: Invalid initial character"),
    "open table": (f"{LABELS}[models.a\n", "3: not valid TOML: Expected ']' at the end of a table"),
    "words below a key": (f"{LABELS}just words\n", "3: not valid TOML: Expected '='"),
    "words": ("just words\n", "1: not valid TOML: Expected '='"),
    "no number": ("partitions = 1.2.3\n", "1: partitions: not valid TOML: Expected newline"),
    "sign": ("partitions = +\n", "1: partitions: it is no value: a text stands in quotes"),
}


@pytest.mark.parametrize(("text", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_and_key_with_what_to_write(text: str, line: str) -> None:
    """In the form of all other mistakes; the parser's words alone tell no newcomer what to do."""
    Path("streamapp.toml").write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(caught.value).startswith(f"streamapp.toml:{line}")
