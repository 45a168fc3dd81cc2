"""The topics that `streamapp tail` reads."""

import pytest
from click.testing import CliRunner

from streamapp.cli import main
from streamapp.cli.tail import is_made_by_workers
from streamapp.settings import Settings


@pytest.mark.parametrize(
    ("topic", "is_made"),
    [
        ("llm.responses", True),
        ("shop.labels", True),
        ("shop.reviews-dlt", True),
        ("shop.reviews", False),
        ("nothere", False),
    ],
)
def test_topic_that_is_waited_for_is_a_workers_or_not(topic: str, is_made: bool) -> None:
    """Workers create their own topics and what flows write to, and no input."""
    flow = {
        "input": "shop.reviews",
        "output": "shop.labels",
        "type": "summarize",
        "fields": {"text": "{{ value.body }}"},
    }
    settings = Settings(_env_file=None, flows={"labels": flow})

    assert is_made_by_workers(settings, topic) is is_made


def test_two_topics_are_refused() -> None:
    """One of them would be passed over, and the other waited for in silence."""
    result = CliRunner().invoke(main, ["tail", "responses", "--topic", "x"])

    assert result.exit_code == 2
    assert "'responses' and --topic are two topics: leave one of them out" in result.stderr
