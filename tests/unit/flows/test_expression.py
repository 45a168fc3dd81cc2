from datetime import UTC, datetime
from typing import Any

import pytest

from streamapp.errors import ConfigurationError, InvalidRecord
from streamapp.flows.absent import Unreadable
from streamapp.flows.expression import NAMES, Expression, compiled

CANARY = "canary-7f3a"


def _scope(value: Any, **others: Any) -> dict[str, Any]:
    return dict.fromkeys(NAMES) | {"value": value} | others


def _given(text: str, value: Any, **others: Any) -> Any:
    return Expression(text, place="[flows.f] x")(_scope(value, **others))


@pytest.mark.parametrize(
    "value",
    ["text", "123", "[1, 2]", "", 7, 1.5, True, None, [1, "a"], {"a": {"b": 1}}],
    ids=str,
)
def test_one_expression_keeps_the_type_of_what_it_gives(value: Any) -> None:
    """`{{ value.it }}` gives a number as a number, and text that looks like one as text."""
    given = _given("{{ value.it }}", {"it": value})

    assert given == value
    assert type(given) is type(value)


def test_other_text_is_rendered() -> None:
    """Text round an expression makes it text."""
    assert _given("#{{ value.n }} of {{ topic }}", {"n": 3}, topic="t") == "#3 of t"


@pytest.mark.parametrize("name", ["items", "keys", "get", "values", "pop", "copy"])
def test_a_field_is_found_whatever_python_calls_so(name: str) -> None:
    """A field named as a method of Python's is the field."""
    assert _given(f"{{{{ value.{name} }}}}", {name: "mine"}) == "mine"


@pytest.mark.parametrize("name", ["items", "__class__", "keys"])
def test_nothing_but_fields_is_looked_up(name: str) -> None:
    """What Python has under a name is not there, and is named as missing."""
    with pytest.raises(InvalidRecord, match=rf"value.{name} is missing"):
        _given(f"{{{{ value.{name} }}}}", {})


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{{ value.stars <= 3 }}", {"stars": 2}, True),
        ("{{ value.a + value.b }}", {"a": 1, "b": 2}, 3),
        ("{{ value.a * 2 }}", {"a": 1.5}, 3.0),
        ("{{ value.tags | join(', ') }}", {"tags": ["a", "b"]}, "a, b"),
        ("{{ value.missing | default('none') }}", {}, "none"),
        ("{{ 'x' in value.tags }}", {"tags": ["x"]}, True),
        ("{{ value.tags[0] }}", {"tags": ["x"]}, "x"),
        ("{{ value['a-b'] }}", {"a-b": 1}, 1),
        ("{{ value.a if value.a is defined else 0 }}", {}, 0),
        ("{% if value.a %}yes{% else %}no{% endif %}", {"a": 1}, "yes"),
        ("{{ [value.a, value.b] }}", {"a": 1, "b": "x"}, [1, "x"]),
        ("{{ value | json }}", {"a": "ü"}, '{"a": "ü"}'),
    ],
)
def test_what_a_template_can_say(text: str, value: Any, expected: Any) -> None:
    """Fields, operators, filters and conditions give what they give in Jinja."""
    assert _given(text, value) == expected


