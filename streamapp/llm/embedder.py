"""Vectors of texts that belong to no record."""

from collections.abc import Callable, Sequence

from streamapp.llm.completion import Call
from streamapp.llm.deadline import Deadline
from streamapp.llm.routing.routes import Routes

#: Longest active time of one call, seconds.
DEADLINE_S = 30.0


class Embedder:
    """The default route for embeddings as a function; limits, budgets and bills are the route's.

    Args:
        routes: Those of the records.
        clock: Monotonic, seconds.
    """

    def __init__(self, routes: Routes, *, clock: Callable[[], float]) -> None:
        self._routes = routes
        self._clock = clock

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector a text, in their order.

        Raises:
            Failure: There is no answer.
        """
        route = self._routes.resolve(None, operation="embeddings")
        call = Call(
            operation="embeddings",
            model="",
            inputs=texts,
            deadline=Deadline(DEADLINE_S, self._clock),
        )
        vectors: list[list[float]] = (await route.complete(call)).output
        return vectors
