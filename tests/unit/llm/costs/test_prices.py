"""What tokens cost."""

from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import genai_prices
import pytest
from genai_prices import data_snapshot
from structlog.testing import capture_logs

from streamapp.errors import ConfigurationError
from streamapp.llm.costs.prices import Price, Prices, load_prices, prices_of
from streamapp.records.response import Usage
from streamapp.settings import ModelSettings, ProviderSettings, Settings

PROVIDERS = {
    "openai": ProviderSettings(kind="openai"),
    "own": ProviderSettings(kind="openai", base_url="http://127.0.0.1:8000/v1"),
    "azure": ProviderSettings(kind="azure-openai", base_url="https://mine.openai.azure.com"),
    "anthropic": ProviderSettings(kind="anthropic"),
    "any": ProviderSettings(kind="litellm"),
    "offline": ProviderSettings(kind="offline"),
}


def cost(provider: str, model: str, *, asked: str = "", **tokens: int) -> Decimal | None:
    usage = Usage(**(tokens or {"input_tokens": 1000, "output_tokens": 10}))
    return Prices(PROVIDERS).cost_usd(
        usage, provider=provider, asked=asked or model, answered=model
    )


@pytest.mark.parametrize(
    ("provider", "model", "vendor"),
    [
        ("openai", "gpt-4o-mini", {"provider_id": "openai"}),
        ("openai", "gpt-4o-mini-2024-07-18", {"provider_id": "openai"}),
        ("openai", "text-embedding-3-small", {"provider_id": "openai"}),
        ("azure", "gpt-4o-mini", {"provider_id": "azure"}),
        ("anthropic", "claude-sonnet-4-5", {"provider_id": "anthropic"}),
    ],
)
@pytest.mark.parametrize(
    "tokens",
    [
        {"input_tokens": 1},
        {"input_tokens": 1234, "cached_input_tokens": 1000},
        {"input_tokens": 300_000, "cached_input_tokens": 7},
    ],
    ids=str,
)
def test_list_price_is_that_of_the_data(
    provider: str, model: str, vendor: dict[str, Any], tokens: dict[str, int]
) -> None:
    """A cost is what genai-prices itself says, with tiers and cached tokens."""
    if "embedding" not in model:
        tokens = {**tokens, "output_tokens": 77}
    theirs = {name.replace("cached_input", "cache_read"): count for name, count in tokens.items()}
    expected = genai_prices.calc_price(genai_prices.Usage(**theirs), model, **vendor).total_price

    assert cost(provider, model, **cast(Any, tokens)) == expected > 0


def test_model_behind_litellm_is_found_by_its_target() -> None:
    """LiteLLM's targets name vendor and model; its answers may name the model alone."""
    assert cost("any", "gpt-4o-mini", asked="openai/gpt-4o-mini") == cost("openai", "gpt-4o-mini")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-unheard-of"), ("own", "gpt-4o-mini"), ("nobody", "gpt-4o-mini")],
)
def test_unknown_price_is_none(provider: str, model: str) -> None:
    """An unknown model, or a known name at another address, has no price: no guess."""
    assert cost(provider, model) is None


def test_unknown_price_is_said_once() -> None:
    """The log names provider and model of an unknown price, once, at start or at an answer."""
    prices = Prices(PROVIDERS)
    with capture_logs() as logs:
        prices.look_up(["own/m"])
        for answered in ("m", "m", "m-2030-01-01"):
            prices.cost_usd(Usage(input_tokens=1), provider="own", asked="m", answered=answered)

    assert [(line["event"], line["provider"], line["model"]) for line in logs] == [
        ("cost.price_unknown", "own", "m")
    ]


def test_price_that_lacks_a_kind_of_token_is_said_once() -> None:
    """With the first answer that has such: what is asked for embeddings alone has none."""
    prices = Prices(PROVIDERS, {"own/m": Price(input=Decimal(1))})

    def cost(**tokens: int) -> Decimal | None:
        return prices.cost_usd(Usage(**tokens), provider="own", asked="m", answered="m")

    with capture_logs() as logs:
        found = [cost(input_tokens=1), cost(output_tokens=1), cost(input_tokens=1, output_tokens=1)]

    assert found == [Decimal("0.000001"), None, None]
    assert [line["event"] for line in logs] == ["cost.price_unknown"]
    assert prices.halves() == {"own/m": "output"}


def test_unknown_prices_are_found_at_start() -> None:
    """Of the configured targets those without a price can be told."""
    prices = Prices(PROVIDERS, {"own/m": Price(input=Decimal(1))})

    unknown = prices.look_up(["openai/gpt-4o-mini", "own/m", "own/other", "offline/offline"])

    assert unknown == ["own/other"]


def test_private_price_must_be_of_a_provider() -> None:
    """A price of a provider that is not configured is a mistake, found at start."""
    with pytest.raises(ConfigurationError, match="opnai/m: write PROVIDER/MODEL"):
        Prices(PROVIDERS, {"opnai/m": Price(input=Decimal(1))})


