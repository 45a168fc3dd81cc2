"""Mistakes in the syntax of templates, in the words of who writes one and not of Jinja's parser."""

import re

#: Most characters of a template that a message shows.
SHOWN = 80

_END = r"'end of (?:print statement|statement block|template)'"
#: What to write, by Jinja's message; the first one that matches is taken.
_MENDS: tuple[tuple[str, str], ...] = (
    (r"Unexpected end of template\. .*'endif'", "{% if ... %} needs an {% endif %}"),
    (r"Unexpected end of template\. .*'endfor'", "{% for ... %} needs an {% endfor %}"),
    (r"unexpected end of template|^unexpected '}'$", "{{ ends in }}, and {% in %}"),
    (r"unexpected char [\"']['\"]", "a text in it ends in the quotes that it begins with"),
    (r"unexpected char '&'", "'&' is no operator: write 'and'"),
    (r"expected token 'name', got '\|'", "'||' is no operator: write 'or'"),
    (r"unexpected char '!'", "'!' is no operator: write 'not', and '!=' for unequal"),
    (r"unexpected char '\?'", "'?' is no operator: write A if CONDITION else B"),
    (r"got '='|^unexpected '='", "write '==' to compare"),
    (r"unexpected '.', expected '(.)'", r"there is no '\1' for the bracket that is open"),
    (r"^unexpected '([)\]])'", r"there is no bracket that '\1' closes"),
    (rf"Expected an expression, got {_END}", "there is nothing in it"),
    (rf"expected token 'name', got {_END}", "a name is missing at the end"),
    (r"expected name or number", "the name of a field is missing behind a point"),
    (rf"unexpected {_END}", "a value is missing at the end"),
    (rf"expected token {_END}, got '(.+)'", r"an operator is missing before '\1'"),
    (r"Encountered unknown tag '(end\w+)'", r"there is no beginning to {% \1 %}"),
    (r"Encountered unknown tag '(\w+)'", r"there is no tag '\1': a value is written {{ ... }}"),
)


def syntax_mend(message: str | None) -> str:
    """Return what is wrong with a template, and what to write.

    Args:
        message: Of Jinja's error; it is returned as it is where it is none of those known.
    """
    message = message or "it is no template"
    for pattern, mend in _MENDS:
        if found := re.search(pattern, message):
            return found.expand(mend)
    return message


def shown(text: str) -> str:
    """Return a template for a message: in one line, and cut."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."
