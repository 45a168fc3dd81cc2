"""Errors with the provider's own words, cut and without secrets, where the operator wants them."""

from collections.abc import Iterable

from streamapp.errors import ProviderError
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.telemetry.redaction import Redactor

#: Longest quotation, characters.
TOLD_CHARS = 300


class ShownErrors:
    """Puts what the provider said into the message of each error.

    Args:
        provider: Raises the errors.
        secrets: What it may quote of the operator's: its key, and the values of headers.
    """

    def __init__(self, provider: Completer, *, secrets: Iterable[str]) -> None:
        self._provider = provider
        self._redacted = Redactor(secrets)

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider."""
        try:
            return await self._provider.complete(call)
        except ProviderError as error:
            if told := quotation(error.told, self._redacted):
                error.args = (f"{error}; the provider says: {told}",)
                error.told = ""
            raise


def quotation(told: str, redacted: Redactor) -> str:
    """Return what a provider said in one line, without secrets, of `TOLD_CHARS` at most."""
    text = redacted(" ".join(told.split()))
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= TOLD_CHARS else f"{text[: TOLD_CHARS - 1]}…"
