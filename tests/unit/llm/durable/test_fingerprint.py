"""Fingerprints of what steps are given."""

import subprocess
import sys

import pytest

from streamapp.llm.durable.fingerprint import fingerprint_of, stable

SETS = """
from streamapp.llm.durable.fingerprint import fingerprint_of, stable
print(fingerprint_of(stable([{"one", "two", "three", "four"}, {"a": {"five", "six", "seven"}}])))
"""


def test_sets_are_the_same_in_every_worker() -> None:
    """Their order is another one in each process."""
    found = {
        subprocess.run(
            [sys.executable, "-c", SETS],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(found) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"\xff", b"\xfe"), ("\ud800", "\ud801"), ({1}, {2}), ({"a": {1}}, {"a": {2}})],
    ids=["bytes", "surrogates", "sets", "nested"],
)
def test_whatever_a_step_is_given_is_told_apart(one: object, other: object) -> None:
    """It is no error that it is no JSON."""
    assert fingerprint_of(stable(one)) != fingerprint_of(stable(other))


def test_an_iterator_is_not_used_up() -> None:
    """The step itself is to read it."""
    given = iter([1, 2])

    fingerprint_of(stable((given,)))

    assert list(given) == [1, 2]
