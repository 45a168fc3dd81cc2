"""Errors by a status or words of their own that no record is at fault for, or that pass."""

from typing import Any

from tests.unit.llm.providers.vendors.shape import LABEL, Reply, Shape, ok, refusal

_G = "https://github.com/"
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
_PAGE = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Sign in</body></html>"


def _error(text: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": text, **fields}}


SHAPES = (
    Shape(
        vendor="Azure",
        kind="address",
        name="a resource that is not found",
        source=_G + "BerriAI/litellm/issues/8572",
        seen="2025-02-16",
        provider="azure-openai",
        replies=[refusal(404, _error("Resource not found", code="404"))],
        right="ProviderDenied",
    ),
    Shape(
        vendor="LM Studio",
        kind="address",
        name="a path that it does not know, with status 200",
        source=_G + "lmstudio-ai/lmstudio-bug-tracker/issues/618",
        seen="2025-04-25",
        replies=[Reply(json={"error": "Unexpected endpoint or method. (POST /chat/completions)"})],
        right="ProviderDenied",
    ),
    Shape(
        vendor="Groq",
        kind="address",
        name="an unknown URL",
        source=_G + "tech-shrimp/deno-api-proxy/issues/3",
        seen="2025-01-30",
        replies=[
            refusal(
                404,
                _error(
                    "Unknown request URL: POST /chat/completions. Please check the URL for typos",
                    type="invalid_request_error",
                    code="unknown_url",
                ),
            )
        ],
        right="ProviderDenied",
    ),
    Shape(
        vendor="any web server",
        kind="address",
        name="a 404 with a page of its own",
        source=_G + "tsundereraws/aisub-translator/issues/2",
        seen="2025-03-19",
        replies=[
            Reply(
                status=404,
                body=b"<html>\n<head><title>404 Not Found</title></head></html>",
                headers={"content-type": "text/html"},
            )
        ],
        right="ProviderForbidden",
    ),
    Shape(
        vendor="any web server",
        kind="address",
        name="a method that is not allowed",
        source="https://fastapi.tiangolo.com/tutorial/handling-errors/",
        seen="2026-11",
        replies=[refusal(405, {"detail": "Method Not Allowed"})],
        right="ProviderForbidden",
    ),
    Shape(
        vendor="any web server",
        kind="address",
        name="a web page with status 200",
        source=_G + "openclaw/openclaw/issues/84697",
        seen="2026-05-20",
        replies=[Reply(body=_PAGE, headers={"content-type": "text/html; charset=utf-8"})],
        right="ProviderForbidden",
    ),
    Shape(
        vendor="any web server",
        kind="address",
        name="a web page in place of a stream",
        source=_G + "openclaw/openclaw/issues/84697",
        seen="2026-05-20",
        stream=True,
        replies=[Reply(body=_PAGE, headers={"content-type": "text/html; charset=utf-8"})],
        right="ProviderForbidden",
    ),
    Shape(
        vendor="OpenAI",
        kind="model",
        name="not a chat model",
        source=_G + "langbot-app/LangBot/issues/400",
        seen="2023-04-16",
        replies=[
            refusal(
                404,
                _error(
                    "This is not a chat model and thus not supported in the v1/chat/completions"
                    " endpoint. Did you mean to use v1/completions?",
                    type="invalid_request_error",
                    param="model",
                ),
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="OpenRouter",
        kind="model",
        name="none that the account's data policy allows",
        source=_G + "dnakov/anon-kode/issues/13",
        seen="2025-03-05",
        replies=[
            refusal(
                404,
                _error(
                    "No endpoints found matching your data policy. Check your settings:"
                    " https://openrouter.ai/settings/privacy",
                    code=404,
                ),
            )
        ],
        right="ModelUnavailable",
    ),
    Shape(
        vendor="OpenRouter",
        kind="parameter",
        name="no endpoint that takes this record's tools",
        source=_G + "Kilo-Org/kilocode/issues/9006",
        seen="2026-04-15",
        replies=[refusal(404, _error("No endpoints found that support tool use.", code=404))],
        right="ProviderRejected",
    ),
    Shape(
        vendor="Groq",
        kind="busy",
        name="498: no capacity left for its flexible tier",
        source="https://console.groq.com/docs/flex-processing",
        seen="2026-11",
        replies=[
            refusal(498, _error("Flex tier is over capacity", code="capacity_exceeded")),
            ok(),
        ],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="Ollama",
        kind="busy",
        name="a full queue, as a 503",
        source=_G + "ollama/ollama/issues/4159",
        seen="2024-05-05",
        replies=[
            refusal(
                503, _error("server busy, please try again.  maximum pending requests exceeded")
            )
        ],
        right="RateLimited",
    ),
    Shape(
        vendor="TGI",
        kind="failed generation",
        name="424: it could not go on",
        source="https://www.hiascend.com/doc_center/source/zh/mindie/10RC3/mindieservice/"
        "servicedev/mindie_service0301.html",
        seen="2026-11",
        replies=[
            refusal(
                424,
                {"error": "Request failed during generation: no", "error_type": "generation"},
            ),
            ok(),
        ],
        right="hello",
        calls=2,
    ),
    Shape(
        vendor="OpenAI",
        kind="parameter",
        name="a value of an effort that it takes otherwise",
        source=_G + "Kilo-Org/cloud/pull/3807",
        seen="2026-06-08",
        ask={"parameters": {"reasoning_effort": "none"}},
        replies=[
            refusal(
                400,
                _error(
                    "Unsupported value: 'reasoning_effort' does not support 'none' with this"
                    " model. Supported values are: 'minimal', 'low', 'medium', and 'high'.",
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
        vendor="OpenRouter",
        kind="quota",
        name="too little left for so many max_tokens",
        source=_G + "can1357/oh-my-pi/issues/9569",
        seen="2026-08-24",
        ask={"parameters": {"max_tokens": 65_536}},
        replies=[
            refusal(
                402,
                _error(
                    "This request requires more credits, or fewer max_tokens. You requested up to"
                    " 65536 tokens, but can only afford 30104.",
                    code=402,
                ),
            )
        ],
        right="ProviderForbidden",
    ),
    Shape(
        vendor="OpenRouter",
        kind="too long",
        name="more tokens than the key may send, as a 402",
        source=_G + "anomalyco/opencode/issues/12219",
        seen="2026-05-04",
        replies=[refusal(402, _error("Prompt tokens limit exceeded: 230799 > 91442.", code=402))],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="Anthropic",
        kind="too long",
        name="a 429 that no waiting cures",
        source=_G + "anthropics/claude-code/issues/29584",
        seen="2026-02-28",
        provider="anthropic",
        replies=[
            refusal(
                429,
                {
                    "type": "error",
                    **_error(
                        "Extra usage is required for long context requests.",
                        type="rate_limit_error",
                    ),
                },
            )
        ],
        right="ContextLengthExceeded",
    ),
    Shape(
        vendor="a gateway",
        kind="parameter",
        name="a temperature other than the default, through a proxy",
        source=_G + "fazer-ai/agents/issues/130",
        seen="2026-08-19",
        ask={"parameters": {"temperature": 0.7}},
        replies=[
            refusal(
                400,
                _error("temperature is not supported for m when set to non-default values"),
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="DeepSeek",
        kind="response format",
        name="json_schema as a 422",
        source=_G + "BerriAI/litellm/pull/31466",
        seen="2026-06-26",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                422,
                _error(
                    "Failed to deserialize the JSON body into the target type: response_format:"
                    " response_format.type `json_schema` is unavailable now at line 1 column 12440",
                    type="invalid_request_error",
                ),
            ),
            ok('{"label":"billing"}'),
        ],
        right={"label": "billing"},
        calls=2,
        then=1,
    ),
    Shape(
        vendor="LiteLLM",
        kind="response format",
        name="a schema that Azure refuses, under the name of a policy",
        source=_G + "google/adk-python/pull/4039",
        seen="2025-12-29",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                400,
                _error(
                    "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException -"
                    " Invalid schema for response_format 'answer': In context=(),"
                    " 'additionalProperties' is required to be supplied and to be false.",
                    code="400",
                ),
            ),
            ok('{"label":"billing"}'),
        ],
        right={"label": "billing"},
        calls=2,
        then=1,
    ),
    Shape(
        vendor="a gateway",
        kind="response format",
        name="json_object is all that a validator lets through",
        source="https://docs.pydantic.dev/latest/errors/validation_errors/#literal_error",
        seen="2026-11",
        ask={"output_schema": LABEL},
        replies=[
            refusal(400, _error("response_format.type: Input should be 'text' or 'json_object'")),
            ok('{"label":"billing"}'),
        ],
        right={"label": "billing"},
        calls=2,
        then=1,
    ),
    Shape(
        vendor="vLLM",
        kind="parameter",
        name="stream_options, as a list in a text",
        source=_G + "modelscope/ms-agent/issues/489",
        seen="2024-06-13",
        stream=True,
        replies=[
            refusal(
                400,
                {
                    "object": "error",
                    "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'),"
                    " 'msg': 'Extra inputs are not permitted', 'input': {}}]",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                },
            ),
            ok(),
        ],
        right="hello",
        calls=2,
        then=1,
    ),
    Shape(
        vendor="Fireworks",
        kind="response format",
        name="a schema that it cannot read",
        source=_G + "earendil-works/pi/issues/5352",
        seen="2026-06-03",
        ask={"output_schema": LABEL},
        replies=[
            refusal(
                400,
                _error(
                    "JSON Schema not supported: could not understand the instance"
                    " `{'required': ['label']}`.",
                    type="invalid_request_error",
                ),
            ),
            ok('{"label":"billing"}'),
        ],
        right={"label": "billing"},
        calls=2,
        then=1,
    ),
    Shape(
        vendor="Groq",
        kind="response format",
        name="none beside tools",
        source=_G + "vercel/ai/pull/16540",
        seen="2026-07-01",
        ask={"output_schema": LABEL, "parameters": {"tools": TOOLS}},
        replies=[
            refusal(400, _error("json mode cannot be combined with tool/function calling")),
            refusal(400, _error("json mode cannot be combined with tool/function calling")),
            refusal(400, _error("json mode cannot be combined with tool/function calling")),
            ok('{"label":"billing"}'),
        ],
        right={"label": "billing"},
        calls=4,
        then=1,
    ),
    Shape(
        vendor="OpenAI",
        kind="response format",
        name="messages that do not ask for JSON",
        source="https://platform.openai.com/docs/guides/structured-outputs",
        seen="2026-11",
        ask={"parameters": {"response_format": {"type": "json_object"}}},
        replies=[
            refusal(
                400,
                _error(
                    "'messages' must contain the word 'json' in some form, to use"
                    " 'response_format' of type 'json_object'.",
                    type="invalid_request_error",
                    param="messages",
                ),
            )
        ],
        right="ProviderRejected",
    ),
)
