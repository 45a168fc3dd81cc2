from typing import Any

import pytest

from streamapp.settings import Settings
from streamapp.streaming.broker.topic_configs import config_problems
from streamapp.streaming.broker.topics import short_topics, topic_specs, wrong_partition_counts

RESPONSES, CHANGELOG = "llm.responses", "streamapp-answers-changelog"


def _counts(number: int, **others: int) -> dict[str, int]:
    specs = topic_specs(Settings(_env_file=None, partitions=number))
    others = {name.replace("_", ".", 1).replace("_", "-"): n for name, n in others.items()}
    return {spec.name: spec.partitions for spec in specs} | others


@pytest.mark.parametrize(
    ("setting", "counts", "wrong", "short"),
    [
        pytest.param(8, {}, [], [], id="nothing-yet"),
        pytest.param(8, _counts(8), [], [], id="as-set"),
        pytest.param(8, _counts(8, llm_requests=10), [], [], id="requests-grew"),
        pytest.param(
            10,
            _counts(8, llm_requests=10),
            [],
            [
                "llm.chunks",
                "llm.requests-dlt",
                "llm.requests-dlt-replays",
                "llm.responses",
                "llm.usage",
                CHANGELOG,
            ],
            id="and-so-does-the-setting",
        ),
        pytest.param(8, _counts(10), [], [], id="the-others-grew-too"),
        pytest.param(
            8,
            _counts(3),
            ["topic llm.requests has 3 partitions, not 8: set STREAMAPP_PARTITIONS=3"],
            None,
            id="too-few",
        ),
        pytest.param(
            8,
            _counts(8, llm_responses=9),
            ["topic llm.responses has 9 partitions, more than llm.requests with 8"],
            [],
            id="more-than-the-requests",
        ),
        pytest.param(
            8,
            _counts(8, llm_prompts=2),
            ["topic llm.prompts has 2 partitions, not 1: a worker did not create it so"],
            [],
            id="one",
        ),
    ],
)
def test_partition_counts(
    setting: int, counts: dict[str, int], wrong: list[str], short: list[str] | None
) -> None:
    """What grew is no error; topics of ours follow the requests once the setting does."""
    specs = topic_specs(Settings(_env_file=None, partitions=setting))

    lines = wrong_partition_counts(specs, counts)

    assert len(lines) == len(wrong), lines
    assert all(line.startswith(text) for line, text in zip(lines, wrong, strict=True)), lines
    if short is not None:
        assert short_topics(specs, counts) == dict.fromkeys(sorted(short), setting)


@pytest.mark.parametrize(
    ("topic", "config", "loses"),
    [
        ("llm.responses", {"cleanup.policy": "compact"}, True),
        ("llm.requests", {"cleanup.policy": "compact,delete"}, True),
        ("llm.requests-dlt", {"cleanup.policy": "compact"}, True),
        ("llm.prompts", {"cleanup.policy": "delete", "retention.ms": "604800000"}, True),
        ("llm.prompts", {"cleanup.policy": "delete", "retention.bytes": "1000"}, True),
        ("llm.prompts", {"cleanup.policy": "compact"}, True),
        ("llm.spend", {"cleanup.policy": "delete", "retention.ms": "1000"}, True),
        (CHANGELOG, {"cleanup.policy": "delete", "retention.ms": "1000"}, True),
        ("llm.responses", {"max.message.bytes": "2000"}, False),
        ("llm.responses", {"cleanup.policy": "delete", "retention.ms": "1000"}, None),
        ("llm.responses", {"max.message.bytes": "1048588"}, None),
        (CHANGELOG, {"cleanup.policy": "compact", "retention.ms": "1000"}, False),
        (CHANGELOG, {"cleanup.policy": "delete", "retention.ms": "600000"}, None),
        ("llm.prompts", {"cleanup.policy": "delete", "retention.ms": "-1"}, None),
        ("unrelated", {"cleanup.policy": "compact"}, None),
        ("llm.responses", {}, None),
    ],
    ids=str,
)
def test_configuration(topic: str, config: dict[str, Any], loses: bool | None) -> None:
    """What would lose records is refused, what costs dead letters is said, the rest passed."""
    problems = config_problems(Settings(_env_file=None), {topic: config})

    assert [problem.loses for problem in problems] == ([] if loses is None else [loses])
    assert all(topic in problem.detail and " set " in problem.detail for problem in problems)


def test_changelog_that_an_earlier_version_made_is_a_note() -> None:
    """It is compacted: an upgrade goes on, and says what is to be set."""
    configs = {CHANGELOG: {"cleanup.policy": "compact,delete", "retention.ms": "600000"}}

    [problem] = config_problems(Settings(_env_file=None), configs)

    assert problem.is_note
    assert problem.detail.endswith("; set cleanup.policy=delete")


def test_changelog_of_the_ledger_is_not_compacted() -> None:
    """The last entry of an id in the log need not be what it was answered."""
    [spec] = [spec for spec in topic_specs(Settings(_env_file=None)) if spec.name == CHANGELOG]

    assert spec.config["cleanup.policy"] == "delete"
