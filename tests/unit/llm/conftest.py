"""What the tests of one call share."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeClock, FakeProvider
from tests.support.fakellm import FakeLLM


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only tests move."""
    return FakeClock()


@pytest.fixture
def llm() -> FakeProvider:
    """A provider that answers what the test enqueues."""
    return FakeProvider()


@pytest.fixture
async def server() -> AsyncIterator[FakeLLM]:
    """A fake OpenAI server on a free port."""
    async with FakeLLM() as fake:
        yield fake
