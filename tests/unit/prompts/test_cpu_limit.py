"""A permitted prompt that would keep the event loop is a prompt error, soon."""

import time

import pytest

from streamapp.errors import PromptError
from streamapp.prompts.cpu_limit import CPU_LIMIT_S
from streamapp.prompts.template import Template

MANY = [1] * 1_000
LONG = "Wort " * 400_000


@pytest.mark.parametrize(
    "body",
    [
        "{% for x in xs %}" + "{{ text|lower|first }}" * 2_000 + "{% endfor %}",
        "{% for x in xs %}" + "{% if text == other %}{% endif %}" * 1_000 + "{% endfor %}",
        "{{ text|lower|upper|first }}" * 3_000,
    ],
    ids=["filters in a loop", "comparisons in a loop", "filters in a row"],
)
def test_long_rendering_ends(body: str) -> None:
    """Hours of CPU end after the limit, with what to change."""
    template = Template(body)
    other = LONG[:-1] + "!"
    began = time.thread_time()

    with pytest.raises(PromptError, match="s to render"):
        template.render({"xs": MANY, "text": LONG, "other": other})

    assert time.thread_time() - began < CPU_LIMIT_S + 2


def test_long_record_in_an_honest_prompt_passes() -> None:
    """A loop over all items of a list and a long text are far below the limit."""
    template = Template("{% for x in xs %}{{ loop.index }}/{{ loop.length }} {{ x }}\n{% endfor %}")

    (message,) = template.render({"xs": [str(number) for number in range(1_000)]})

    assert message["content"].endswith("1000/1000 999\n")


@pytest.mark.parametrize("body", ["{{ text|truncate(1) }}", "{{ text|truncate(9, leeway=-1) }}"])
def test_truncate_that_cannot_be_is_a_prompt_error(body: str) -> None:
    """Too short a length is the prompt's fault, not a bug of ours."""
    with pytest.raises(PromptError, match="truncate"):
        Template(body).render({"text": "a long enough text"})
