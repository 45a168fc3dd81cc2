"""Refusals of a way of asking for JSON, in whatever words: servers and gateways have many.

Counted is what names it and says no in one breath, or names it as the field at fault. In doubt it
is the one schema that is refused: a weaker way is then taken for that schema alone.
"""

import re
from collections.abc import Iterator

from streamapp.llm.providers.refusals.details import Details

_NAME = (
    r"(?<![a-z])(?P<{}>response[_ ]?format|json_object|json[_ ](?:schema|mode)"
    r"|structured[_ ]outputs?|text\.format|guided[_ ](?:decoding|json))(?![a-z])"
)
_NO = (
    r"(?:\bnot\b|n't\b|\bun(?:supported|available|known|recogni[sz]ed|expected)|\bmust\b|\bshould\b"
    r"|\bexpected\b|\bonly\b|\bno \w+ support|\binvalid\b|\bcannot\b|\bmissing\b|不支持)"
)
_REFUSAL = re.compile(
    f"{_NAME.format('first')}.{{0,100}}?{_NO}|{_NO}.{{0,60}}?{_NAME.format('last')}",
    re.IGNORECASE | re.DOTALL,
)
#: The same without anything between that begins a quotation: for a name that the record says too.
_CLOSE_REFUSAL = re.compile(
    f"{_NAME.format('first')}[^'\"`:]{{0,24}}?{_NO}|{_NO}[^'\"`:]{{0,24}}?{_NAME.format('last')}",
    re.IGNORECASE,
)
#: What a validator quotes of the request.
_ECHO = re.compile(r"'input': .*|input_value=.*")
#: These name it beside what is wrong: the messages, the length, or all that the request holds.
_OF_ANOTHER = re.compile(r"the word '?\"?json|\bmax_(?:completion_)?tokens\b", re.IGNORECASE)
#: Fields that are at fault by themselves, whatever else the words name; and places within them.
_OTHERS = frozenset(
    {"messages", "input", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "stop"}
    | {"functions", "function_call"}
)
_PLACE = re.compile(
    r"\b(?:messages|input|tools|functions|tool_calls)(?:\.\d|\[\d)"
    r"|\bfor function\b|\btool_choice\b",
    re.IGNORECASE,
)
_TOP = re.compile(r"[.\[]")

_FIELD = re.compile(r"(response_format|text\.format|json_schema)(\.type)?(?P<deeper>[.\[].*)?")
#: What says no to every schema, and to none for what it holds or for what else is asked for.
_NEVER = re.compile(
    r"support|unavailable|not (?:available|permitted|allowed|enabled|implemented)|unknown|\bonly\b"
    r"|unrecogni[sz]ed|unexpected|(?:must|should) be '?\"?(?:text|json)|permitted|不支持",
    re.IGNORECASE,
)
_FOR_WHAT_IT_HOLDS = re.compile(
    r"\bschemas?\b(?! (?:is|are) not supported)|propert|keyword|\benum|\$ref|nest|\bdeep|depth"
    r"|gramma|regex|pattern|\b(?:any|one|all)of\b|\bstrict\b|\brequired\b|instance"
    r"|response_format\.(?!type)\w|json_schema\.\w"
    r"|\btools?\b|function|stream|thinking|reasoning|combin|together|logprobs",
    re.IGNORECASE,
)


def refused_format(details: Details) -> str:
    """Return ``response_format``, ``json_schema`` for one schema alone, or nothing."""
    fields = [name for name, _ in details.fields]
    if any(_TOP.split(name, 1)[0] in _OTHERS for name in fields):
        return ""
    named = [match for match in map(_FIELD.fullmatch, fields) if match]
    # As text, validators write a place as a tuple.
    texts = [_ECHO.sub("", text).replace("', '", ".") for text in details.texts]
    if any(_OF_ANOTHER.search(text) or _PLACE.search(text) for text in texts):
        return ""
    is_sure = bool(named) or any(_refusals(_REFUSAL, texts, details, is_own=False))
    if not is_sure and not any(_refusals(_CLOSE_REFUSAL, texts, details, is_own=True)):
        return ""
    words = "\n".join(texts)
    is_deeper = any(match["deeper"] for match in named)
    is_whole = (
        is_sure and _NEVER.search(words) and not is_deeper and not _FOR_WHAT_IT_HOLDS.search(words)
    )
    return "response_format" if is_whole else "json_schema"


def _refusals(
    pattern: re.Pattern[str], texts: list[str], details: Details, *, is_own: bool
) -> Iterator[bool]:
    """Yield whether each refusal is one: by a name that is the record's word too, or is not."""
    for text in texts:
        for match in pattern.finditer(text):
            words = match.group() if is_own else match["first"] or match["last"]
            yield not details.own.hold(words)
