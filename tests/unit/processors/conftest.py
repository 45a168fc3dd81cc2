"""What the tests of processors share."""

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamapp.llm.provider import LLMProvider
from streamapp.llm.routing.economy import Economy
from streamapp.llm.routing.routes import Routes
from streamapp.processors.registry import Registry
from streamapp.processors.router import Router
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.variants import Variants
from streamapp.settings.loading import load_settings
from tests.fakes import FakeClock, FakeProvider

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only tests move."""
    return FakeClock()


@pytest.fixture
def llm() -> FakeProvider:
    """A provider that answers what the test enqueues."""
    return FakeProvider()


@pytest.fixture
def make_router(clock: FakeClock, llm: FakeProvider) -> Callable[..., Router]:
    """Build a router of processors and a directory of prompts, on the fake provider."""

    def make(
        registry: Registry | None = None,
        prompts_dir: Path = Path("prompts"),
        models_of: Mapping[str, Container[str]] | None = None,
        provider: LLMProvider | None = None,
        economy: Economy | None = None,
        variants: Variants | None = None,
    ) -> Router:
        settings = load_settings(
            providers={"fake": {"kind": "offline"}},
            models={"default": {"targets": ["fake/m"]}, "large": {"targets": ["fake/l"]}},
            embed_model="fake/e",
        )
        return Router(
            registry=registry or Registry.load(),
            prompts=PromptRegistry.load(prompts_dir),
            routes=Routes(settings, {"fake": provider or llm}, sleep=clock.sleep, economy=economy),
            deadline_s=90,
            clock=clock,
            now=lambda: NOW,
            models_of=models_of or {},
            variants=variants,
        )

    return make


@pytest.fixture
def router(make_router: Callable[..., Router]) -> Router:
    """A router of the built-in processors and prompts."""
    return make_router()
