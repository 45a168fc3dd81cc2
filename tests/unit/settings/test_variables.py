"""What stands where the name of an environment variable belongs."""

import pytest

from streamapp.settings.variables import is_name, unset

KEYS = {
    "OpenAI": "sk-abcdefghijklmnop1234567890",
    "Stripe's form": "sk_live_51Habcdefgh",
    "Groq": "gsk_Zq8Lw2VfTnR4xYb7",
    "Hugging Face": "hf_abcdefghijklmnop",
    "Azure": "9f86d081884c7d659a2feaa0c55ad015",
    "Mistral": "NPm3kQzLwTfYhVb2RsXc8dGa",
    "Google": "AIzaSyD4k2Lm9Qw7Zx",
    "with its scheme": "Bearer abc",
}
NAMES = ["OPENAI_API_KEY", "key", "SHOP_KEY_2", "myProviderKey", "TOKEN_2026", "HF_TOKEN", "_X"]


@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS)
def test_a_key_is_told_from_a_name_and_not_quoted(text: str) -> None:
    """Whatever the vendor makes its keys of."""
    wrong = unset(text, {}, example="SHOP_KEY", may_lack=True)

    assert wrong is not None
    assert "looks like a key" in wrong
    assert "export SHOP_KEY=..." in wrong
    assert text not in wrong


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_named(text: str) -> None:
    """It is no secret, and has to be known to be set."""
    assert is_name(text)
    assert unset(text, {}, example="SHOP_KEY") == f"the environment variable {text} is not set"
    assert unset(text, {}, example="SHOP_KEY", may_lack=True) is None


@pytest.mark.parametrize("text", ["$OPENAI_API_KEY", "${OPENAI_API_KEY}"])
def test_a_variable_as_shells_write_it_is_told(text: str) -> None:
    """The dollar is what is wrong."""
    assert "without $" in (unset(text, {}, example="SHOP_KEY") or "")


def test_what_is_set_is_a_name() -> None:
    """However it reads: some have names with points."""
    name = "9f86d081884c7d659a2feaa0c55ad015"

    assert unset(name, {name: "v"}, example="SHOP_KEY") is None
