"""Shapes of OpenAI, Azure, Anthropic, Gemini's and xAI's compatible addresses, and Mistral."""

from tests.unit.llm.providers.vendors.shape import (
    DONE,
    END,
    LABEL,
    Reply,
    Shape,
    delta,
    events,
    message,
    ok,
    refusal,
)

_G = "https://github.com/"
#: LiteLLM's own list of vendors' words.
_WORDS = (
    _G + "BerriAI/litellm/blob/002b24d3c092203f8540ded24b892ce6ca1e0a50/"
    "litellm/litellm_core_utils/exception_mapping_utils.py"
)
_FILTERED = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content"
    " management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation"},
}


def _google(code: int, text: str, status: str, *details: object) -> list[object]:
    return [{"error": {"code": code, "message": text, "status": status, "details": list(details)}}]


OPENAI = (
    Shape(
        vendor="OpenAI",
        kind="too long",
        name="429 that no waiting cures",
        source=_G + "Aider-AI/aider/issues/1880",
        seen="2024-10-02",
        replies=[
            refusal(
                429,
                {
                    "error": {
                        "message": "Request too large for gpt-4o in organization org-x on tokens"
                        " per min (TPM): Limit 30000, Requested 36278. The input or output tokens"
                        " must be reduced in order to run successfully.",
                        "type": "tokens",
                        "code": "rate_limit_exceeded",
                    }
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="OpenAI",
        kind="policy",
        name="flagged prompt",
        source=_G + "openai/codex/issues/38849",
        seen="2026-08-16",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Invalid prompt: your prompt was flagged as potentially"
                        " violating our usage policy. Please try again with a different prompt",
                        "type": "invalid_request_error",
                        "code": "invalid_prompt",
                    }
                },
            )
        ],
        right="ContentFiltered",
    ),
    Shape(
        vendor="OpenAI",
        kind="model",
        name="retired model",
        source=_G + "madox2/vim-ai/issues/124",
        seen="2024-10-03",
        replies=[
            refusal(
                404,
                {
                    "error": {
                        "message": "The model `m` does not exist or you do not have access to it.",
                        "type": "invalid_request_error",
                        "code": "model_not_found",
                    }
                },
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="OpenAI",
        kind="quota",
        name="429 without money",
        source=_G + "dev-hato/hato-bot/pull/4552",
        seen="2024-12-08",
        replies=[
            refusal(
                429,
                {
                    "error": {
                        "message": "You exceeded your current quota",
                        "code": "insufficient_quota",
                    }
                },
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="OpenAI",
        kind="parameter",
        name="max_completion_tokens is wanted",
        source=_G + "BerriAI/litellm/issues/8855",
        seen="2025-02-27",
        ask={"parameters": {"max_tokens": 60}},
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Unsupported parameter: 'max_tokens' is not supported with this"
                        " model. Use 'max_completion_tokens' instead.",
                        "param": "max_tokens",
                        "code": "unsupported_parameter",
                    }
                },
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="OpenAI",
        kind="parameter",
        name="only the default temperature",
        source=_G + "buldezir/lemmary/issues/25",
        seen="2026-08-15",
        ask={"parameters": {"temperature": 0.1}},
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Unsupported value: 'temperature' does not support 0.1 with this"
                        " model. Only the default (1) value is supported.",
                        "type": "invalid_request_error",
                        "param": "temperature",
                        "code": "unsupported_value",
                    }
                },
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="OpenAI",
        kind="response format",
        name="a schema that strict mode refuses",
        source="https://platform.openai.com/docs/guides/structured-outputs",
        seen="2026-11",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Invalid schema for response_format 'answer': In context=(),"
                        " 'additionalProperties' is required to be supplied and to be false.",
                        "param": "response_format",
                        "code": None,
                    }
                },
            ),
            ok('{"label":"billing"}'),
        ],
        right={"label": "billing"},
        calls=2,
        then=1,
    ),
    Shape(
        vendor="OpenAI",
        kind="empty",
        name="tokens went into hidden reasoning",
        source="https://platform.openai.com/docs/guides/reasoning",
        seen="2026-11",
        replies=[
            Reply(
                json=message(
                    "",
                    reason="length",
                    usage={
                        "prompt_tokens": 10,
                        "completion_tokens": 64,
                        "total_tokens": 74,
                        "completion_tokens_details": {"reasoning_tokens": 64},
                    },
                )
            )
        ],
        right="",
        finish_reason="length",
        usage=(10, 64, 64),
    ),
)
AZURE = (
    Shape(
        vendor="Azure",
        kind="policy",
        name="content management policy",
        source=_G + "compl-ai/compl-ai/issues/20",
        seen="2025-02-27",
        provider="azure-openai",
        replies=[refusal(400, {"error": _FILTERED})],
        right="ContentFiltered",
    ),
    Shape(
        vendor="Azure",
        kind="model",
        name="no such deployment",
        source=_G + "chatboxai/chatbox/issues/861",
        seen="2023-07-26",
        provider="azure-openai",
        replies=[
            refusal(
                404,
                {
                    "error": {
                        "code": "DeploymentNotFound",
                        "message": "The API deployment for this resource does not exist.",
                    }
                },
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="Azure",
        kind="parameter",
        name="unrecognized argument",
        source=_G + "pydantic/pydantic-ai/issues/169",
        seen="2024-12-07",
        provider="azure-openai",
        ask={
            "parameters": {
                "tools": [{"type": "function", "function": {"name": "weather"}}],
                "parallel_tool_calls": True,
            }
        },
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Unrecognized request argument supplied: parallel_tool_calls",
                        "type": "invalid_request_error",
                    }
                },
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="Azure",
        kind="stream",
        name="a first chunk with filter results alone",
        source="https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming",
        seen="2026-11",
        provider="azure-openai",
        stream=True,
        replies=[
            events(
                'data: {"choices":[],"created":0,"id":"","model":"","object":"",'
                '"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}',
                delta("hello"),
                'data: {"choices":[{"index":0,"content_filter_offsets":{"check_offset":1}}]}',
                END,
                DONE,
            )
        ],
        right="hello",
    ),
)
ANTHROPIC = (
    Shape(
        vendor="Anthropic",
        kind="too long",
        name="input and max_tokens together",
        source=_G + "continuedev/continue/issues/6080",
        seen="2025-06-11",
        provider="anthropic",
        replies=[
            refusal(
                400,
                {
                    "type": "error",
                    "error": {
                        "type": "invalid_request_error",
                        "message": "input length and `max_tokens` exceed context limit:"
                        " 199759 + 8192 > 200000, decrease input length",
                    },
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="Anthropic",
        kind="policy",
        name="output blocked",
        source=_G + "anthropics/claude-code/issues/58367",
        seen="2026-05-12",
        provider="anthropic",
        replies=[
            refusal(
                400,
                {
                    "type": "error",
                    "error": {
                        "type": "invalid_request_error",
                        "message": "Output blocked by content filtering policy",
                    },
                },
            )
        ],
        right="ContentFiltered",
    ),
    Shape(
        vendor="Anthropic",
        kind="quota",
        name="credit balance as a 400",
        source=_G + "anthropics/claude-code/issues/91322",
        seen="2026-09-01",
        provider="anthropic",
        replies=[
            refusal(
                400,
                {
                    "type": "error",
                    "error": {
                        "type": "invalid_request_error",
                        "message": "Your credit balance is too low to access the Anthropic API.",
                    },
                },
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="Anthropic",
        kind="model",
        name="retired model",
        source="https://docs.claude.com/en/api/errors",
        seen="2026-11",
        provider="anthropic",
        replies=[
            refusal(
                404,
                {"type": "error", "error": {"type": "not_found_error", "message": "model: m"}},
            )
        ],
        right="ModelUnavailable",
    ),
)
GEMINI = (
    Shape(
        vendor="Gemini",
        kind="too long",
        name="error in a list",
        source=_WORDS,
        seen="2026-11-27",
        replies=[
            refusal(
                400,
                _google(
                    400,
                    "The input token count (2845475) exceeds the maximum number of tokens allowed"
                    " (1048576).",
                    "INVALID_ARGUMENT",
                ),
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="Gemini",
        kind="key",
        name="an expired key as a 400",
        source=_G + "SamuelSchmidgall/AgentLaboratory/issues/33",
        seen="2025-01-29",
        replies=[
            refusal(
                400,
                _google(
                    400,
                    "API key expired. Please renew the API key.",
                    "INVALID_ARGUMENT",
                    {"reason": "API_KEY_INVALID"},
                ),
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="Gemini",
        kind="model",
        name="no longer available",
        source=_G + "sohzm/cheating-daddy/issues/459",
        seen="2026-07-23",
        replies=[
            refusal(
                404,
                {
                    "error": {
                        "message": '{\n "error": {\n "code": 404,\n "message": "This model'
                        ' models/m is no longer available to new users.",\n "status":'
                        ' "NOT_FOUND"\n }\n}\n',
                        "code": 404,
                        "status": "Not Found",
                    }
                },
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="Gemini",
        kind="policy",
        name="its own finish reason",
        source=_G + "HKUDS/Vibe-Trading/pull/308",
        seen="2026-06-25",
        replies=[Reply(json=message(None, reason="PROHIBITED_CONTENT"))],
        right="ContentFiltered",
    ),
    Shape(
        vendor="Gemini",
        kind="parameter",
        name="several unknown names",
        source=_G + "Vali-98/ChatterUI/issues/227",
        seen="2025-02-14",
        ask={"parameters": {"frequency_penalty": 0.5, "seed": 1}},
        replies=[
            refusal(
                400,
                _google(
                    400,
                    'Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find'
                    ' field.\nInvalid JSON payload received. Unknown name "seed": Cannot find'
                    " field.",
                    "INVALID_ARGUMENT",
                ),
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="Gemini",
        kind="thoughts",
        name="thoughts in tags of its own",
        source="https://ai.google.dev/gemini-api/docs/openai",
        seen="2026-11",
        replies=[ok("<thought>\nlet me see\n</thought>\nhello")],
        right="hello",
        usage=(10, 5, 4),
    ),
)
XAI = (
    Shape(
        vendor="xAI",
        kind="too long",
        name="maximum prompt length",
        source=_G + "cline/cline/issues/3120",
        seen="2025-04-25",
        replies=[
            refusal(
                400,
                {
                    "code": "Client specified an invalid argument",
                    "error": "This model's maximum prompt length is 131072 but the request contains"
                    " 136973 tokens.",
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="xAI",
        kind="policy",
        name="403 of one record",
        source=_G + "UKGovernmentBEIS/inspect_ai/pull/2267",
        seen="2025-08-12",
        replies=[
            refusal(
                403,
                {
                    "code": "The caller does not have permission to execute the operation",
                    "error": "Content violates usage guidelines. Team: t, Model: m, Failed check:"
                    " SAFETY_CHECK_TYPE_BIO",
                },
            )
        ],
        right="ContentFiltered",
    ),
    Shape(
        vendor="xAI",
        kind="key",
        name="a wrong key as a 400",
        source=_G + "continuedev/continue/issues/11412",
        seen="2026-03-14",
        replies=[
            refusal(400, {"code": "invalid", "error": "Incorrect API key provided: sk***YA."})
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="xAI",
        kind="quota",
        name="no credits as a 403",
        source=_G + "continuedev/continue/issues/12670",
        seen="2026-06-16",
        replies=[
            refusal(
                403,
                {"error": "Your newly created team doesn't have any credits or licenses yet."},
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="xAI",
        kind="parameter",
        name="the name in another case",
        source=_G + "yym68686/uni-api/issues/105",
        seen="2025-04-24",
        ask={"parameters": {"presence_penalty": 0.1}},
        replies=[
            refusal(
                400,
                {
                    "code": "Client specified an invalid argument",
                    "error": "Argument not supported on this model: presencePenalty",
                },
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="xAI",
        kind="usage",
        name="reasoning outside of completion_tokens",
        source="https://docs.x.ai/docs/guides/reasoning",
        seen="2026-11",
        replies=[
            Reply(
                json=message(
                    "hello",
                    usage={
                        "prompt_tokens": 279,
                        "completion_tokens": 6,
                        "total_tokens": 374,
                        "completion_tokens_details": {"reasoning_tokens": 89},
                    },
                )
            )
        ],
        right="hello",
        usage=(279, 95, 89),
    ),
)
MISTRAL = (
    Shape(
        vendor="Mistral",
        kind="parts",
        name="thinking among the parts",
        source="https://docs.mistral.ai/capabilities/reasoning",
        seen="2026-11",
        replies=[
            Reply(
                json=message(
                    [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "let me see"}]},
                        {"type": "text", "text": "the answer"},
                    ]
                )
            )
        ],
        right="the answer",
        usage=(10, 5, 2),
    ),
    Shape(
        vendor="Mistral",
        kind="parameter",
        name="stream_options as an extra input",
        source=_G + "dnakov/anon-kode/issues/53",
        seen="2025-03-14",
        stream=True,
        replies=[
            refusal(
                422,
                {
                    "object": "error",
                    "message": {
                        "detail": [
                            {
                                "type": "extra_forbidden",
                                "loc": ["body", "stream_options", "include_usage"],
                                "msg": "Extra inputs are not permitted",
                                "input": True,
                            }
                        ]
                    },
                    "type": "invalid_request_error",
                },
            ),
            events(delta("hello"), END, DONE),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="Mistral",
        kind="busy",
        name="service tier",
        source=_G + "continuedev/continue/issues/6185",
        seen="2025-06-18",
        replies=[
            refusal(
                429,
                {
                    "object": "error",
                    "message": "Service tier capacity exceeded for this model.",
                    "type": "invalid_request_error",
                },
            ),
            ok(),
        ],
        right="hello",
        calls=2,
    ),
)
SHAPES = (*OPENAI, *AZURE, *ANTHROPIC, *GEMINI, *XAI, *MISTRAL)
