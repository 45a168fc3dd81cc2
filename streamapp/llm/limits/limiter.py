"""The rate limiter: requests, tokens and calls in flight; it waits in order and never drops."""

import asyncio
from collections.abc import Awaitable, Callable

from streamapp.llm.limits.lines import Lines
from streamapp.llm.limits.rate_learner import UNLIMITED, PaceLearner
from streamapp.llm.limits.token_bucket import Bucket

#: What we keep below a limit: requests do not arrive as evenly as they are sent, and a new
#: worker begins with one request.
MARGIN = 0.005
#: A worker without partitions still answers HTTP, at this part of each limit.
LEAST_SHARE = 0.01
#: Levels change while somebody waits: look again at least so often.
_POLL_INTERVAL_S = 0.1


def no_look(turn: asyncio.Future[float]) -> None:
    """Let it wait."""


class Limiter:
    """One limit: requests and tokens per minute, calls in flight, and what the provider teaches.

    Who comes first goes first, of those that a caller waits for and of the others, in turns. Those
    who need not wait pay no task and no future.

    Args:
        requests_per_minute: Of all workers together; None for no limit.
        tokens_per_minute: The same.
        burst_s: What may go at once, in seconds' worth of the limits; at least one request.
        max_concurrency: Calls in flight of all workers together; None for no limit.
        learner: Of the provider; None where the limit is not a provider's own.
        outer: A limit that each call has to keep as well.
        clock: Monotonic, seconds.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        burst_s: float,
        max_concurrency: int | None = None,
        learner: PaceLearner | None = None,
        outer: "Limiter | None" = None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._requests_per_s = _per_s(requests_per_minute)
        self._tokens_per_s = _per_s(tokens_per_minute)
        self._max_concurrency = max_concurrency
        self._learner = learner
        self._outer = outer
        self._clock = clock
        self._sleep = sleep
        self._requests = Bucket(self._requests_per_s, burst_s=burst_s, least=1.0, clock=clock)
        self._tokens = Bucket(self._tokens_per_s, burst_s=burst_s, least=0.0, clock=clock)
        #: What the learner had found when it was taken over last, requests per second.
        self.taken_over_per_s = UNLIMITED
        #: The part of each limit that is this worker's, in (0, 1].
        self.share = 1.0
        self._cap: float = max_concurrency or UNLIMITED
        self._waiters: Lines[tuple[asyncio.Future[float], Callable[[], float]]] = Lines()
        self._dispatcher: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._freed: asyncio.Future[None] | None = None
        #: Whether `tokens` matter to anybody.
        self.counts_tokens: bool = tokens_per_minute is not None or (
            outer is not None and outer.counts_tokens
        )

    @property
    def is_waiting(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiters)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    @property
    def is_full(self) -> bool:
        """Whether no more calls may be in flight."""
        learner = self._learner
        window = learner.window if learner is not None else UNLIMITED
        return self._in_flight >= self._cap or self._in_flight >= window

    def room(self, within_s: float) -> float:
        """Return how many more calls would begin soon, as far as their tokens allow.

        Args:
            within_s: So soon, seconds.
        """
        learner = self._learner
        is_paused = learner is not None and learner.paused_until > self._clock()
        if is_paused or self._tokens.available() < 0:
            return 0.0
        places = min(self._cap, learner.window if learner is not None else UNLIMITED)
        places -= self._in_flight
        turns = self._requests.available() + self._requests.rate_per_s * within_s
        room = min(places, turns) - self.waiting
        return room if self._outer is None else min(room, self._outer.room(within_s))

    @property
    def rate_per_s(self) -> float:
        """Requests per second that are allowed now, by settings or by experience."""
        return self._requests.rate_per_s

    def told_per_s(self, *, tokens: float, seconds: float) -> float:
        """Return how many calls settings allow, a second.

        Args:
            tokens: That each has, of question and answer; 0 where none is known.
            seconds: That each takes; 0 where none is known.
        """
        bounds = [self._requests_per_s * self.share]
        if tokens:
            bounds.append(self._tokens_per_s * self.share / tokens)
        if seconds:
            bounds.append(self._cap / seconds)
        if self._outer is not None:
            bounds.append(self._outer.told_per_s(tokens=tokens, seconds=seconds))
        return min(bounds)

    def set_share(self, share: float) -> None:
        """Keep only a part of each limit; nothing is refilled by it.

        Args:
            share: In [0, 1]; below `LEAST_SHARE` counts as that.
        """
        self.share = min(max(share, LEAST_SHARE), 1.0)
        if self._max_concurrency is not None:
            self._cap = max(1, int(self._max_concurrency * self.share))
        self._tokens.rate_per_s = self._tokens_per_s * self.share
        self.adjust()

    def adjust(self) -> None:
        """Take over what the learner has found."""
        rate_per_s = self._requests_per_s * self.share
        if self._learner is not None:
            self.taken_over_per_s = self._learner.rate_per_s
            rate_per_s = min(rate_per_s, self.taken_over_per_s)
        self._requests.rate_per_s = rate_per_s
        self._wake()

    def try_acquire(self, tokens: float) -> bool:
        """Begin a call if it need not wait; `release` ends it.

        Args:
            tokens: Estimated, of question and answer.
        """
        if self._waiters or self.is_full or self._wait_s(tokens, is_late=False) > 0:
            return False
        if self._outer is not None and not self._outer.try_acquire(tokens):
            return False
        self._take(tokens)
        return True

    async def acquire(
        self,
        estimate: Callable[[], float],
        *,
        look: Callable[[asyncio.Future[float]], None] = no_look,
        is_waited_for: bool = False,
    ) -> float:
        """Wait for the turn, then begin a call; `release` ends it.

        Args:
            estimate: Returns the tokens to reserve; asked when the turn has come.
            look: Is given the turn that is waited for, and may end it with an error.
            is_waited_for: Whether a caller waits for it: those have a line of their own.

        Returns:
            The tokens reserved.
        """
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        look(turn)
        self._waiters.append((turn, estimate), is_waited_for=is_waited_for)
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch())
        try:
            return await turn
        except BaseException:
            if turn.cancelled() or turn.exception() is not None:
                self._waiters.gone()
            else:  # cancelled when the turn had come
                self.release(turn.result())
            self._wake()
            raise

    def release(self, excess_tokens: float = 0.0) -> None:
        """End a call.

        Args:
            excess_tokens: What was reserved above what was used; negative for too little.
        """
        self._in_flight -= 1
        if excess_tokens:
            self._tokens.take(-excess_tokens)
        if self._outer is not None:
            self._outer.release(excess_tokens)
        if self._freed is not None:
            self._wake()

    def give_back(self, tokens: float) -> None:
        """Undo what was taken for a call that is not made.

        Args:
            tokens: What was reserved.
        """
        self._requests.take(-1.0)
        self._in_flight -= 1
        self._tokens.take(-tokens)
        if self._outer is not None:
            self._outer.give_back(tokens)
        if self._freed is not None:
            self._wake()

    def close(self) -> None:
        """Dispatch no waiter any more."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()

    def _take(self, tokens: float) -> None:
        self._requests.take(1.0)
        if tokens:
            self._tokens.take(tokens)
        self._in_flight += 1

    def _wait_s(self, tokens: float, *, is_late: bool) -> float:
        wait_s = 0.0
        if self._requests.rate_per_s != UNLIMITED:
            wait_s = self._requests.wait_s(1.0, is_late=is_late)
        if self._tokens_per_s != UNLIMITED:
            wait_s = max(wait_s, self._tokens.wait_s(tokens, is_late=is_late))
        if self._learner is not None and self._learner.paused_until:
            wait_s = max(wait_s, self._learner.paused_until - self._clock())
        return wait_s

    async def _dispatch(self) -> None:
        """Dispatch the waiters, one after the other, as long as there are any."""
        try:
            while self._waiters:
                is_waited_for, (turn, estimate) = self._waiters.first()
                if not (is_gone := turn.done()):
                    tokens = estimate()
                    if not await self._is_turn(turn, tokens, is_waited_for=is_waited_for):
                        continue
                    self._take(tokens)
                    turn.set_result(tokens)
                self._waiters.pop(is_waited_for=is_waited_for, is_gone=is_gone)
                await asyncio.sleep(0)  # one that gives its turn back does so before the next look
        finally:
            self._dispatcher = None

    async def _is_turn(
        self, turn: asyncio.Future[float], tokens: float, *, is_waited_for: bool
    ) -> bool:
        """Whether the first waiter may go now; after a wait, look again."""
        if self.is_full:
            self._freed = asyncio.get_running_loop().create_future()
            await self._freed
            return False
        wait_s = self._wait_s(tokens, is_late=True)
        if wait_s > 0:
            await self._sleep(min(wait_s, _POLL_INTERVAL_S))
            return False
        if self._outer is None or self._outer.try_acquire(tokens):
            return True
        await self._outer.acquire(lambda: tokens, is_waited_for=is_waited_for)
        if turn.done() or self._wait_s(tokens, is_late=True) > 0:
            self._outer.give_back(tokens)
            return False
        return True

    def _wake(self) -> None:
        if self._freed is not None and not self._freed.done():
            self._freed.set_result(None)


def _per_s(per_minute: float | None) -> float:
    return UNLIMITED if per_minute is None else per_minute / 60 * (1 - MARGIN)
