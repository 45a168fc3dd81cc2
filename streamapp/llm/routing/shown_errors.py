"""Errors with the provider's own words, cut and without secrets, where the operator wants them."""

from collections.abc import Iterable

from streamapp.errors import ProviderDenied, ProviderError, ProviderRejected
from streamapp.llm.completion import Call, Completion
from streamapp.llm.provider import Completer
from streamapp.telemetry.redaction import Redactor

#: Longest quotation, characters.
TOLD_CHARS = 300


class ShownErrors:
    """Puts what the provider said into the message of each error, or where to have that shown.

    Args:
        provider: Raises the errors.
        name: Of the provider, as configured.
        is_wanted: Whether the words are quoted; else a refusal names the setting.
        secrets: What it may quote of the operator's: its key, and the values of headers.
    """

    def __init__(
        self, provider: Completer, *, name: str, is_wanted: bool, secrets: Iterable[str]
    ) -> None:
        self._provider = provider
        self._name = name
        self._is_wanted = is_wanted
        self._redacted = Redactor(secrets)

    async def complete(self, call: Call) -> Completion:
        """Answer ``call``; raises as the provider."""
        try:
            return await self._provider.complete(call)
        except ProviderError as error:
            if told := quotation(error.told, self._redacted):
                if self._is_wanted:
                    error.args = (f"{error}; the provider says: {told}",)
                elif isinstance(error, (ProviderRejected, ProviderDenied)):
                    setting = f"show_errors = true in [providers.{self._name}]"
                    error.args = (f"{error}; {setting} shows what it says",)
            raise


def quotation(told: str, redacted: Redactor) -> str:
    """Return what a provider said in one line, without secrets, of `TOLD_CHARS` at most."""
    text = redacted(" ".join(told.split()))
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= TOLD_CHARS else f"{text[: TOLD_CHARS - 1]}…"
