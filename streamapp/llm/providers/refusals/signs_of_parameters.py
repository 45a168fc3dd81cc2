"""The signs of parameters that a vendor's error says it does not take.

Each entry has its source and date; a vendor's new words are one more line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
        r"(NAME): extra (?:inputs are|fields) not permitted",
        "Mistral",
        _GITHUB + "dnakov/anon-kode/issues/53",
        "2025-03-14",
    ),
    _sign(
        r"extra inputs are not permitted, field: '(NAME)'",
        "Fireworks",
        _GITHUB + "BerriAI/litellm/issues/7533",
        "2025-01-23",
    ),
    _sign(
        r"(?:extra_forbidden|value_error\.extra)', 'loc': \('body', '((?!response_format', )NAME)'",
        "vLLM",
        _GITHUB + "modelscope/ms-agent/issues/489",
        "2024-06-13",
    ),
    _sign(
        r"(?m)^(?:body -> )?(NAME)\n +extra (?:inputs are|fields) not permitted",
        "vLLM",
        _GITHUB + "vllm-project/vllm/issues/12864",
        "2025-02-07",
    ),
    _sign(
        r"extraneous key \[(NAME)\] is not permitted",
        "Bedrock",
        _GITHUB + "BerriAI/litellm/issues/9106",
        "2025-03",
    ),
    _sign(
        r"unknown field [`'\"\\]{0,2}(NAME)",
        "any server in Go or Rust",
        "https://pkg.go.dev/encoding/json#Decoder.DisallowUnknownFields",
        "2026-11",
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
