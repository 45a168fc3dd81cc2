"""Thoughts before an answer, whole and chunk by chunk."""

import pytest

from streamapp.llm.providers.shapes.thoughts import ThoughtFilter, without_thoughts

CASES = [
    ("hello", "hello"),
    ("<think>a</think>hello", "hello"),
    ("  \n<think>\na <b>\n</think>\n\nhello", "hello"),
    ("[THINK]a[/THINK]hello", "hello"),
    ("◁think▷a◁/think▷hello", "hello"),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>hi", "hi"),
    ("<thi", "<thi"),
    ("<b>bold</b>", "<b>bold</b>"),
    ("Use <think>tags</think> so", "Use <think>tags</think> so"),
    ("<think>never ends", ""),
    ("<think></think>hello", "hello"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "answer"), CASES)
def test_thoughts_are_stripped(text: str, answer: str) -> None:
    """Of a whole text the answer is left, and of thoughts their length."""
    assert without_thoughts(text)[0] == answer


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(("text", "answer"), CASES)
def test_chunks_make_no_difference(text: str, answer: str, size: int) -> None:
    """However a text is cut into chunks, the same comes out."""
    thoughts = ThoughtFilter()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]

    found = "".join([*map(thoughts.feed, chunks), thoughts.end()])

    assert found == answer
    assert thoughts.thought_chars == without_thoughts(text)[1]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a\n</think>\n\nhello", "hello"),
        ("a\n</think>  \nhello", "hello"),
        ("Say hello.</think>hello", "hello"),
        ("a.</think> hello", "hello"),
        ("</think>\n\nhello", "hello"),
        ("a\n</think>hello", "hello"),
        ("a\n</think>", ""),
        ("it ends with `</think>`, so\n</think>\nhello", "hello"),
    ],
)
def test_thoughts_that_nothing_opened_are_stripped(text: str, answer: str) -> None:
    """A template that opens them leaves the closing tag alone: what is before it is thought."""
    found, thought_chars = without_thoughts(text)

    assert found == answer
    assert thought_chars == text.rindex("</think>")


@pytest.mark.parametrize(
    "text",
    [
        "Close it by `</think>`.",
        'Close it by "</think>".',
        "A </think> tag ends thoughts.",
        "The tag:\n</think> is its name",
        "Write\n```\n</think>\n```\nat the end",
        "It opens with <think>\nand ends with\n</think>\nas you see",
        "(</think>)",
    ],
)
def test_tag_that_a_text_is_about_stays(text: str) -> None:
    """Quoted, in prose, in code, or beside its opening one it is the answer's own."""
    assert without_thoughts(text) == (text, 0)


def test_answer_is_not_held_back() -> None:
    """A text that is no thought goes on at once."""
    assert ThoughtFilter().feed("Hello") == "Hello"
