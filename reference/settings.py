"""The reference of settings."""

from pathlib import Path

from pydantic import BaseModel, SecretStr

from reference.fields import documented, in_words
from reference.markdown import code, page, section, table
from streamapp.settings import (
    PREFIX,
    BudgetSettings,
    FlowSettings,
    KeySettings,
    ModelSettings,
    ProviderModelSettings,
    ProviderSettings,
    Settings,
)
from streamapp.settings.mcp import McpSettings

INTRO = f"""Environment variables begin with `{PREFIX}`; the file `streamapp.toml` holds the same
names in lower case without the prefix, and the tables below. The environment wins over `.env`,
which wins over the file; an empty variable counts as none. `{PREFIX}CONFIG`, which names the file,
stands in one of the first two. Wrong values end every command with
exit code 2 and a line for each that names it, mistyped names included. `streamapp check` looks at
all of them, and at what they point to."""

OTHERS = section(
    "Variables without the prefix",
    table(
        ("name", "meaning"),
        [
            (
                "`OPENAI_API_KEY`, `OPENAI_BASE_URL`",
                "Where the file has no providers, one of them set means the provider `openai`; "
                f"`{PREFIX}MODEL` is then required. With neither, the `offline` provider answers. "
                "They may stand in `.env`, as may every key that `api_key_env` names.",
            ),
            (
                "`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`",
                "Through which proxy providers, few-shot examples and token endpoints are asked: "
                "`http://[USER:PASSWORD@]HOST:PORT`; "
                "`NO_PROXY` names hosts that are called directly. Read at the first call, from the "
                "environment itself: in `.env` they do nothing, and `check` says so.",
            ),
            (
                "`OTEL_EXPORTER_OTLP_ENDPOINT` and others of OpenTelemetry",
                "Turn [traces](../tracing.md) on; needs the extra `otel`. From the environment "
                "itself as well.",
            ),
        ],
    ),
)


#: The tables of the file, by the field that holds them.
TABLES: dict[str, type[BaseModel]] = {
    "providers": ProviderSettings,
    "providers.NAME.models": ProviderModelSettings,
    "models": ModelSettings,
    "budgets": BudgetSettings,
    "keys": KeySettings,
    "flows": FlowSettings,
    "mcp": McpSettings,
}


def settings_page() -> str:
    """Return the page.

    Raises:
        LookupError: A setting has no line under it that says what it means.
    """
    tables = [section(f"`[{name}.NAME]`", _table(model)) for name, model in TABLES.items()]
    return page("Settings", INTRO, section("Variables", _table(Settings, PREFIX)), *tables, OTHERS)


def _table(model: type[BaseModel], prefix: str = "") -> str:
    schema = model.model_json_schema()
    texts = documented(model)
    rows = []
    path = next((f"{path}.NAME." for path, other in TABLES.items() if other is model), "")
    for name, field in model.model_fields.items():
        if f"{path}{name}" in TABLES or field.exclude:  # a table of its own
            continue
        if name not in texts:
            raise LookupError(f"{model.__name__}.{name}: say what it means in a line under it")
        text, name = texts[name], field.alias or name
        takes = in_words(schema["properties"][name], schema.get("$defs", {}))
        default = "required" if field.is_required() else code(_shown(field.default))
        named = f"{prefix}{name.upper()}" if prefix else name
        rows.append((code(named), takes, default, text))
    return table(("name", "takes", "default", "meaning"), rows)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float, str)) else ""
