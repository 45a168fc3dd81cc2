"""Which text a reference means."""

from pathlib import Path

import pytest

from streamapp.errors import ConfigurationError, PromptError, PromptNotFound
from streamapp.prompts.prompt import Prompt, Version
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import PromptSettings
from streamapp.prompts.template import Template


def versions(rest: str = "") -> dict[int, Version]:
    bodies = {number: f"text {number} {rest}" for number in (1, 2)}
    return {n: Version(n, body, PromptSettings(), Template(body)) for n, body in bodies.items()}


@pytest.fixture
def registry() -> PromptRegistry:
    """A prompt of two versions, of which the older one is in production."""
    labels = {"production": 1, "latest": 2, "lost": 9}
    return PromptRegistry({"haiku": Prompt("haiku", versions("{{ x }}"), labels)})


@pytest.mark.parametrize(
    ("reference", "version", "label"),
    [
        ("haiku", 1, "production"),
        ("haiku@production", 1, "production"),
        ("haiku@latest", 2, "latest"),
        ("haiku:2", 2, None),
    ],
)
def test_a_reference_means_one_version(
    registry: PromptRegistry, reference: str, version: int, label: str | None
) -> None:
    """A name alone is production; a label is remembered, a version named needs none."""
    prompt = registry.resolve(reference, sticky=b"key")

    assert (prompt.name, prompt.version, prompt.label) == ("haiku", version, label)
    assert prompt.render({"x": "!"})[0]["content"] == f"text {version} !"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("canary", "no prompt of that name; 'streamapp"),
        ("hiaku", "no prompt of that name, did you mean 'haiku'\\?; 'streamapp"),
        ("haiku@canary", "no such label; labels: latest, lost, production; newest"),
        ("haiku@lost", "no such label"),
        ("haiku:4711", "no such version"),
        ("haiku:0", "no such version"),
        ("haiku:canary", "write NAME"),
        ("haiku@", "write NAME"),
        ("haiku@latest:1", "write NAME"),
        ("../canary", "write NAME"),
        ("haiku\n", "write NAME"),
        ("haiku:" + "9" * 100, "write NAME"),
        ("", "write NAME"),
    ],
)
def test_a_reference_to_nothing_is_not_quoted(
    registry: PromptRegistry, reference: str, message: str
) -> None:
    """The message helps without repeating what the record holds."""
    with pytest.raises(PromptNotFound, match=message) as caught:
        registry.resolve(reference, sticky=b"")

    assert "canary" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_a_rendering_error_names_the_version(registry: PromptRegistry) -> None:
    """The author learns which text to change."""
    with pytest.raises(PromptError, match="prompt haiku:2, line 1: the variable 'x' is missing"):
        registry.resolve("haiku:2", sticky=b"").render({})


def test_the_registry_follows_its_mapping() -> None:
    """A label that is moved in the mapping is moved for the next record."""
    prompts = {"haiku": Prompt("haiku", versions(), {"production": 1})}
    registry = PromptRegistry(prompts)
    before = registry.resolve("haiku", sticky=b"")

    prompts["haiku"] = Prompt("haiku", versions(), {"production": 2})

    assert registry.resolve("haiku", sticky=b"").version == 2
    assert before.version == 1


def test_files_join_and_replace_the_built_in_ones(tmp_path: Path) -> None:
    """A file of a built-in prompt's name wins; the others stay."""
    (tmp_path / "haiku.md").write_text("Write a haiku.")
    (tmp_path / "summarize.md").write_text("Shorten: {{ text }}")

    registry = PromptRegistry.load(tmp_path)

    assert {"haiku", "classify"} <= set(registry.names)
    assert registry.resolve("haiku@latest", sticky=b"").version == 1
    summarize = registry.resolve("summarize", sticky=b"")
    assert summarize.render({"text": "t"})[0]["content"] == "Shorten: t"


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which one wins must not depend on the order of a directory."""
    (tmp_path / "a.md").write_text("---\nname: same\n---\nx")
    (tmp_path / "b.md").write_text("---\nname: same\n---\ny")

    with pytest.raises(ConfigurationError, match="two prompt files are named 'same'"):
        PromptRegistry.load(tmp_path)


def test_a_missing_directory_is_an_error_only_where_it_was_asked_for(tmp_path: Path) -> None:
    """The default directory need not exist; one that somebody named must."""
    missing = tmp_path / "prompts"

    assert "summarize" in PromptRegistry.load(missing).names
    with pytest.raises(ConfigurationError, match="there is no directory"):
        PromptRegistry.load(missing, must_exist=True)


def test_a_bare_name_means_the_split() -> None:
    """A split decides by key for a bare name alone, and the label it chose is named."""
    prompt = Prompt(
        "haiku",
        versions(),
        {"production": 1, "candidate": 2, "latest": 2},
        split={"production": 50, "candidate": 50},
    )
    registry = PromptRegistry({"haiku": prompt})

    keys = [f"key-{number}".encode() for number in range(100)]
    found = [registry.resolve("haiku", sticky=key) for key in keys]

    assert {(use.version, use.label) for use in found} == {(1, "production"), (2, "candidate")}
    assert [registry.resolve("haiku", sticky=key).label for key in keys] == [
        use.label for use in found
    ]
    assert registry.resolve("haiku@candidate", sticky=keys[0]).version == 2
    assert registry.resolve("haiku@production", sticky=keys[0]).version == 1