def test_offline_costs_nothing() -> None:
    """What the offline provider answers is known to be free."""
    assert cost("offline", "offline") == 0


def test_private_price_wins() -> None:
    """The operator's price is taken for a target or the model that answered it."""
    private = {"openai/gpt-4o-mini": Price(input=Decimal(2), output=Decimal(6))}
    prices = Prices(PROVIDERS, private)

    for asked, answered in (("gpt-4o-mini", "x"), ("alias", "gpt-4o-mini")):
        usage = Usage(input_tokens=1000, output_tokens=500)
        assert prices.cost_usd(usage, provider="openai", asked=asked, answered=answered) == Decimal(
            "0.005"
        )


@pytest.mark.parametrize(
    ("price", "usage", "expected"),
    [
        ({"input": 2}, {"input_tokens": 3}, Decimal("0.000006")),
        ({"input": 2}, {"output_tokens": 1}, None),
        ({"output": 2}, {"input_tokens": 1}, None),
        ({}, {}, Decimal(0)),
        ({"input": 2, "cache_read": 1}, {"input_tokens": 3, "cached_input_tokens": 2}, "0.000004"),
        ({"input": 2}, {"input_tokens": 3, "cached_input_tokens": 2}, "0.000006"),
    ],
    ids=str,
)
def test_only_used_tokens_need_a_price(price: Any, usage: Any, expected: Any) -> None:
    """Each kind of token that was used needs a price; cached ones have input's without one."""
    expected = Decimal(expected) if isinstance(expected, str) else expected

    assert Price(**price).cost_usd(Usage(**usage)) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prices.toml", '["own/m"]\ninput = 0.1\noutput = 0.2\n'),
        ("prices.json", '{"own/m": {"input": 0.1, "output": 0.2}}'),
        ("prices.toml", '\n{"own/m": {"input": 0.1, "output": 0.2}}'),
    ],
)
def test_price_file_is_read_exactly(name: str, text: str, tmp_path: Path) -> None:
    """Prices are read as the decimals they are written as, never as floats."""
    (tmp_path / name).write_text(text)

    prices = load_prices(tmp_path / name)

    assert prices == {"own/m": Price(input=Decimal("0.1"), output=Decimal("0.2"))}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "there is no file"),
        ("not toml", "prices.toml"),
        ('["own/m"]\ninput = -1\n', "own/m.input"),
        ('["own/m"]\ninput = nan\n', "own/m.input"),
        ('["own/m"]\nprompt = 1\n', "own/m.prompt: there is no such field"),
        ('["own/m"]\ninputs = 1\n', r"own/m.inputs: .*; did you mean input\?"),
        ("input = 1\n", "input"),
    ],
)
def test_wrong_price_file_is_a_configuration_error(
    text: str | None, problem: str, tmp_path: Path
) -> None:
    """A price file that cannot be used is found at start, with what is wrong about it."""
    path = tmp_path / "prices.toml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigurationError, match=problem):
        load_prices(path)


def test_list_has_prices_at_addresses_of_https_alone() -> None:
    """So that it need not be looked at for a model behind any other address."""
    providers = data_snapshot.get_snapshot().providers
    patterns = {p.id: p.api_pattern for p in providers if not p.api_pattern.startswith("https://")}

    assert set(patterns) <= {"azure"}  # which is found by its kind


def test_price_of_a_configured_model_wins(tmp_path: Path) -> None:
    """What stands beside a model's limits is its price, whatever the file of prices says."""
    file = tmp_path / "prices.toml"
    file.write_text('["p/m"]\ninput = 9\noutput = 9\n["p/other"]\ninput = 3\noutput = 3\n')
    model = {"price": {"input": 0.1, "output": 2}}
    settings = Settings(
        providers={
            "p": ProviderSettings.model_validate({"kind": "openai", "models": {"m": model}})
        },
        models={"default": ModelSettings(targets=["p/m"])},
        prices_file=file,
    )

    prices = prices_of(settings)

    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    costs = [prices.cost_usd(usage, provider="p", asked=m, answered=m) for m in ("m", "other")]
    assert costs == [Decimal("2.1"), Decimal(6)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.toml", '["own/m"]\ninput = 1\noutput = 2\n'),
        ("p.json", '{"own/m": {"input": 1, "output": 2}}'),
    ],
)
def test_file_of_prices_may_begin_with_a_mark(tmp_path: Path, name: str, text: str) -> None:
    """As some editors write it: it is no part of the text."""
    file = tmp_path / name
    file.write_text(text, encoding="utf-8-sig")

    assert load_prices(file) == {"own/m": Price(input=Decimal(1), output=Decimal(2))}


def test_file_of_prices_that_is_no_toml_is_told_as_the_settings_are(tmp_path: Path) -> None:
    """With the line, and what to write."""
    file = tmp_path / "p.toml"
    file.write_text("# mine\n[own/m]\ninput = 1\n")

    with pytest.raises(
        ConfigurationError, match=r"p\.toml:2: not valid TOML: .* stands in quotes$"
    ):
        load_prices(file)