def test_the_time_of_a_record_is_a_time() -> None:
    """`timestamp` comes through as it is."""
    at = datetime(2026, 1, 2, tzinfo=UTC)

    assert _given("{{ timestamp }}", {}, timestamp=at) is at


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ vlaue.body }}", "there is no 'vlaue': use one of value, key"),
        ("{{ value.body.strip() }}", "'call' is not allowed"),
        ("{{ value | tojson }}", "there is no filter 'tojson'"),
        ("{{ value is odd }}", "there is no test 'odd'"),
        ("{% for x in value %}{% endfor %}", "'for' is not allowed"),
        ("{{ value.a ** 9 }}", "'pow' is not allowed"),
        ("{{ value.body", "the template '{{ value.body': {{ ends in }}"),
        ("{% set x = 1 %}", "not allowed"),
        ("{{ (1 if (none).a else 2) }}", "None"),
        ("{{ " + "(" * 30 + "1" + ")" * 30 + " }}", "parentheses are open"),
    ],
)
def test_a_wrong_template_is_an_error_at_start(text: str, problem: str) -> None:
    """What is wrong with the template itself ends the start, and is named."""
    with pytest.raises(ConfigurationError, match=r"^\[flows\.f\] x: ") as raised:
        Expression(text, place="[flows.f] x")

    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("{{ value.a.b }}", {"a": {}}, "value.a.b is missing"),
        ("{{ value.a.b }}", {"a": CANARY}, "value.a.b is missing"),
        ("to {{ value.a }}", {}, "value.a is missing"),
        ("{{ value.a }}", None, "value.a is missing"),
        ("{{ value.a + 1 }}", {"a": CANARY}, "template '{{ value.a + 1 }}': value.a is a text"),
        (
            "{{ value.a < value.b }}",
            {"a": CANARY, "b": 3},
            "template '{{ value.a < value.b }}': value.a is a text, value.b is a number",
        ),
        ("{{ value.a < 3 }}", {"a": None}, "value.a is null"),
        ("{{ value.a < 3 }}", {"a": [CANARY]}, "value.a is a list"),
        ("{{ value < 3 }}", {"a": CANARY}, "value is an object"),
        ("{{ value.a * 9 }}", {"a": CANARY}, "template '{{ value.a * 9 }}': value.a is a text"),
        ("{{ value.a % 9 }}", {"a": f"%s{CANARY}"}, "value.a % 9 }}': value.a is a text"),
        ("{{ 1 / value.a }}", {"a": 0}, "(ZeroDivisionError): value.a is a number"),
        ("{{ value.a | default(1) }}{{ value.b }}", {}, "value.b is missing"),
        ("{{ value.a.b.c | default(1) }} {{ value.b.c }}", {"b": {}}, "value.b.c is missing"),
        ("{% if value.a is defined %}!{% endif %}{{ value.b }}", {}, "value.b is missing"),
        ("{{ value.a or value.b }}", {"a": 0}, "value.b is missing"),
        ("{{ value.b.x }}{{ value.a.x }}", {"a": "same", "b": {"x": 1}}, "value.a.x is missing"),
        ("{{ value.a.x.y }}", {}, "value.a.x.y is missing"),
        ("{{ value.a[0].b }}", {"a": [{}]}, "value.a.0.b is missing"),
        ("{{ value[value.a] }}", {"a": CANARY}, "something that the template asks for is missing"),
        ("at {{ value.a[value.b] }}", {"a": ["x"]}, "value.b is missing"),
        ("at {{ value.a[value.b[value.c]] }}", {"a": ["x"], "b": {}, "c": CANARY}, "something "),
        ("{{ value.a[value.b].c }}", {"a": CANARY}, "value.b is missing"),
        ("{{ value.a[value.b].c }}", {"a": {}, "b": [CANARY]}, "something that the template asks"),
        ("{{ value.a | first }}", {"a": []}, "something that the template asks for is missing"),
        ("{{ value.a | default(1) }} {{ value.b / 2 }}", {"b": CANARY}, "value.b is a text"),
        ("{{ value.a | default(value.b / 2) }}", {"b": CANARY}, "value.b is a text"),
    ],
)
def test_a_record_that_does_not_fit_is_named_without_its_values(
    text: str, value: Any, problem: str
) -> None:
    """A failure names flow, field and what is missing, and nothing that the record holds."""
    with pytest.raises(InvalidRecord) as raised:
        _given(text, value)

    assert str(raised.value).startswith("[flows.f] x: ")
    assert problem in str(raised.value)
    assert CANARY not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_key_that_is_no_text_fails_only_who_asks_for_it() -> None:
    """A key in bytes fails a template that names it, and no other."""
    assert _given("{{ value }}", 1, key=Unreadable("key is odd")) == 1
    defaulted = "{{ value.a | default('-') }} {{ key }}"
    for text in ("{{ key }}", "{{ key.id }}", "id {{ key.id }}", defaulted):
        with pytest.raises(InvalidRecord, match=r"x: key is odd$"):
            _given(text, 1, key=Unreadable("key is odd"))


def test_templates_are_filled_deep_inside() -> None:
    """Lists and tables of a field are filled where they hold templates, else left as they are."""
    fill = compiled({"a": ["{{ value.n }}", "plain", 3], "b": {"c": True}}, place="x")

    assert fill is not None
    assert fill(_scope({"n": 5})) == {"a": [5, "plain", 3], "b": {"c": True}}
    assert compiled({"a": ["plain", 3]}, place="x") is None
