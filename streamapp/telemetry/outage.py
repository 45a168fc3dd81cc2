"""The lines about brokers that do not answer: one when it begins, one when it is over.

Kafka's client tells each of its tries, several hundred a minute, and none of them says more than
the first. So its lines are held back meanwhile.
"""

import logging
from collections.abc import Sequence

import structlog

log = structlog.get_logger(__name__)

#: A broker that was silent for so long is gone, seconds.
BROKER_SILENCE_S = 6.0
#: Between two lines of one outage, seconds.
REMIND_S = 600.0

#: The client's loggers stand below it.
CLIENT = "aiokafka"


class Outage:
    """What the log says of brokers that have gone.

    Args:
        brokers: Host and port of those that are asked.
    """

    def __init__(self, brokers: Sequence[str]) -> None:
        self._brokers = ",".join(brokers)
        #: Length of the outage when it was last told, seconds.
        self._told_s: float | None = None
        self._level = logging.NOTSET

    def look(self, *, answers: bool, silence_s: float) -> None:
        """Tell what is new.

        Args:
            answers: Whether a broker has just answered.
            silence_s: Seconds for which none had before.
        """
        if answers:
            if self._told_s is not None:
                self._end(silence_s)
        elif silence_s >= BROKER_SILENCE_S:
            if self._told_s is None:
                self._begin()
                self._tell(silence_s)
            elif silence_s - self._told_s >= REMIND_S:
                self._tell(silence_s)

    def _begin(self) -> None:
        client = logging.getLogger(CLIENT)
        self._level = client.level
        client.setLevel(logging.CRITICAL)

    def _tell(self, silence_s: float) -> None:
        self._told_s = silence_s
        log.error(
            "broker.away",
            brokers=self._brokers,
            silent_s=round(silence_s),
            hint="no broker answers: nothing is taken, work goes on by itself when one does",
        )

    def _end(self, silence_s: float) -> None:
        self._told_s = None
        logging.getLogger(CLIENT).setLevel(self._level)
        log.warning("broker.back", brokers=self._brokers, away_s=round(silence_s))
