"""The health of one worker, read from the running app without waiting for anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from streamapp.streaming.app.assignment_watch import is_assigned, is_recovered
from streamapp.streaming.app.lifecycle import StreamApp

#: The loop answers late when it is busy; later than this it is blocked, seconds.
LOOP_LAG_S = 10.0
#: A broker that was silent for so long is gone, seconds.
BROKER_SILENCE_S = 6.0
#: Finished records that stay uncommitted for so long are not being committed, seconds.
COMMIT_AGE_S = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        detail: Why not, or how well, in one line for an operator; never a secret.
    """

    ok: bool
    detail: str = ""


class AppHealth:
    """The state of one worker, for the probes.

    Args:
        impaired: What is impaired without making the worker unready.
        refused: Which topics take no record of ours, and what to change where that is known.
    """

    def __init__(
        self,
        app: StreamApp,
        *,
        impaired: Callable[[], Sequence[str]] = tuple,
        refused: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._app = app
        self._refused = refused
        self._impaired = impaired

    def liveness(self) -> Mapping[str, Check]:
        """Return what a restart would cure."""
        return {"loop": self._loop()}

    def readiness(self) -> Mapping[str, Check]:
        """Return what the worker needs to do its work."""
        app = self._app
        watchdog = app.watchdog
        assigned = is_assigned(app)
        member = app.membership
        refused, gone = self._refused(), app.held.gone()
        silence_s, commit_age_s = watchdog.broker_silence_s, app.commit_age_s
        return {
            "assigned": Check(assigned, "" if assigned else _waiting(member.refusal)),
            "member": Check(
                not assigned or member.is_current,
                "" if not assigned else last_heartbeat(member.age_s),
            ),
            "recovered": Check(is_recovered(app), f"{len(app.ledger)} ids in the ledger"),
            "taking": Check(
                app.window.is_open and not gone,
                "; ".join(gone) or f"{app.window.in_flight} in flight",
            ),
            "broker": Check(silence_s < BROKER_SILENCE_S, f"answered {silence_s:.1f} s ago"),
            "committing": Check(
                commit_age_s < COMMIT_AGE_S, f"oldest uncommitted {commit_age_s:.1f} s"
            ),
            "delivering": Check(not refused, "; ".join(refused)),
            "loop": self._loop(),
            "draining": Check(
                not app.is_draining,
                "stopping: no new records"
                if app.is_draining
                else "no: takes records, is not stopping",
            ),
        }

    @property
    def is_ready(self) -> bool:
        """Whether every readiness check holds."""
        return all(check.ok for check in self.readiness().values())

    def degraded(self) -> Sequence[str]:
        """Return what is impaired, e.g. a provider's outage."""
        return self._impaired()

    def _loop(self) -> Check:
        lag_s = self._app.watchdog.loop_lag_s
        blocked = self._app.blocking.last()
        detail = f"ran {lag_s:.1f} s ago" + (f"; {blocked}" if blocked else "")
        return Check(lag_s < LOOP_LAG_S, detail)


def last_heartbeat(age_s: float) -> str:
    """Return how long ago the group took the last heartbeat; ``age_s`` is infinite without one."""
    return f"last heartbeat {age_s:.1f} s ago" if isfinite(age_s) else "no heartbeat since the join"


def _waiting(refusal: str) -> str:
    return f"the group refuses this worker: {refusal}" if refusal else "waiting for the group"
