"""The second look at a breaker, for a call that has waited for its limit."""

from streamapp.errors import TargetOpen
from streamapp.llm.completion import Call
from streamapp.llm.routing.breaker import Breaker


def require_closed(call: Call, *, breaker: Breaker) -> None:
    """Stop a call whose breaker has opened while it waited.

    Where another target is left, one failure meanwhile is enough: what waited once does not wait
    for a timeout as well.

    Raises:
        TargetOpen: The breaker is open or about to, and the call is no probe.
    """
    is_doubtful = call.has_waited and call.moves_on and breaker.is_failing
    if (breaker.is_open or is_doubtful) and not call.is_probe:
        provider, _, _ = breaker.name.partition("/")
        raise TargetOpen(f"{breaker.name}: taken for down", provider=provider)
