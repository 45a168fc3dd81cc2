"""Shapes of Groq, DeepSeek, OpenRouter, the servers of open models, and the LiteLLM proxy."""

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
_ROUTER = "https://openrouter.ai/docs/api/reference/errors-and-debugging"
#: LiteLLM's own list of vendors' words.
_WORDS = (
    _G + "BerriAI/litellm/blob/002b24d3c092203f8540ded24b892ce6ca1e0a50/"
    "litellm/litellm_core_utils/exception_mapping_utils.py"
)
_STUDIO = _G + "lmstudio-ai/lmstudio-bug-tracker/issues/"
_RIGHT = {"label": "billing"}

GROQ = (
    Shape(
        vendor="Groq",
        kind="too long",
        name="413 with a code of rates",
        source=_G + "HunorLaczko/ha-groq-cloud-api/issues/27",
        seen="2026-05-16",
        replies=[
            refusal(
                413,
                {
                    "error": {
                        "message": "Request too large for model m in organization o service tier"
                        " on_demand on tokens per minute (TPM): Limit 6000, Requested 12328, please"
                        " reduce your message size and try again.",
                        "type": "tokens",
                        "code": "rate_limit_exceeded",
                    }
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="Groq",
        kind="failed generation",
        name="JSON that it could not validate",
        source=_G + "thepersonalaicompany/amurex-backend/issues/38",
        seen="2025-02-11",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Failed to generate JSON. Please adjust your prompt.",
                        "type": "invalid_request_error",
                        "code": "json_validate_failed",
                        "failed_generation": "{",
                    }
                },
            ),
            ok('{"label":"billing"}'),
        ],
        right=_RIGHT,
        calls=2,
    ),
    Shape(
        vendor="Groq",
        kind="model",
        name="decommissioned as a 400",
        source="https://console.groq.com/docs/errors",
        seen="2026-11",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "The model `m` has been decommissioned and is no longer"
                        " supported.",
                        "type": "invalid_request_error",
                        "code": "model_decommissioned",
                    }
                },
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="Groq",
        kind="parameter",
        name="unsupported property",
        source=_G + "CherryHQ/cherry-studio/issues/1099",
        seen="2025-02-06",
        ask={"parameters": {"reasoning_effort": "low"}},
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "property 'reasoning_effort' is unsupported, did you mean"
                        " 'reasoning_format'?",
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
        vendor="Groq",
        kind="usage",
        name="usage of its own in the last chunk",
        source="https://console.groq.com/docs/api-reference",
        seen="2026-11",
        stream=True,
        replies=[
            events(
                delta("hello"),
                'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":'
                '{"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}}',
                DONE,
            )
        ],
        right="hello",
        usage=(7, 2, 0),
    ),
)
DEEPSEEK = (
    Shape(
        vendor="DeepSeek",
        kind="policy",
        name="content exists risk",
        source=_G + "666ghj/BettaFish/issues/691",
        seen="2026-06-12",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Content Exists Risk",
                        "type": "invalid_request_error",
                        "code": "invalid_request_error",
                    }
                },
            )
        ],
        right="ContentFiltered",
    ),
    Shape(
        vendor="DeepSeek",
        kind="model",
        name="unknown model as a 400",
        source=_G + "deepwn/addi/issues/13",
        seen="2026-03-30",
        replies=[
            refusal(
                400,
                {"error": {"message": "Model Not Exist", "code": "invalid_request_error"}},
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="DeepSeek",
        kind="quota",
        name="no balance",
        source="https://api-docs.deepseek.com/quick_start/error_codes",
        seen="2026-11",
        replies=[refusal(402, {"error": {"message": "Insufficient Balance"}})],
        right="ProviderDenied",
    ),
    Shape(
        vendor="DeepSeek",
        kind="response format",
        name="json_object is all that it takes",
        source="https://api-docs.deepseek.com/guides/json_mode",
        seen="2026-11",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "This response_format type is unavailable now",
                        "type": "invalid_request_error",
                    }
                },
            ),
            ok('{"label":"billing"}'),
        ],
        right=_RIGHT,
        calls=2,
        then=1,
    ),
    Shape(
        vendor="DeepSeek",
        kind="stream",
        name="comments that keep it alive",
        source="https://api-docs.deepseek.com/quick_start/rate_limit",
        seen="2026-11",
        stream=True,
        replies=[events(": keep-alive", delta("hel"), ": keep-alive", delta("lo"), END, DONE)],
        right="hello",
    ),
    Shape(
        vendor="DeepSeek",
        kind="reasoning",
        name="reasoning_content beside the text",
        source="https://api-docs.deepseek.com/guides/reasoning_model",
        seen="2026-11",
        replies=[
            Reply(
                json=message(
                    "hello",
                    reasoning_content="let me see about this",
                    usage={
                        "prompt_tokens": 10,
                        "completion_tokens": 50,
                        "total_tokens": 60,
                        "completion_tokens_details": {"reasoning_tokens": 40},
                        "prompt_cache_hit_tokens": 4,
                    },
                )
            )
        ],
        right="hello",
        usage=(10, 50, 40),
    ),
    Shape(
        vendor="DeepSeek",
        kind="failed generation",
        name="the system ran out of resources",
        source="https://api-docs.deepseek.com/api/create-chat-completion",
        seen="2026-11",
        replies=[Reply(json=message("The to", reason="insufficient_system_resource")), ok()],
        right="hello",
        calls=2,
    ),
)
OPENROUTER = (
    Shape(
        vendor="OpenRouter",
        kind="error in a 200",
        name="a rate limit of the vendor behind it",
        source=_ROUTER,
        seen="2026-11",
        replies=[Reply(json={"error": {"message": "rate limited", "code": 429}}), ok()],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="OpenRouter",
        kind="failed generation",
        name="a choice with an error",
        source=_ROUTER,
        seen="2026-11",
        replies=[
            Reply(
                json={
                    "id": "x",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": "The total is 1"},
                            "finish_reason": "error",
                            "error": {"code": 502, "message": "upstream died"},
                        }
                    ],
                }
            ),
            ok(),
        ],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="OpenRouter",
        kind="stream",
        name="comments while it waits, an error half way",
        source=_ROUTER,
        seen="2026-11",
        stream=True,
        replies=[
            events(
                ": OPENROUTER PROCESSING",
                delta("The to"),
                'data: {"error":{"code":"server_error","message":"Provider disconnected"},'
                '"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}',
            ),
            events(delta("hello"), END, DONE),
        ],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="OpenRouter",
        kind="too long",
        name="the vendor's error, quoted",
        source=_G + "cline/cline/issues/7551",
        seen="2025-11-19",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Provider returned error",
                        "code": 400,
                        "metadata": {
                            "raw": '{"type":"error","error":{"type":"invalid_request_error",'
                            '"message":"prompt is too long: 201130 tokens > 200000 maximum"}}',
                            "provider_name": "Anthropic",
                        },
                    }
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="OpenRouter",
        kind="policy",
        name="moderation as a 403",
        source=_ROUTER,
        seen="2026-11",
        replies=[
            refusal(
                403,
                {
                    "error": {
                        "code": 403,
                        "message": "m requires moderation. Your input was flagged for violence.",
                        "metadata": {"reasons": ["violence"], "flagged_input": "hi"},
                    }
                },
            )
        ],
        right="ContentFiltered",
    ),
    Shape(
        vendor="OpenRouter",
        kind="key",
        name="a wrong key inside a 200",
        source=_ROUTER,
        seen="2026-11",
        replies=[Reply(json={"error": {"message": "No auth credentials found", "code": 401}})],
        right="ProviderDenied",
    ),
    Shape(
        vendor="OpenRouter",
        kind="model",
        name="no valid model ID",
        source=_G + "OpenRouterTeam/openrouter-examples/issues/74",
        seen="2026-05-06",
        replies=[refusal(400, {"error": {"message": "m is not a valid model ID", "code": 400}})],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="OpenRouter",
        kind="quota",
        name="no credits",
        source=_G + "Alishahryar1/free-claude-code/issues/772",
        seen="2026-06-11",
        replies=[refusal(402, {"error": {"message": "Insufficient credits.", "code": 402}})],
        right="ProviderDenied",
    ),
    Shape(
        vendor="OpenRouter",
        kind="busy",
        name="402 that waiting cures",
        source="https://openrouter.ai/docs/api_reference/errors-and-debugging",
        seen="2026-11",
        replies=[
            refusal(
                402,
                {
                    "error": {
                        "message": "In-flight budget",
                        "code": 402,
                        "metadata": {"limit_source": "openrouter_in_flight_budget"},
                    }
                },
                **{"retry-after": "0"},
            ),
            ok(),
        ],
        right="hello",
        calls=2,
    ),
)
VLLM = (
    Shape(
        vendor="vLLM",
        kind="too long",
        name="an error without a wrapper",
        source=_G + "vllm-project/vllm/issues/20409",
        seen="2025-07",
        replies=[
            refusal(
                400,
                {
                    "object": "error",
                    "message": "This model's maximum context length is 16384 tokens. However, you"
                    " requested 19591 tokens.",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="vLLM",
        kind="response format",
        name="a schema that its grammar cannot hold",
        source=_G + "vllm-project/vllm/issues/16321",
        seen="2025-04-09",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                400,
                {
                    "object": "error",
                    "message": "The provided JSON schema contains features not supported by"
                    " xgrammar.",
                    "type": "BadRequestError",
                    "code": 400,
                },
            ),
            refusal(
                400,
                {
                    "object": "error",
                    "message": "The provided JSON schema contains features not supported by"
                    " xgrammar.",
                    "type": "BadRequestError",
                    "code": 400,
                },
            ),
            ok('{"label":"billing"}'),
        ],
        right=_RIGHT,
        calls=3,
        then=1,
    ),
    Shape(
        vendor="vLLM",
        kind="thoughts",
        name="only the closing tag, since the template opens it",
        source=_G + "vllm-project/vllm/issues/35705",
        seen="2026-03-02",
        replies=[ok("let me see\n</think>\n\nhello")],
        right="hello",
        usage=(10, 5, 3),
    ),
    Shape(
        vendor="vLLM",
        kind="stream",
        name="no finish reason before the end",
        source=_G + "vllm-project/vllm/issues/27572",
        seen="2025-10-27",
        stream=True,
        replies=[events(delta("hello"), DONE)],
        right="hello",
    ),
    Shape(
        vendor="vLLM",
        kind="model",
        name="no such model",
        source=_G + "Routstr/routstr-core/issues/554",
        seen="2026-06-17",
        replies=[
            refusal(
                404,
                {
                    "object": "error",
                    "message": "The model `m` does not exist.",
                    "type": "NotFoundError",
                    "code": 404,
                },
            )
        ],
        right="ModelUnavailable",
    ),
)
SGLANG = (
    Shape(
        vendor="SGLang",
        kind="too long",
        name="longer than the context",
        source=_G + "QwenLM/Qwen3/issues/1321",
        seen="2025-04-29",
        replies=[
            refusal(
                400,
                {
                    "object": "error",
                    "message": "The input (61709 tokens) is longer than the model's context length"
                    " (40960 tokens).",
                    "type": "BadRequestError",
                    "code": 400,
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="SGLang",
        kind="reasoning",
        name="reasoning in the deltas, not in the answer",
        source="https://docs.sglang.ai/advanced_features/separate_reasoning.html",
        seen="2026-11",
        stream=True,
        replies=[
            events(
                'data: {"choices":[{"index":0,"delta":{"reasoning_content":"let me"}}]}',
                'data: {"choices":[{"index":0,"delta":{"content":null,'
                '"reasoning_content":" see"}}]}',
                delta("hello"),
                END,
                DONE,
            )
        ],
        right="hello",
    ),
)
TGI = (
    Shape(
        vendor="TGI",
        kind="too long",
        name="inputs and max_new_tokens together",
        source=_G + "huggingface/chat-ui/issues/340",
        seen="2023-07-11",
        replies=[
            refusal(
                422,
                {
                    "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be"
                    " <= 1512. Given: 1000 `inputs` tokens and 1024 `max_new_tokens`",
                    "error_type": "validation",
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="TGI",
        kind="error in a 200",
        name="a validation error as the only event",
        source=_G + "huggingface/huggingface_hub/issues/2514",
        seen="2024-09-05",
        stream=True,
        replies=[
            events(
                'data:{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be'
                ' <= 4096. Given: 6 `inputs` tokens and 4091 `max_new_tokens`",'
                '"error_type":"validation"}'
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="TGI",
        kind="stream",
        name="its own word for the end",
        source="https://huggingface.co/docs/text-generation-inference/messages_api",
        seen="2026-11",
        stream=True,
        replies=[events(delta("hello", '"eos_token"'), end="\n")],
        right="hello",
        finish_reason="stop",
    ),
)
OLLAMA = (
    Shape(
        vendor="Ollama",
        kind="model",
        name="try pulling it",
        source=_G + "netease-youdao/QAnything/issues/555",
        seen="2024-10-23",
        replies=[
            refusal(
                404,
                {
                    "error": {
                        "message": 'model "m" not found, try pulling it first',
                        "type": "api_error",
                        "code": None,
                    }
                },
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="Ollama",
        kind="error in a 200",
        name="a line of bare JSON in a stream",
        source="https://docs.ollama.com/api/errors",
        seen="2026-11",
        stream=True,
        replies=[
            events(delta("The to"), '{"error":"an error was encountered while running the model"}'),
            events(delta("hello"), END, DONE),
        ],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="Ollama",
        kind="stream",
        name="an empty finish reason in each chunk",
        source=_G + "ollama/ollama/issues/4357",
        seen="2024-05-11",
        stream=True,
        replies=[events(delta("hel", '""'), delta("lo", '""'), delta("", '"stop"'), DONE)],
        right="hello",
        finish_reason="stop",
    ),
    Shape(
        vendor="Ollama",
        kind="thoughts",
        name="thoughts in tags before the JSON",
        source="https://docs.ollama.com/capabilities/thinking",
        seen="2026-11",
        ask={"output_schema": LABEL},
        replies=[ok('<think>\nMaybe {"draft": true}?\n</think>\n\n{"label":"billing"}')],
        right=_RIGHT,
    ),
    Shape(
        vendor="Ollama",
        kind="embeddings",
        name="the first without an index",
        source="https://docs.ollama.com/openai",
        seen="2026-11",
        ask={"operation": "embeddings", "inputs": ["a", "b"]},
        replies=[
            Reply(
                json={
                    "model": "e",
                    "data": [{"embedding": [0.25, 0.5]}, {"embedding": [1.25, 0.5], "index": 1}],
                }
            )
        ],
        right=[[0.25, 0.5], [1.25, 0.5]],
    ),
)
LLAMA_CPP = (
    Shape(
        vendor="llama.cpp",
        kind="too long",
        name="a 500",
        source=_G + "ggml-org/llama.cpp/issues/19774",
        seen="2026-02-21",
        replies=[
            refusal(
                500,
                {
                    "error": {
                        "code": 500,
                        "message": "Context size has been exceeded.",
                        "type": "server_error",
                    }
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="llama.cpp",
        kind="error in a 200",
        name="an error field in a stream",
        source=_G + "oobabooga/textgen/issues/7257",
        seen="2025-10-07",
        stream=True,
        replies=[
            events(
                'error: {"code":400,"message":"the request exceeds the available context size.'
                ' try increasing the context size","type":"exceed_context_size_error"}'
            )
        ],
        right="ContextLengthExceeded",
    ),
)
LM_STUDIO = (
    Shape(
        vendor="LM Studio",
        kind="too long",
        name="an error as text",
        source=_G + "Gitlawb/openclaude/issues/353",
        seen="2026-04-04",
        replies=[
            refusal(
                400,
                {
                    "error": "The number of tokens to keep from the initial prompt is greater than"
                    " the context length (n_keep: 13055>= n_ctx: 4096)."
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="LM Studio",
        kind="error in a 200",
        name="too long, with status 200",
        source=_STUDIO + "2322",
        seen="2026-08-25",
        replies=[
            Reply(
                json={
                    "error": "Trying to keep the first 111490 tokens when context the overflows."
                    " However, the model is loaded with context length of only 32768 tokens"
                }
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="LM Studio",
        kind="response format",
        name="json_object is not known",
        source=_STUDIO + "189",
        seen="2024-11-04",
        ask={"parameters": {"response_format": {"type": "json_object"}}},
        replies=[
            refusal(400, {"error": "'response_format.type' must be 'json_schema'"}),
            ok("{}"),
        ],
        right="{}",
        calls=2,
        then=1,
    ),
)
LITELLM = (
    Shape(
        vendor="LiteLLM",
        kind="too long",
        name="the class of the error in its text",
        source=_WORDS,
        seen="2026-11-27",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "litellm.ContextWindowExceededError: litellm.BadRequestError:"
                        " BedrockException - Input is too long for requested model.",
                        "type": None,
                        "param": None,
                        "code": "400",
                    }
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="LiteLLM",
        kind="policy",
        name="Azure's reason beside it",
        source=_G + "BerriAI/litellm/pull/16231",
        seen="2025-11-04",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "litellm.BadRequestError: AzureException - refused",
                        "type": None,
                        "code": "400",
                        "provider_specific_fields": {
                            "innererror": {"code": "ResponsibleAIPolicyViolation"}
                        },
                    }
                },
            )
        ],
        right="ContentFiltered",
    ),
    Shape(
        vendor="LiteLLM",
        kind="quota",
        name="a budget as a 400",
        source=_G + "BerriAI/litellm/issues/14144",
        seen="2025-09-01",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Budget has been exceeded! Current cost: 14.1, Max budget: 10",
                        "type": "budget_exceeded",
                        "code": "400",
                    }
                },
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="LiteLLM",
        kind="key",
        name="a wrong key of the proxy",
        source=_G + "BerriAI/litellm/issues/20673",
        seen="2026-02-07",
        replies=[
            refusal(
                400,
                {
                    "error": {
                        "message": "Authentication Error, Invalid proxy server token passed",
                        "type": "auth_error",
                        "code": "400",
                    }
                },
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="LiteLLM",
        kind="stream",
        name="a whole answer in place of a stream",
        source=_G + "BerriAI/litellm/pull/40864",
        seen="2026-09",
        stream=True,
        replies=[ok()],
        right="hello",
    ),
)
SHAPES = (
    *GROQ,
    *DEEPSEEK,
    *OPENROUTER,
    *VLLM,
    *SGLANG,
    *TGI,
    *OLLAMA,
    *LLAMA_CPP,
    *LM_STUDIO,
    *LITELLM,
)
