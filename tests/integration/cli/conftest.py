"""Commands configure logging: each test gives it back."""

import pytest

from tests.support.logs import restored_logging

__all__ = ["restored_logging"]


@pytest.fixture(autouse=True)
def _restored(restored_logging: None) -> None:
    """Apply it to every test here."""
