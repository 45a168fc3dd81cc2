"""Thoughts that a model writes before its answer, told from the answer."""

import re

#: What opens and what closes thoughts, by model family: DeepSeek, Qwen and most others; Gemini;
#: Magistral; Kimi; gpt-oss where its channels are not parsed.
_PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
)
_OPENINGS = tuple(opening for opening, _ in _PAIRS)
_LONGEST = max(len(opening) for opening, _ in _PAIRS)
#: Some chat templates write the opening tag into the prompt: only the closing one comes back, on
#: its own line (DeepSeek-R1, Qwen) or right behind the thoughts (DeepSeek-V3.1, GLM). One between
#: quotes, or with blanks round it, is what the text is about.
_CLOSED_ALONE = re.compile(
    r"""^[^\S\n]*</think>(?=[^\S\n]*$|[^\s`'"”»),.;:])|(?<=[^\s`'"“«(\[=])</think>(?![`'"”»),;:])""",
    re.MULTILINE,
)
_CLOSING = "</think>"
#: So much of a text's end is looked at again with the next chunk, and so often the whole text.
_NEAR = 24
_LOOKS = 16


class ThoughtFilter:
    """Takes a text chunk by chunk, and gives what is no thought of it.

    Thoughts are only looked for at the beginning: a tag further on is the answer's.

    Attributes:
        thought_chars: How long the thoughts were, characters.
    """

    def __init__(self) -> None:
        self.thought_chars = 0
        self._held = ""
        self._closing = ""
        self._is_answer = False
        self._is_first = True

    @property
    def has_opened(self) -> bool:
        """Whether the text begins with thoughts."""
        return bool(self._closing)

    @property
    def is_open(self) -> bool:
        """Whether thoughts have begun and not ended."""
        return bool(self._closing) and not self._is_answer

    def feed(self, chunk: str) -> str:
        """Return what of the text so far is known to be the answer, and was not given before."""
        if self._is_answer:
            return self._begun(chunk)
        self._held += chunk
        if not self._closing:
            start = self._held.lstrip()
            for opening, closing in _PAIRS:
                if start.startswith(opening):
                    self._closing, self._held = closing, start[len(opening) :]
                    break
            else:
                if len(start) < _LONGEST and _may_open(start):
                    return ""
                self._is_answer, self._is_first = True, False
                held, self._held = self._held, ""
                return held
        return self._closed()

    def _closed(self) -> str:
        thought, closing, answer = self._held.partition(self._closing)
        if not closing:
            kept = len(self._closing) - 1
            self.thought_chars += max(len(self._held) - kept, 0)
            # A long thought is not searched again with each chunk.
            self._held = self._held[-kept:]
            return ""
        self.thought_chars += len(thought)
        self._is_answer, self._held = True, ""
        return self._begun(answer)

    def _begun(self, chunk: str) -> str:
        if self._is_first:
            chunk = chunk.lstrip()
            self._is_first = not chunk
        return chunk

    def end(self) -> str:
        """Return what is left: a beginning that looked like a tag, and was none."""
        held, self._held = self._held, ""
        if self.is_open:
            self.thought_chars += len(held)
            return ""
        self._is_answer = True
        return held


def _may_open(start: str) -> bool:
    return any(opening.startswith(start) for opening, _ in _PAIRS)


class ThoughtHabit:
    """Whether the streams of a target begin within thoughts, as far as its last one told.

    Attributes:
        begins_within: Then what comes before the closing tag is held back.
    """

    def __init__(self) -> None:
        self.begins_within = False


class LoneClosing:
    """Looks in a text that comes in chunks for the end of thoughts that nothing opened.

    Attributes:
        is_there: Whether the tag is in the text, whatever it means there.
    """

    def __init__(self) -> None:
        self.is_there = False
        self._near = ""
        self._looks = 0

    def may_be_in(self, chunk: str) -> bool:
        """Whether the tag is near the end of the text that ends with ``chunk``."""
        if "<" not in chunk and not self._near:
            return False
        near = self._near + chunk
        # Kept only where the tag may have begun: most chunks hold none.
        self._near = near[-_NEAR:] if "<" in near[-_NEAR:] else ""
        if _CLOSING not in near:
            return False
        self.is_there = True
        self._looks += 1
        return self._looks <= _LOOKS


def after_lone_closing(text: str, *, is_whole: bool) -> tuple[str, int] | None:
    """Return the answer behind thoughts that nothing opened, and their length; None without any.

    Args:
        text: From its beginning.
        is_whole: Whether nothing comes after it.
    """
    match = _CLOSED_ALONE.search(text)
    if match is None:
        return None
    before, after = text[: match.start()], text[match.end() :]
    # What follows on the tag's line tells whether it ends thoughts.
    is_known = is_whole or bool(after.lstrip(" \t"))
    is_code = before.count("```") % 2
    if not is_known or is_code or "<think>" in before:
        return None
    return after.lstrip(), len(before)


def without_thoughts(text: str) -> tuple[str, int]:
    """Return the answer in a whole text, and the length of the thoughts before it, characters.

    Thoughts that do not end are all that there is: the answer is empty.
    """
    if _CLOSING not in text and not text.lstrip().startswith(_OPENINGS):
        return text, 0
    thoughts = ThoughtFilter()
    answer = thoughts.feed(text) + thoughts.end()
    alone = None if thoughts.has_opened else after_lone_closing(answer, is_whole=True)
    return alone or (answer, thoughts.thought_chars)
