"""Mistakes in templates, in words of who writes one."""

import pytest

from streamapp.errors import ConfigurationError, PromptError
from streamapp.flows.expression import Expression
from streamapp.prompts.template import Template
from streamapp.prompts.template_syntax import SHOWN, shown

MISTAKES = {
    "{{ x < }}": "a value is missing at the end",
    "{{ x = 3 }}": "write '==' to compare",
    "{{ x === 3 }}": "write '==' to compare",
    "{{ x && y }}": "'&' is no operator: write 'and'",
    "{{ x || y }}": "'||' is no operator: write 'or'",
    "{{ !x }}": "'!' is no operator: write 'not', and '!=' for unequal",
    "{{ x ? 1 : 2 }}": "'?' is no operator: write A if CONDITION else B",
    "{{ x": "{{ ends in }}, and {% in %}",
    "{{ x }": "{{ ends in }}, and {% in %}",
    "{% if x %}y": "{% if ... %} needs an {% endif %}",
    "{% endif %}": "there is no beginning to {% endif %}",
    "{% x.y %}": "there is no tag 'x': a value is written {{ ... }}",
    "{{ (x }}": "there is no ')' for the bracket that is open",
    "{{ x) }}": "there is no bracket that ')' closes",
    "{{ x y }}": "an operator is missing before 'y'",
    "{{ x | }}": "a name is missing at the end",
    "{{ }}": "there is nothing in it",
    "{{ 'x }}": "a text in it ends in the quotes that it begins with",
    "{{ x. }}": "the name of a field is missing behind a point",
}


@pytest.mark.parametrize(("text", "mend"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_named_with_what_to_write(text: str, mend: str) -> None:
    """In flows, with the template, and in prompt files, with the line."""
    with pytest.raises(ConfigurationError) as of_flow:
        Expression(text, place="[flows.f] when")
    with pytest.raises(PromptError) as of_prompt:
        Template(f"Hello\n{text}", first_line=4)

    assert str(of_flow.value) == f"[flows.f] when: the template '{text}': {mend}"
    assert str(of_prompt.value) == f"line 5: {mend}"


def test_a_long_template_is_cut_for_messages() -> None:
    """They are one line, in a dead letter as well."""
    assert shown(f"{{{{ value.a\n + {'1' * 200} }}}}").startswith("{{ value.a + 111")
    assert len(shown("x" * 200)) == SHOWN
