"""Every code that a group's coordinator answers with has a name and says what to change."""

from types import SimpleNamespace

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, kafka_errors

from streamapp.streaming.protocol.group_codes import (
    HINTS,
    NAMES,
    UnknownCode,
    code_of,
    name_of,
    require_known,
)

#: What brokers answer with, by the request. Source: the supported errors that the messages of
#: Apache Kafka 4.1 list, and what `GroupMetadataManager`, `ClassicGroup` and `ConsumerGroup` throw
#: for members of the classic protocol; of 2.8, `GroupCoordinator` and `GroupMetadataManager`.
SENT = {
    "FindCoordinator": {-1, 15, 24, 29, 30, 35, 42},
    "JoinGroup": {-1, 14, 15, 16, 22, 23, 24, 25, 26, 30, 35, 42, 79, 81, 82},
    "SyncGroup": {-1, 14, 15, 16, 22, 23, 24, 25, 27, 30, 35, 82},
    "Heartbeat": {-1, 14, 15, 16, 22, 24, 25, 27, 30, 35, 82},
    "OffsetCommit": {
        *(-1, 3, 7, 12, 14, 15, 16, 22, 24, 25, 27, 28, 29, 30, 35, 42, 69),
        *(82, 100, 110, 113),
    },
}


def test_upgrade_of_aiokafka_may_know_codes_that_are_named_here() -> None:
    """What it learns has to go from our table: its own name is told then."""
    assert set[int]().union(*SENT.values()) - set(kafka_errors) == set(NAMES)


@pytest.mark.parametrize("code", NAMES)
def test_code_that_aiokafka_does_not_know_says_what_to_change(code: int) -> None:
    """A number, or the want of one, helps nobody."""
    assert name_of(code) == NAMES[code]
    assert len(HINTS[code].split()) > 8


def test_code_that_nobody_knows_keeps_its_number() -> None:
    """It can be looked up in the pages of Kafka."""
    assert name_of(999) == "UnknownError 999"


def test_code_that_aiokafka_knows_has_its_name() -> None:
    """The log has the same word for an error wherever it comes from."""
    error = GroupAuthorizationFailedError()

    assert name_of(code_of(error)) == "GroupAuthorizationFailedError"
    assert code_of(KafkaConnectionError()) == 0


def test_commit_with_a_code_that_aiokafka_does_not_know_keeps_the_number() -> None:
    """Aiokafka would raise one error for all of these."""
    require_known(SimpleNamespace(topics=[("t", [(0, 0), (1, 16)])]))

    with pytest.raises(UnknownCode, match="FencedInstanceId") as raised:
        require_known(SimpleNamespace(topics=[("t", [(0, 0)]), ("u", [(1, 82)])]))

    assert code_of(raised.value) == 82
