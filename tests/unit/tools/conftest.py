"""Fixtures of the tests of tools."""

import pytest

from tests.fakes import FakeProvider


@pytest.fixture
def llm() -> FakeProvider:
    """A provider that answers what it is told to."""
    return FakeProvider()
