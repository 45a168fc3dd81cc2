"""Keys of HTTP: who a request comes from, and what it may do."""

import hmac
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from streamapp.llm.caller import CALLER
from streamapp.settings import Settings
from streamapp.settings.keys import SCOPES, digest_of
from streamapp.web.errors import Refusal

#: Seconds' worth of a key's rate that may come at once, at least one request.
BURST_S = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """One caller.

    Attributes:
        name: As in ``[keys.NAME]``; empty for a key without a name, and where none is asked for.
        scopes: What it may do.
        tenant: Whose records it sends and sees; None for everybody's.
        models: Routes it may name; None for all.
        rate: Its own, where it has one.
        team: Names of the keys of its tenant, its own among them.
    """

    name: str = ""
    scopes: frozenset[str] = frozenset(SCOPES)
    tenant: str | None = None
    models: frozenset[str] | None = None
    rate: "KeyRate | None" = field(default=None, compare=False)
    team: frozenset[str] = frozenset()

    def check_scope(self, scopes: Collection[str]) -> None:
        """Raise a ``Refusal`` where it has none of ``scopes``; an empty one is for all keys."""
        if scopes and not self.scopes.intersection(scopes):
            wanted = " or ".join(sorted(scopes))
            raise forbidden(f"this key may not do that: it needs the scope {wanted}")

    def check_model(self, model: str | None) -> None:
        """Raise a ``Refusal`` for a route that it may not name; None is the default one."""
        if self.models is not None and (model or "default") not in self.models:
            raise forbidden("this key may not use that model: GET /v1/models lists its own")

    def spend(self, more: int) -> None:
        """Count requests that came within the admitted one; its rate waits for them, too."""
        if self.rate:
            self.rate.spend(more)

    def check_whole_group(self) -> None:
        """Raise a ``Refusal`` where it may see one tenant alone."""
        if self.tenant is not None:
            raise forbidden("this key is of one tenant: it may not see the whole group")


EVERYBODY = Key()


class KeyRate:
    """Requests of one key at this worker: a bucket that fills steadily.

    Args:
        per_minute: Requests, > 0.
        clock: Monotonic, seconds.
    """

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._most = max(1.0, self._per_s * BURST_S)
        self._clock = clock
        self._left, self._at = self._most, clock()

    @property
    def per_minute(self) -> float:
        """Requests that it lets in, spread evenly."""
        return round(self._per_s * 60, 9)

    def take(self) -> None:
        """Take one request.

        Raises:
            Refusal: 429 with ``Retry-After``: the rate is used up.
        """
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            wait_s = max(1, math.ceil((1 - self._left) / self._per_s))
            raise Refusal(
                429,
                f"this key's own rate is used up: it is {self.per_minute:g} requests a minute,"
                f" spread evenly; the next one in {wait_s} s",
                code="rate_limited",
                headers={"Retry-After": str(wait_s)},
            )
        self._left -= 1

    def spend(self, count: int) -> None:
        """Take as many more, below zero where there are too few: the next ones wait.

        Args:
            count: Requests; below 0 to give them back.
        """
        self._left -= count


class Keys:
    """All keys; each is compared in constant time, so that the time tells nothing."""

    def __init__(self, keys: Sequence[tuple[bytes, Key]]) -> None:
        self._keys = keys

    @classmethod
    def of(cls, settings: Settings) -> "Keys":
        """Return the keys of the settings."""
        found = [(digest_of(token), EVERYBODY) for token in settings.api_tokens]
        for name, key in settings.keys.items():
            per_minute = key.requests_per_minute
            caller = Key(
                name=name,
                scopes=frozenset(key.scopes),
                tenant=key.tenant,
                models=None if key.models is None else frozenset(key.models),
                rate=KeyRate(per_minute) if per_minute else None,
                team=frozenset(n for n, k in settings.keys.items() if k.tenant == key.tenant),
            )
            found += [(digest, caller) for digest in key.digests]
        return cls(found)

    def __bool__(self) -> bool:
        """Whether any key is asked for."""
        return bool(self._keys)

    def find(self, authorization: str) -> Key | None:
        """Return whose key the header holds; None where it is nobody's."""
        scheme, _, token = authorization.partition(" ")
        given = digest_of(token.strip())
        found = None
        for digest, key in self._keys:
            if hmac.compare_digest(given, digest):
                found = key
        return found if scheme.lower() == "bearer" else None


_REQUEST = web.RequestKey("streamapp.key", Key)


def key_of(request: web.Request) -> Key:
    """Return whose request it is."""
    key: Key = request.get(_REQUEST, EVERYBODY)
    return key


def remember(request: web.Request, key: Key) -> None:
    """Note whose request it is, for the views and for the usage."""
    request[_REQUEST] = key
    CALLER.set(key.name)


def forbidden(message: str) -> Refusal:
    """Return the refusal of what a key may not do."""
    return Refusal(403, message, code="forbidden")
