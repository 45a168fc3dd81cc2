"""Which examples of a set the text of a prompt can take, and why not the others."""

from collections.abc import Iterator

from streamapp.prompts.example_set import Example, Examples
from streamapp.prompts.template import Template
from streamapp.records.problems import escape, near

#: Examples named in one line; of more there is their number.
NAMED = 3


class Fit:
    """One set beside one text.

    Args:
        template: The text.
        whole: The set.

    A question of which the record gives a part would be the record's own, with another's answer
    to it. So what any example of the set gives is never the record's; what none gives and the
    text needs is, such as the labels of all questions.

    Attributes:
        given: The variables that examples of the set give.
        examples: Those of the set that the text can take.
        problem: Why the others are left out, in one line; None where all fit.
    """

    __slots__ = ("_template", "examples", "given", "problem", "whole")

    def __init__(self, template: Template, whole: Examples = ()) -> None:
        self._template = template
        self.whole = whole
        self.given = frozenset(name for example in whole for name in example.variables)
        problems = [self.problem_of(example) for example in whole]
        pairs = list(zip(whole, problems, strict=True))
        self.examples = tuple(example for example, problem in pairs if problem is None)
        places = [f"example {n}: {problem}" for n, problem in enumerate(problems, 1) if problem]
        self.problem = _told(places, len(whole)) if places else None

    def problem_of(self, example: Example) -> str | None:
        """Return why the text cannot take the example; None where it can."""
        return next(self._problems(example), None)

    def _problems(self, example: Example) -> Iterator[str]:
        text, own = self._template, example.variables
        for name in own:
            if name not in text.variables:
                yield f"the text has no variable '{escape(name)}'{near(name, text.variables)}"
        if not own.keys() & text.asked:
            asked = ", ".join(sorted(text.asked)) or "none"
            yield f"it gives no variable of the last part: {asked}"
        for name in sorted((self.given & text.needed) - own.keys()):
            yield f"the variable '{name}', which others of the set give, is missing: give it"
        if problem := text.unfit(own):
            yield problem


def _told(places: list[str], count: int) -> str:
    rest = [f"and {len(places) - NAMED} more"] if len(places) > NAMED else []
    are = "is" if len(places) == 1 else "are"
    return f"{len(places)} of {count} examples {are} left out: " + "; ".join(
        [*places[:NAMED], *rest]
    )
