"""The parameters that a vendor's error says it does not take.

Each pattern has its source and date; a vendor's new words are one more line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamapp.llm.providers.refusals.details import Details

_GITHUB = "https://github.com/"
_NAME = r"[A-Za-z_][A-Za-z0-9_.]{0,63}"


@dataclass(frozen=True, slots=True)
class ParameterSign:
    """Words that name a parameter.

    Attributes:
        pattern: Matches a message; its group is the name, or several in a list.
        vendor: Who writes it.
        source: Where it was seen.
        seen: Date of the source.
        by_value: Whether only the value is refused.
        beside: The parameter that it may not stand beside; empty where it may not stand at all.
        wanted: Parameters that have to be sent with these values, in an answer that is not
            streamed; empty where something sent is refused.
    """

    pattern: re.Pattern[str]
    vendor: str
    source: str
    seen: str
    by_value: bool = False
    beside: str = ""
    wanted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """What an error refuses.

    Attributes:
        names: Of parameters, as OpenAI writes them.
        by_value: Whether their values alone are refused.
        beside: The parameter that they may not stand beside; empty where they may not at all.
        wanted: Values that they have to have, in place of none or of another one.
    """

    names: tuple[str, ...] = ()
    by_value: bool = False
    beside: str = ""
    wanted: Mapping[str, Any] = field(default_factory=dict)


def _sign(
    pattern: str, vendor: str, source: str, seen: str, *, by_value: bool = False, beside: str = ""
) -> ParameterSign:
    compiled = re.compile(pattern.replace("NAME", _NAME), re.IGNORECASE)
    return ParameterSign(compiled, vendor, source, seen, by_value, beside)


PARAMETER_SIGNS: tuple[ParameterSign, ...] = (
    _sign(
        r"unsupported (?:parameter: '(NAME)'|value: '(NAME)'.{1,100}? only the default)",
        "OpenAI",
        _GITHUB + "buldezir/lemmary/issues/25",
        "2026-08-15",
    ),
    _sign(
        r"unsupported value: '(NAME)' does not support '",
        "OpenAI",
        _GITHUB + "Kilo-Org/cloud/pull/3807",
        "2026-06-08",
        by_value=True,
    ),
    _sign(
        r"unknown parameter: '(NAME)'",
        "OpenAI",
        _GITHUB + "teabranch/open-responses-server/issues/41",
        "2025-06-29",
    ),
    _sign(
        r"unrecognized request arguments? supplied: ((?:NAME)(?:, NAME)*)",
        "Azure",
        _GITHUB + "pydantic/pydantic-ai/issues/169",
        "2024-12-07",
    ),
    _sign(
        r"unknown name \\?\"(NAME)\\?\"(?: at 'NAME')?: cannot find field",
        "Gemini",
        _GITHUB + "n4ze3m/page-assist/issues/418",
        "2025-02-18",
    ),
    _sign(
        r"argument not supported on this model: (NAME)",
        "xAI",
        _GITHUB + "yym68686/uni-api/issues/105",
        "2025-04-24",
    ),
    _sign(
        r"does not support parameter (NAME)",
        "xAI",
        _GITHUB + "NousResearch/hermes-agent/issues/23088",
        "2026-05-24",
    ),
    _sign(
        r"(NAME): extra inputs are not permitted",
        "Mistral",
        _GITHUB + "dnakov/anon-kode/issues/53",
        "2025-03-14",
    ),
    _sign(
        r"^property '(NAME)' is unsupported",
        "Groq",
        _GITHUB + "musistudio/llms/pull/64",
        "2025-12-31",
    ),
    _sign(
        r"does not support parameters: \[((?:'NAME'(?:, )?)+)\]",
        "LiteLLM",
        _GITHUB + "mcdonc/klangk/pull/2067",
        "2026-08-03",
    ),
    _sign(
        r"do(?:es)?n't support (NAME)=[^\s=]{1,40}",
        "LiteLLM",
        _GITHUB + "BerriAI/litellm/pull/33738",
        "2026-07",
        by_value=True,
    ),
    _sign(
        r"`?(temperature)`? and `?top_p`? cannot both be specified",
        "Anthropic",
        _GITHUB + "skydiscover-ai/skydiscover/issues/15",
        "2026-03-10",
        beside="top_p",
    ),
    _sign(
        r"`?(NAME)`? is deprecated for this model",
        "Anthropic",
        _GITHUB + "sipeed/picoclaw/issues/2939",
        "2026-05-25",
    ),
    _sign(
        r"`?(NAME)`? is not supported for \S{1,100} when set to non-default",
        "Anthropic",
        _GITHUB + "fazer-ai/agents/issues/130",
        "2026-08-19",
    ),
)

#: What says that a parameter is missing, or has to have another value: open models of Qwen think
#: where nothing is said, and then answer in streams alone.
WANTED_SIGNS: tuple[ParameterSign, ...] = tuple(
    ParameterSign(
        re.compile(pattern, re.IGNORECASE), vendor, source, seen, wanted={"enable_thinking": False}
    )
    for pattern, vendor, source, seen in (
        (
            r"enable_thinking ?(?:must be set to|必须设置为) ?false",
            "DashScope",
            _GITHUB + "datawhalechina/hello-agents/issues/230",
            "2025-12-23",
        ),
        (
            r"enable thinking can not be support when `?stream=false",
            "ModelScope",
            _GITHUB + "musistudio/claude-code-router/issues/948",
            "2025-10-23",
        ),
    )
)

#: What says that the way of asking for JSON is not taken, with the parameter `response_format`.
RESPONSE_FORMAT_SIGNS: tuple[ParameterSign, ...] = (
    _sign(
        r"this (response_format) type is unavailable",
        "DeepSeek",
        _GITHUB + "ItzCrazyKns/Vane/issues/969",
        "2026-01-04",
    ),
    _sign(
        r"(response_format)\.type `json_\w+` is unavailable",
        "DeepSeek",
        _GITHUB + "BerriAI/litellm/pull/31466",
        "2026-06-26",
    ),
    _sign(
        r"does not support response format `json_",
        "Groq",
        _GITHUB + "ItzCrazyKns/Vane/issues/980",
        "2026-01-12",
    ),
    _sign(
        r"'response_format(?:\.type)?' (?:of type 'json_\w+' is not|must be|: )",
        "LM Studio",
        _GITHUB + "lmstudio-ai/lmstudio-bug-tracker/issues/307",
        "2025-01-15",
    ),
    _sign(
        r"response_format value as json_schema is enabled only",
        "Azure",
        _GITHUB + "dotnet/extensions/issues/6130",
        "2025-03-18",
    ),
)

#: What says that one schema is not taken, where others are: as the parameter `json_schema`.
SCHEMA_SIGNS: tuple[ParameterSign, ...] = (
    _sign(
        r"invalid schema for response_format",
        "OpenAI",
        _GITHUB + "dottxt-ai/outlines/issues/1666",
        "2025-06-28",
    ),
    _sign(
        r"json schema contains features not supported by",
        "vLLM",
        _GITHUB + "vllm-project/vllm/issues/16321",
        "2025-04-09",
    ),
    _sign(
        r"grammar error:|failed to (?:parse|initialize) grammar",
        "vLLM",
        _GITHUB + "vllm-project/vllm/issues/16467",
        "2025-04-11",
    ),
    _sign(
        r"output_config(?:\.format)?\b",
        "Anthropic",
        _GITHUB + "langgenius/dify-official-plugins/issues/3886",
        "2026-09-15",
    ),
)

#: Codes beside the name of a parameter that is refused, or of a value of it.
_REFUSING = frozenset(
    {"unsupported_parameter", "unknown_parameter", "extra_forbidden", "unknown_field"}
)
_REFUSING_VALUES = frozenset({"unsupported_value"})
_CAMEL = re.compile(r"(?<=[a-z])([A-Z])")
_QUOTES = re.compile(r"['\" ]")


def refused_parameters(details: Details) -> Refused:
    """Return the parameters that an error refuses.

    Names within ``messages`` are left out, and words that the request says too: they are the
    record's, and what is refused is remembered for all others. A way of asking for JSON that
    is not taken is named ``response_format``, a schema that is not taken ``json_schema``.
    """
    if any(_matches(SCHEMA_SIGNS, details)):
        return Refused(("json_schema",))
    if any(_matches(RESPONSE_FORMAT_SIGNS, details)):
        return Refused(("response_format",))
    for sign, _ in _matches(WANTED_SIGNS, details):
        return Refused(tuple(sign.wanted), wanted=sign.wanted)
    found: dict[str, None] = {}
    values: dict[str, None] = {}
    for sign, match in _matches(PARAMETER_SIGNS, details):
        names = _QUOTES.sub("", next(filter(None, match.groups()))).split(",")
        if sign.beside:
            return Refused(tuple(map(_root, names)), beside=sign.beside)
        (values if sign.by_value else found).update(dict.fromkeys(map(_root, names)))
    for name, codes in details.fields:
        if codes & _REFUSING:
            found[_root(name)] = None
        elif codes & _REFUSING_VALUES:
            values[_root(name)] = None
    # What is refused altogether is refused with its value too.
    if whole := _known(found):
        return Refused(whole)
    return Refused(_known(values), by_value=True)


def _known(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in ("", "messages", "model", "input"))


def _matches(
    signs: Iterable[ParameterSign], details: Details
) -> Iterator[tuple[ParameterSign, re.Match[str]]]:
    for sign in signs:
        for text in details.texts:
            for match in sign.pattern.finditer(text):
                if not details.own.hold(match.group()):
                    yield sign, match


def _root(name: str) -> str:
    """Return the parameter that a dotted name lies in, in snake case."""
    first = name.partition(".")[0]
    return _CAMEL.sub(lambda match: "_" + match.group(1).lower(), first)
