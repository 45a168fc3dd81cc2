"""The health of one worker, read from the running app without waiting for anything."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from streamapp.streaming.app.assignment_watch import is_assigned, is_recovered
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.watchdog import Watchdog
from streamapp.streaming.window.membership import Membership
from streamapp.telemetry.outage import BROKER_SILENCE_S

#: The loop answers late when it is busy; later than this it is blocked, seconds.
LOOP_LAG_S = 10.0
#: Finished records that stay uncommitted for so long are not being committed, seconds.
COMMIT_AGE_S = 30.0
#: For so long a worker answers HTTP by what it read before its group began to rebalance: prompts,
#: and what other workers spend, grow older meanwhile. Longer than its drain, joins and recovery
#: take together, seconds.
REBALANCE_S = 60.0
#: Between two looks whether the worker takes part in its group, seconds.
POLL_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        detail: Why not, or how well, in one line for an operator; never a secret.
        is_excused: Whether HTTP is answered all the same: a rebalance is going on.
    """

    ok: bool
    detail: str = ""
    is_excused: bool = False

    @property
    def is_in_the_way(self) -> bool:
        """Whether HTTP cannot be answered."""
        return not self.ok and not self.is_excused


class AppHealth:
    """The state of one worker, for the probes.

    Args:
        impaired: What is impaired without making the worker unready.
        refused: Which topics take no record of ours, and what to change where that is known.
        untried: Which targets failed and were not asked since, or refuse every call, in words.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        app: StreamApp,
        *,
        impaired: Callable[[], Sequence[str]] = tuple,
        refused: Callable[[], Sequence[str]] = tuple,
        untried: Callable[[], Sequence[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._refused = refused
        self._impaired = impaired
        self._untried = untried
        self._clock = clock
        self._took_part_at = -inf

    async def watch(self) -> None:
        """Look, again and again, whether this worker takes part in its group."""
        while True:
            self._note()
            await asyncio.sleep(POLL_INTERVAL_S)

    def liveness(self) -> Mapping[str, Check]:
        """Return what a restart would cure."""
        return {"loop": self._loop()}

    def readiness(self) -> Mapping[str, Check]:
        """Return what the worker needs to do its work.

        A rebalance takes partitions away from all workers at once, and HTTP needs none: what only
        that makes fail is excused in a worker that has read its tables before.
        """
        app = self._app
        self._note()
        watchdog = app.watchdog
        assigned = is_assigned(app)
        member = app.membership
        refused, gone = self._refused(), app.held.gone()
        silence_s, commit_age_s = watchdog.broker_silence_s, app.commit_age_s
        excused = self._rebalance_s < REBALANCE_S and not member.refusal
        ids = sum(map(len, app.ledgers))
        return {
            "assigned": Check(assigned, "" if assigned else _waiting(member.refusal), excused),
            "member": Check(
                not assigned or member.is_current,
                "" if not assigned else _heard(member),
            ),
            "recovered": Check(is_recovered(app), f"{ids} ids in the ledger", excused),
            "taking": Check(
                app.window.is_open and not gone,
                "; ".join(gone) or f"{app.window.in_flight} in flight",
                excused and not gone,
            ),
            "broker": Check(silence_s < BROKER_SILENCE_S, _answered(watchdog)),
            "committing": Check(
                commit_age_s < COMMIT_AGE_S,
                f"oldest finished and not committed {commit_age_s:.1f} s,"
                f" oldest not finished {app.window.oldest_age_s:.1f} s",
            ),
            "delivering": Check(not refused, "; ".join(refused)),
            "targets": Check(True, "; ".join(self._untried())),
            "loop": self._loop(),
            "draining": Check(
                not app.is_draining,
                "stopping: no new records"
                if app.is_draining
                else "no: takes records, is not stopping",
            ),
        }

    @property
    def is_stopping(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._app.is_draining

    @property
    def is_ready(self) -> bool:
        """Whether HTTP is answered: every readiness check holds, or is excused."""
        return not any(check.is_in_the_way for check in self.readiness().values())

    @property
    def is_settled(self) -> bool:
        """Whether every readiness check holds: no rebalance is going on."""
        return all(check.ok for check in self.readiness().values())

    def degraded(self) -> Sequence[str]:
        """Return what is impaired, e.g. a provider's outage."""
        if self.is_settled or not self.is_ready:
            return self._impaired()
        waited = f"rebalance: no records for {self._rebalance_s:.1f} s, HTTP is answered"
        return [waited, *self._impaired()]

    @property
    def _rebalance_s(self) -> float:
        """Seconds since this worker took part in its group; infinite where it never did."""
        return self._clock() - self._took_part_at

    def _note(self) -> None:
        app = self._app
        if app.window.is_open and app.membership.is_current and is_assigned(app):
            self._took_part_at = self._clock()

    def _loop(self) -> Check:
        lag_s = self._app.watchdog.loop_lag_s
        blocked = self._app.blocking.last()
        detail = f"ran {lag_s:.1f} s ago" + (f"; {blocked}" if blocked else "")
        return Check(lag_s < LOOP_LAG_S, detail)


def last_heartbeat(age_s: float) -> str:
    """Return how long ago the group took the last heartbeat; ``age_s`` is infinite without one."""
    return f"last heartbeat {age_s:.1f} s ago" if isfinite(age_s) else "no heartbeat since the join"


def _answered(watchdog: Watchdog) -> str:
    if not watchdog.has_seen_broker:
        return f"none has answered, {watchdog.broker_silence_s:.1f} s after the start"
    return f"answered {watchdog.broker_silence_s:.1f} s ago"


def _heard(member: Membership) -> str:
    heard = last_heartbeat(member.age_s)
    return f"{heard}: {member.refusal}" if member.refusal else heard


def _waiting(refusal: str) -> str:
    return f"kept out of the group: {refusal}" if refusal else "waiting for the group"
