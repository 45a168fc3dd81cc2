"""The failure that an exception of a processor comes to."""

from collections.abc import Iterator

from streamapp.errors import DeliveryFailed, Failure, InternalError, LeaseLost
from streamapp.processors.registry import Processor


def failure_of(error: BaseException, processor: Processor) -> Failure:
    """Return what a processor raised, alone or in a task group, as a failure.

    A library on OpenAI's own client wraps what that client raises; the failure of the record's
    call is found behind it.

    Raises:
        DeliveryFailed, LeaseLost: They say nothing of the record: it stays unfinished.
    """
    first = _first(error)
    if isinstance(first, Failure) and not isinstance(first, InternalError):
        return first
    for cause in _causes(first):
        if isinstance(cause, (DeliveryFailed, LeaseLost)):
            raise cause
        response = getattr(cause, "response", None)
        failure = getattr(response, "extensions", None) or {}
        if isinstance(failure, dict) and isinstance(failure.get("streamapp_failure"), Failure):
            found: Failure = failure["streamapp_failure"]
            return found
    if isinstance(first, InternalError):  # of a tool or a step
        return first
    bug = InternalError(f"{processor.origin} raised {type(first).__name__}")
    bug.__cause__ = error
    return bug


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, and what each was raised from; of a group the first."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = None if found.__cause__ is None else _first(found.__cause__)
