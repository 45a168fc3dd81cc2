"""The streamed answer of ``POST /chat/completions``, put together from its events."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamapp.errors import AnswerBroken, ContentFiltered, ProviderError, ProviderUnavailable
from streamapp.llm.attempt import refused
from streamapp.llm.chunks import CallDelta, Instead
from streamapp.llm.completion import Call, Completion
from streamapp.llm.providers.bodies import decode_any, garbled
from streamapp.llm.providers.event_stream import Halves
from streamapp.llm.providers.refusals.reading import error_within
from streamapp.llm.providers.shapes.chat_answer import (
    ReadChoice,
    completion_of,
    error_in,
    first_choice,
    logprobs_of,
)
from streamapp.llm.providers.shapes.content import NO_CONTENT, Content, content_of
from streamapp.llm.providers.shapes.finish_reason import finish_reason_of
from streamapp.llm.providers.shapes.thoughts import (
    LoneClosing,
    ThoughtFilter,
    ThoughtHabit,
    after_lone_closing,
)
from streamapp.llm.providers.shapes.tool_calls import ToolCalls
from streamapp.llm.providers.shapes.usage import counts_in

_DONE = b"[DONE]"


class ChatStream:
    """Takes the events of one answer, in order.

    Args:
        call: What was asked.
        provider: The configured provider's name.
        habit: Of the target; learns from this answer.
    """

    def __init__(self, call: Call, *, provider: str, habit: ThoughtHabit | None = None) -> None:
        self._call = call
        self._provider = provider
        self._thoughts, self._halves = ThoughtFilter(), Halves()
        self._habit = habit or ThoughtHabit()
        self._is_held = self._habit.begins_within
        self._lone: LoneClosing | None = LoneClosing()
        self._lone_chars, self._is_bare = 0, False
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._reasoning_chars = 0
        self._finish_reason: str | None = None
        self._has_ended = self._has_content = False
        self._said = b""
        self._calls, self._logprobs = ToolCalls(), list[Mapping[str, Any]]()
        self._has_calls = False
        self._answer: dict[str, Any] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything was generated: then it is paid for."""
        return bool(
            self._texts
            or self._has_calls
            or self._reasoning_chars
            or self._thoughts.thought_chars
            or self._lone_chars
        )

    @property
    def is_over(self) -> bool:
        """Whether the answer says that it is whole."""
        return self._has_ended or self._finish_reason is not None

    def feed(self, event: bytes) -> str | Instead:
        """Take the data of one event; return the text it adds, often none.

        What goes wrong behind the end of an answer takes nothing from it, but for a provider that
        withholds it after all.

        Raises:
            GarbledAnswer: It is no part of a completion.
            ProviderError: It says that something went wrong.
        """
        if event == _DONE:
            self._has_ended = True
            return ""
        if not event.startswith((b"{", b"[")):
            self._said = self._said or event  # a ping, unless nothing else comes
            return ""
        if b"\\u" in event:
            event = self._halves.joined(event)
        try:
            return self._fed(event)
        except ContentFiltered:
            raise
        except ProviderError:
            if self.is_over:
                return ""
            raise

    def _fed(self, event: bytes) -> str | Instead:
        chunk = decode_any(event, self._provider)
        if error := error_in(chunk):
            if not self.is_over:
                refused()
            raise error_within(error, provider=self._provider)
        try:
            return self._take(chunk)
        except (LookupError, TypeError, AttributeError) as error:
            raise garbled("no choice with a delta", self._provider) from error

    def new_calls(self) -> Sequence[CallDelta]:
        """Return what was added to tool calls since it was last asked for."""
        return self._calls.new() if self._has_calls else ()

    def _take(self, chunk: Any) -> str | Instead:
        if chunk.get("model"):
            self._answer["model"] = chunk["model"]
        counts = counts_in(chunk)
        if counts is not None:
            self._answer["usage"] = counts
        # A chunk with the usage alone, a ping, or a vendor's extra has no choice.
        choice = first_choice(chunk) if chunk.get("choices") else {}
        # The usage alone comes when all is written, also where nothing else says so.
        self._has_ended |= counts is not None and not choice and self.has_begun
        if failure := choice.get("error"):
            raise error_within(failure, provider=self._provider)
        self._finish_reason = finish_reason_of(choice.get("finish_reason")) or self._finish_reason
        if logprobs := logprobs_of(choice):
            self._logprobs.append(logprobs)
        part = choice.get("delta")
        if not part and not self._texts:
            # A whole message in place of its parts.
            part = choice.get("message")
        if not part:
            return ""
        content = content_of(part)
        self._has_content |= content.is_there
        if part.get("tool_calls") or part.get("function_call"):
            self._has_calls = True
            self._calls.add(part)
        self._reasoning_chars += content.reasoning_chars
        self._refusals.append(content.refusal)
        return self._add(self._thoughts.feed(content.text)) if content.text else ""

    def _add(self, text: str) -> str | Instead:
        if self._is_bare:
            text = text.lstrip()
        if not text:
            return ""
        self._is_bare = False
        self._texts.append(text)
        if self._lone is not None and self._lone.may_be_in(text):
            return self._behind_thoughts(is_whole=False) or ("" if self._is_held else text)
        return "" if self._is_held else text

    def _behind_thoughts(self, *, is_whole: bool) -> Instead | None:
        """Return the answer behind thoughts that nothing opened; None where there are none."""
        found = after_lone_closing("".join(self._texts), is_whole=is_whole)
        if found is None or self._thoughts.has_opened:
            return None
        answer, self._lone_chars = found
        self._texts, self._is_bare = [answer] if answer else [], not answer
        self._lone, self._is_held = None, False
        self._habit.begins_within = True
        return Instead(answer)

    def end(self) -> str | Instead:
        """Return the text that was held back until the stream's end.

        Raises:
            AnswerBroken: It ended before the answer did, of which something had come.
            ProviderUnavailable: It ended before anything came.
        """
        if not self.is_over:
            if self._said and not self.has_begun:
                refused()
                said = self._said.decode("utf-8", "replace")
                raise error_within({"message": said}, provider=self._provider)
            message = f"{self._provider}: broke off"
            if self.has_begun:
                raise AnswerBroken(message, provider=self._provider)
            raise ProviderUnavailable(message, provider=self._provider)
        return self._last(self._add(self._thoughts.end()))

    def _last(self, text: str | Instead) -> str | Instead:
        """Return ``text`` and what was held back for its sake."""
        if self._lone is None:
            return text
        if self._lone.is_there and (instead := self._behind_thoughts(is_whole=True)):
            return instead
        self._habit.begins_within = False
        return "".join(self._texts) if self._is_held else text

    def completion(self) -> Completion:
        """Return the whole answer, after `end`; raises as ``chat_completion``."""
        content = NO_CONTENT
        text = "".join(self._texts)
        is_there = self._has_content or self._has_calls
        content = Content(text, "".join(self._refusals), self._reasoning_chars, is_there)
        try:
            calls = self._calls.all()
        except LookupError as error:
            raise garbled("a tool call without a name", self._provider) from error
        read = ReadChoice(
            content,
            self._thoughts.thought_chars + self._lone_chars,
            self._finish_reason,
            calls,
            _joined(self._logprobs),
        )
        answer: Mapping[str, Any] = self._answer
        return completion_of(read, answer, self._call, self._provider)


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the log probabilities of all parts, one list after another."""
    joined: dict[str, Any] = {}
    for part in parts:
        for name, values in part.items():
            if isinstance(values, list):
                joined[name] = [*(joined.get(name) or ()), *values]
            else:
                joined.setdefault(name, values)
    return joined or None
