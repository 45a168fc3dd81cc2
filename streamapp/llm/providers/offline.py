"""A provider without a model: deterministic, instant, for the demo, tests and air-gapped trials.

Its answer depends on the call alone, as that of a model does: on the messages, where the tags of
our own prompts are known, and on the schema. Offered tools it calls one after the other, with
what the texts say by the names of their arguments. It never pretends to understand.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from streamapp.llm.completion import Call, Completion
from streamapp.llm.schemas.instance import instance_of
from streamapp.llm.schemas.schema import Schemas
from streamapp.records.response import Usage

MODEL = "offline"
DIMENSIONS = 8

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_CHUNK = re.compile(r"\S+\s*|\s+")
_WORD = re.compile(r"\w+")
_WORD_LIMIT = re.compile(r"\bin at most (\d{1,6}) words\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}\w")


class OfflineProvider:
    """Answers by rules; says so in ``provider`` and ``model``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._schemas = Schemas()

    async def complete(self, call: Call) -> Completion:
        """Answer ``call`` at once.

        Raises:
            InvalidRecord: The call's schema cannot be used.
        """
        if call.operation == "embeddings":
            size = call.parameters.get("dimensions") or DIMENSIONS
            texts = [
                one if isinstance(one, str) else " ".join(map(str, one)) for one in call.inputs
            ]
            output: Any = [_vector(text, size) for text in texts]
            read, written = " ".join(texts), ""
        elif wanted := self._wanted(call):
            name, given = wanted
            return Completion(
                output="",
                model=MODEL,
                provider=self._name,
                tool_calls=[
                    {
                        "id": f"call_{len(call.messages)}",
                        "type": "function",
                        "function": {"name": name, "arguments": _json(given)},
                    }
                ],
                usage=Usage(input_tokens=len(_read(call).split()), output_tokens=1),
                finish_reason="tool_calls",
            )
        else:
            output = written = self._answer(call)
            if call.chunks:
                await call.chunks.begin()
                for chunk in _CHUNK.findall(written):
                    await call.chunks.add(chunk)
            read = _read(call)
        return Completion(
            output=output,
            model=MODEL,
            provider=self._name,
            usage=Usage(input_tokens=len(read.split()), output_tokens=len(written.split())),
            finish_reason=None if call.operation == "embeddings" else "stop",
        )

    async def aclose(self) -> None:
        """Nothing to close."""

    def _wanted(self, call: Call) -> tuple[str, Any] | None:
        """Return the first tool that was not called yet, and what the texts give it."""
        if call.parameters.get("tool_choice") == "none":
            return None
        called = {
            one["function"]["name"]
            for message in call.messages
            for one in message.get("tool_calls") or ()
        }
        for tool in call.parameters.get("tools") or ():
            function = tool["function"]
            if function["name"] not in called:
                schema = function.get("parameters") or {"type": "object"}
                return function["name"], self._extracted(_read(call), schema)
        return None

    def _answer(self, call: Call) -> str:
        users = (m for m in reversed(call.messages) if m.get("role") == "user")
        asked = next(map(_text_of, users), "")
        told = [_text_of(m) for m in call.messages if m.get("role") == "tool"]
        text = _within("text", asked)
        given = "\n".join([asked if text is None else text, *told])
        if call.output_schema is not None:
            return _json(self._extracted(given, call.output_schema))
        if text is not None:
            if bound := _WORD_LIMIT.search(asked):
                return summary(text, max_words=int(bound[1]))
            if language := _within("language", asked):
                return f"[offline, {language}] {text}"
        return f"[offline] {given}"

    def _extracted(self, text: str, schema: Mapping[str, Any]) -> Any:
        """Return an instance of ``schema``: its defaults, and what ``text`` says by their names."""
        instance = instance_of(schema)
        if isinstance(instance, dict):
            for name in instance:
                rules = schema.get("properties", {}).get(name)
                default = rules.get("default") if isinstance(rules, Mapping) else None
                for found in (default, _chosen(rules, text), _found(name, rules, text)):
                    filled = {**instance, name: found}
                    if found is not None and self._schemas.mismatch(schema, filled) is None:
                        instance = filled
        return instance


def summary(text: str, *, max_words: int) -> str:
    """Return the first sentences of ``text``, or the first words where one is too long."""
    words: list[str] = []
    for sentence in _SENTENCE_END.split(text.strip()):
        added = sentence.split()
        if words and len(words) + len(added) > max_words:
            break
        words += added
    return " ".join(words[:max_words])


def best_label(text: str, labels: list[str]) -> str:
    """Return the label that shares most words with ``text``; the first one without any."""
    words = {word.lower() for word in _WORD.findall(text)}
    return max(labels, key=lambda label: len(words.intersection(_WORD.findall(label.lower()))))


def _chosen(rules: Any, text: str) -> str | None:
    """Return which of a property's texts fits best; None where it may be any."""
    allowed = rules.get("enum") if isinstance(rules, Mapping) else None
    if not isinstance(allowed, list) or not all(isinstance(one, str) for one in allowed):
        return None
    return best_label(text, allowed) if allowed else None


def _within(tag: str, message: str) -> str | None:
    """Return what a message holds between its outermost tags of a name; None without them.

    They are those of the filter `data`, which may carry a number.
    """
    opening = re.search(rf"<({tag}(?:-\d{{1,9}})?)>\n", message)
    if opening is None:
        return None
    end = message.rfind(f"\n</{opening[1]}>")
    return message[opening.end() : end] if end >= opening.end() else None


def _found(name: str, rules: Any, text: str) -> str | float | None:
    """Return what ``text`` gives for a property: after its name, an address or a number."""
    kind = rules.get("type") if isinstance(rules, Mapping) else None
    label = re.escape(name).replace("_", r"[\s_]")
    named = re.search(rf"\b{label}\s*(?::|=|\bis\b)\s*([^\n,;]{{1,200}})", text, re.IGNORECASE)
    value = named[1].strip() if named else ""
    if kind in ("number", "integer"):
        number = _NUMBER.search(value or text)
        if number is None:
            return None
        return round(float(number[0])) if kind == "integer" else float(number[0])
    if kind != "string":
        return None
    if "mail" in name.lower() and (address := _EMAIL.search(text)):
        return address[0]
    return value.rstrip(".") or None


def _vector(text: str, size: int) -> list[float]:
    """Return a unit vector that depends on the text alone."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(size)
    numbers = [byte - 127.5 for byte in digest]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(p.get("text", "")) for p in content if isinstance(p, Mapping))
    return content if isinstance(content, str) else ""


def _read(call: Call) -> str:
    # By lines: what one text says by a name ends with that text.
    return "\n".join(_text_of(message) for message in call.messages)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
