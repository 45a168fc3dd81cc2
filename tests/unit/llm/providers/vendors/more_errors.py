"""Errors of vendors whose words or codes are their own, by what they mean."""

from functools import partial
from typing import Any

from tests.unit.llm.providers.vendors.shape import Kind, Shape, delta, events, ok, refusal

_G = "https://github.com/"
_ZHIPU = "https://docs.bigmodel.cn/cn/api/api-code"
_OPENROUTER = "https://openrouter.ai/docs/client-sdks/python/components/apierrortype"


def _error(text: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": text, **fields}}


def _shape(
    right: str,
    kind: Kind,
    vendor: str,
    name: str,
    source: str,
    seen: str,
    status: int,
    body: Any,
    *,
    provider: str = "openai",
) -> Shape:
    return Shape(
        vendor=vendor,
        kind=kind,
        name=name,
        source=source,
        seen=seen,
        replies=[refusal(status, body)],
        right=right,
        provider=provider,
    )


_long = partial(_shape, "ContextLengthExceeded", "too long")
_policy = partial(_shape, "ContentFiltered", "policy")
_quota = partial(_shape, "ProviderDenied", "quota")
_model = partial(_shape, "ModelUnavailable", "model")
_key = partial(_shape, "ProviderDenied", "key")
_down = partial(_shape, "ProviderUnavailable", "server down")

TOO_LONG = (
    _long(
        "OpenAI",
        "one message alone",
        _G + "gptscript-ai/clio/issues/41",
        "2024-08-08",
        400,
        _error(
            "Invalid 'messages[17].content': string too long. Expected a string with maximum"
            " length 1048576, but got a string with length 1744259 instead.",
            type="invalid_request_error",
            param="messages[17].content",
            code="string_above_max_length",
        ),
    ),
    _long(
        "OpenRouter",
        "a type of its own",
        _OPENROUTER,
        "2026-11",
        400,
        _error("Provider returned error", code=400, metadata={"error_type": "string_too_long"}),
    ),
    _long(
        "Moonshot",
        "the model's token limit",
        _G + "MoonshotAI/kimi-cli/issues/2011",
        "2026-04-23",
        400,
        _error(
            "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
            type="invalid_request_error",
        ),
    ),
    _long(
        "DashScope",
        "range of input length",
        _G + "agentscope-ai/QwenPaw/issues/6255",
        "2026-07-19",
        400,
        _error(
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be"
            " [1, 983616]",
            code="invalid_parameter_error",
            param=None,
            type="invalid_request_error",
        ),
    ),
    _long(
        "DashScope",
        "what its parser of JSON takes",
        _G + "QwenLM/qwen-code/issues/1082",
        "2025-11-20",
        400,
        _error(
            "String value length (20054016) exceeds the maximum allowed (20000000, from"
            " `StreamReadConstraints.getMaxStringLength()`)"
        ),
    ),
    _long(
        "Zhipu", "a code of four digits", _ZHIPU, "2026-11", 400, _error("Prompt 超长", code="1261")
    ),
    _long(
        "Qianfan",
        "tokens_too_long",
        "https://cloud.baidu.com/doc/qianfan-api/s/Om9b4yj3w",
        "2025-12-23",
        400,
        _error("Prompt tokens too long", code="tokens_too_long", type="invalid_request_error"),
    ),
    _long(
        "Volcengine",
        "input length",
        _G + "langgenius/dify/issues/32221",
        "2026-02-11",
        400,
        _error("Input length 203743 exceeds the maximum length 202752", code="InvalidParameter"),
    ),
    _long(
        "Cohere",
        "too many tokens",
        "https://docs.cohere.com/errors-reference",
        "2026-11",
        400,
        {
            "message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 -"
            " received 4292. Try using a shorter prompt, or enabling prompt truncating."
        },
    ),
    _long(
        "Together",
        "a 403 that is no policy",
        "https://docs.together.ai/docs/error-codes",
        "2026-11",
        403,
        _error(
            "Input token count + max_tokens parameter must be less than the context length of the"
            " model being queried."
        ),
    ),
    _long(
        "vLLM",
        "what is left for the answer is negative",
        _G + "vllm-project/vllm/blob/00388f6573ccfcffad607b8c9ecdf341a4669ceb/"
        "vllm/sampling_params.py",
        "2026-11-27",
        400,
        _error(
            "max_tokens must be at least 1, got -46771. (parameter=max_tokens, value=-46771)",
            type="BadRequestError",
            param="max_tokens",
            code=400,
        ),
    ),
    _long(
        "SGLang",
        "the maximum allowed length",
        _G + "sgl-project/sglang/issues/4048",
        "2025-03-04",
        400,
        {
            "object": "error",
            "message": "Input length (160062 tokens) exceeds the maximum allowed length (59862"
            " tokens). Use a shorter input or enable --allow-auto-truncate.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    _long(
        "llama.cpp",
        "a 500 for an input larger than a batch",
        _G + "lemonade-sdk/lemonade/issues/3591",
        "2026-09-15",
        500,
        _error(
            "input (992 tokens) is too large to process. increase the physical batch size (current"
            " batch size: 512)",
            code=500,
            type="server_error",
        ),
    ),
    _long(
        "Ollama",
        "an input to embed",
        _G + "nano-step/nano-brain/issues/208",
        "2026-05-30",
        400,
        {"error": "the input length exceeds the context length"},
    ),
)

POLICY = (
    _policy(
        "DashScope",
        "data inspection",
        _G + "CommandCodeAI/command-code/issues/813",
        "2026-09-07",
        400,
        _error(
            "<400> InternalError.Algo.DataInspectionFailed: Input text data may contain"
            " inappropriate content.",
            type="data_inspection_failed",
            param=None,
            code="data_inspection_failed",
        ),
    ),
    _policy(
        "Zhipu",
        "unsafe content",
        _ZHIPU,
        "2026-11",
        400,
        _error("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"),
    ),
    _policy(
        "LiteLLM",
        "a guardrail, whose message is an object",
        _G + "BerriAI/litellm/issues/8239",
        "2025-02-04",
        400,
        {
            "error": {
                "message": {
                    "error": "Violated guardrail policy",
                    "bedrock_guardrail_response": {"action": "GUARDRAIL_INTERVENED"},
                },
                "type": "None",
                "param": "None",
                "code": "400",
            }
        },
    ),
)

OPERATORS = (
    _quota(
        "Anthropic",
        "a rate limit that ends with the month",
        "https://www.developersdigest.tech/errors/api/anthropic-api/429-enforced-spend-limit-reached",
        "2026-11",
        429,
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "You have reached your API usage limits: your organization has crossed"
                " its monthly API usage threshold, set based on your organization's API tier.",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
        },
        provider="anthropic",
    ),
    _quota(
        "OpenAI",
        "the hard limit as a 400",
        _G + "Decryptu/DecryptGPT/issues/1",
        "2024-01-02",
        400,
        _error("Billing hard limit has been reached", type="invalid_request_error"),
    ),
    _quota(
        "Zhipu",
        "no balance as a 429",
        _G + "zhayujie/CowAgent/issues/2910",
        "2026-06-19",
        429,
        _error("余额不足或无可用资源包,请充值。", code="1113"),
    ),
    _quota(
        "Zhipu",
        "a plan's week is used up",
        _ZHIPU,
        "2026-11",
        429,
        _error("您已达到每周/每月使用上限", code="1310"),
    ),
    _quota(
        "Moonshot",
        "no balance as a 429",
        "https://forum.moonshot.ai/t/429-insufficient-balance/244",
        "2026-11",
        429,
        _error(
            "You exceeded your current quota, please check your plan and billing details",
            type="exceeded_current_quota_error",
        ),
    ),
    _quota(
        "DashScope",
        "arrears as a 400",
        _G + "alibaba/spring-ai-alibaba/issues/1146",
        "2025-06-10",
        400,
        _error(
            "Access denied, please make sure your account is in good standing.",
            code="Arrearage",
            param=None,
            type="Arrearage",
        ),
    ),
    _quota(
        "SiliconFlow",
        "a balance as a 403",
        _G + "FoundationAgents/OpenManus/issues/438",
        "2025-03-11",
        403,
        {
            "code": 30011,
            "message": "The selected model requires paid balance. Your paid balance is"
            " insufficient. Please top up and try again.",
            "data": None,
        },
    ),
    _key(
        "OpenAI",
        "an organization that may not stream",
        _G + "continuedev/continue/issues/8209",
        "2025-10-12",
        400,
        _error(
            "Your organization must be verified to stream this model. Please go to:"
            " https://platform.openai.com/settings/organization/general and click on Verify"
            " Organization.",
            type="invalid_request_error",
            param="stream",
            code="unsupported_value",
        ),
    ),
    _key(
        "Gemini",
        "no free tier in a country",
        "https://ai.google.dev/gemini-api/docs/troubleshooting",
        "2026-11",
        400,
        [
            _error(
                "Gemini API free tier is not available in your country. Please enable billing on"
                " your project in Google AI Studio.",
                code=400,
                status="FAILED_PRECONDITION",
            )
        ],
    ),
    _key(
        "Zhipu",
        "a locked account",
        _ZHIPU,
        "2026-11",
        429,
        _error("您的账户已被锁定,请联系客服解锁", code="1112"),
    ),
    _model(
        "LM Studio",
        "none is loaded",
        _G + "tinyhumansai/openhuman/issues/4181",
        "2026-06-26",
        400,
        _error(
            "No models loaded. Please load a model in the developer page or use the `lms load`"
            " command.",
            type="invalid_request_error",
            param="model",
        ),
    ),
    _model(
        "NVIDIA",
        "a function of another account",
        _G + "Alishahryar1/free-claude-code/issues/1021",
        "2026-07-08",
        404,
        {
            "status": 404,
            "title": "Not Found",
            "detail": "Function '23d4f03a-b8a6-4adb-a183-7daa083a09cc': Not found for account 'Q'",
        },
    ),
    _model(
        "NVIDIA",
        "gone at its end of life",
        _G + "capocasa/3code/issues/2",
        "2026-06-03",
        410,
        {
            "type": "about:blank",
            "title": "Gone",
            "status": 410,
            "detail": "The model 'z-ai/glm4.7' has reached its end of life on"
            " 2026-05-14T00:00:00Z and is no longer available.",
        },
    ),
    _model(
        "Hugging Face",
        "no provider that serves it",
        _G + "cline/cline/issues/5098",
        "2025-07-22",
        400,
        _error(
            "The requested model 'moonshotai/Kimi-K2-Instruct' is not supported by any provider"
            " you have enabled.",
            type="invalid_request_error",
            code="model_not_supported",
            param="model",
        ),
    ),
    _model(
        "Bedrock",
        "an inference profile is wanted",
        _G + "Laisky/one-api/issues/77",
        "2025-05-29",
        400,
        _error(
            "InvokeModelWithResponseStream: operation error Bedrock Runtime, https response error"
            " StatusCode: 400, ValidationException: Invocation of model ID"
            " anthropic.claude-sonnet-4-20250514-v1:0 with on-demand throughput isn\u2019t"
            " supported. Retry your request with the ID or ARN of an inference profile that"
            " contains this model.",
            type="",
            param="",
            code=None,
        ),
    ),
    _model(
        "GitHub",
        "a code of its own",
        _G + "github/gh-models/issues/65",
        "2025-06-15",
        400,
        _error(
            "Unknown model: deepseek/deepseek-v3",
            code="unknown_model",
            details="Unknown model: deepseek/deepseek-v3",
        ),
    ),
    _model(
        "GitHub",
        "a brownout before it is retired",
        _G + "microsoft/langchain-for-beginners/issues/34",
        "2026-08-18",
        410,
        _error(
            "GitHub Models is temporarily unavailable as part of a scheduled retirement brownout.",
            code="github_models_retirement_brownout",
        ),
    ),
    _model(
        "Zhipu",
        "no such model as a 400",
        _ZHIPU,
        "2026-11",
        400,
        _error("模型不存在,请检查模型代码", code="1211"),
    ),
)

DOWN = (
    _down(
        "LM Studio",
        "a model that did not load, as a 400",
        _G + "charmbracelet/crush/issues/2546",
        "2026-04-01",
        400,
        {"error": 'Failed to load model "qwen/qwen3-coder-30b". Error: Operation canceled.'},
    ),
    _down(
        "LM Studio",
        "a model that crashed, as a 400",
        _G + "lmstudio-ai/lmstudio-bug-tracker/issues/1347",
        "2026-01-01",
        400,
        {"error": "The model has crashed without additional information. (Exit code: 1844674)"},
    ),
    _down(
        "NVIDIA",
        "a degraded function, as a 400",
        _G + "decolua/9router/issues/2527",
        "2026-07-10",
        400,
        {
            "status": 400,
            "title": "Bad Request",
            "detail": "Function id '87ea0ddc-cff1-4bca-bf8b-3bd98a35ddd0': DEGRADED function cannot"
            " be invoked",
        },
    ),
)

_THINKING = Shape(
    vendor="DashScope",
    kind="parameter",
    name="enable_thinking has to be false",
    source=_G + "datawhalechina/hello-agents/issues/230",
    seen="2025-12-23",
    replies=[
        refusal(
            400,
            _error(
                "parameter.enable_thinking must be set to false for non-streaming calls",
                code="invalid_parameter_error",
                param=None,
                type="invalid_request_error",
            ),
        ),
        ok(),
    ],
    right="hello",
    calls=2,
    then=1,
)
REPAIRED = (
    _THINKING,
    Shape(
        vendor="ModelScope",
        kind="parameter",
        name="thinking in streams alone",
        source=_G + "musistudio/claude-code-router/issues/948",
        seen="2025-10-23",
        replies=[
            refusal(
                400,
                _error(
                    "enable thinking can not be support when `stream=False`.",
                    code="invalid_parameter_error",
                    type="invalid_request_error",
                ),
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="LiteLLM",
        kind="parameter",
        name="a temperature that a model does not take",
        source=_G + "BerriAI/litellm/pull/33738",
        seen="2026-07",
        ask={"parameters": {"temperature": 0.1}},
        replies=[
            refusal(
                400,
                _error(
                    "litellm.UnsupportedParamsError: gpt-5-nano doesn't support temperature=0.1"
                    " while reasoning is active. Only temperature=1 is supported unless"
                    " reasoning_effort resolves to 'none'.",
                    type="invalid_request_error",
                    param=None,
                    code="400",
                ),
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
)
_OPENED_BY_TEMPLATE = events(
    delta("let me see\\n"), delta("</think>\\n\\n"), delta("hello", '"stop"'), "data: [DONE]"
)
THOUGHTS = (
    Shape(
        vendor="Cloudflare",
        kind="thoughts",
        name="only the closing tag, in a stream",
        source=_G + "lobehub/lobehub/pull/7450",
        seen="2025-04-17",
        stream=True,
        replies=[_OPENED_BY_TEMPLATE],
        right="hello",
        then=1,
    ),
)

SHAPES = (*TOO_LONG, *POLICY, *OPERATORS, *DOWN, *REPAIRED, *THOUGHTS)
