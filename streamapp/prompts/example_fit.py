"""The examples of a set that the text of a prompt can take, and what keeps out the others."""

import time
from collections.abc import Callable, Iterator

from streamapp.prompts.cpu_limit import CPU_LIMIT_S
from streamapp.prompts.example_set import Example, Examples
from streamapp.prompts.template import Template
from streamapp.records.problems import escape, near

#: Examples named in one line; of more there is their number.
NAMED = 3


class Fit:
    """One set beside one text.

    A question of which the record gives a part would be the record's own, with another's answer
    to it. So what any example of the set gives is never the record's; what none gives and the
    text needs is, such as the labels of all questions.

    Args:
        template: The text.
        whole: The set.
        cpu_s: CPU that was used so far, seconds.

    Attributes:
        given: The variables that examples of the set give.
        examples: Those of the set that the text can take.
        problem: Why the others are left out, in one line; None where all fit.
    """

    __slots__ = ("_template", "examples", "given", "problem", "whole")

    def __init__(
        self,
        template: Template,
        whole: Examples = (),
        *,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._template = template
        self.whole = whole
        self.given = frozenset(name for example in whole for name in example.variables)
        # A set may hold a thousand, and all records wait meanwhile.
        ends_at = cpu_s() + CPU_LIMIT_S
        problems = [self.problem_of(example, is_tried=cpu_s() < ends_at) for example in whole]
        pairs = list(zip(whole, problems, strict=True))
        self.examples = tuple(example for example, problem in pairs if problem is None)
        places = [f"example {n}: {problem}" for n, problem in enumerate(problems, 1) if problem]
        self.problem = _told(places, len(whole)) if places else None

    def problem_of(self, example: Example, *, is_tried: bool = False) -> str | None:
        """Return why the text cannot take the example; None where it can, as far as is seen.

        Args:
            example: Of the set.
            is_tried: Whether it is rendered, where it has all that the text needs, and a name
                that is like an unknown one looked for.
        """
        return next(self._problems(example, is_tried=is_tried), None)

    def _problems(self, example: Example, *, is_tried: bool) -> Iterator[str]:
        text, own = self._template, example.variables
        for name in own:
            if name not in text.variables:
                guess = near(name, text.variables) if is_tried else ""
                yield f"the text has no variable '{escape(name)}'{guess}"
        if not own.keys() & text.asked:
            asked = ", ".join(sorted(text.asked)) or "none"
            yield f"it gives no variable of the last part: {asked}"
        for name in sorted((self.given & text.needed) - own.keys()):
            yield f"the variable '{name}', which others of the set give, is missing: give it"
        if problem := text.unfit(own, is_tried=is_tried):
            yield problem


def _told(places: list[str], count: int) -> str:
    rest = [f"and {len(places) - NAMED} more"] if len(places) > NAMED else []
    are = "is" if len(places) == 1 else "are"
    return f"{len(places)} of {count} examples {are} left out: " + "; ".join(
        [*places[:NAMED], *rest]
    )
