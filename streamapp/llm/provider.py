"""The interface of a model provider, which the policies around one implement as well."""

from typing import Protocol

from streamapp.llm.completion import Call, Completion


class Completer(Protocol):
    """Anything that answers a call: a vendor's adapter, or a policy around one."""

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``.

        Raises:
            ProviderError: The vendor did not answer; says whether a retry can help.
            Failure: A policy gave up for its own reason.
        """
        ...


class LLMProvider(Completer, Protocol):
    """A vendor's adapter, which holds connections; whoever built it closes it."""

    async def aclose(self) -> None:
        """Release connections; the object is not used afterwards."""
        ...
