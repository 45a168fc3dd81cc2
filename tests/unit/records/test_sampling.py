"""Which parameters a record asks for."""

from streamapp.processors.chat import ChatOptions
from streamapp.records.sampling import Sampling
from streamapp.records.tools import ToolChoice


class Cool(Sampling):
    temperature: float | None = 0.2


class Tooled(ChatOptions):
    tool_choice: ToolChoice | None = "required"


def test_default_of_a_type_is_asked_for() -> None:
    """Whoever makes a type of record may say what its records do not."""
    assert Cool().sampling() == {"temperature": 0.2}
    assert Cool(temperature=1, top_p=0.5).sampling() == {"temperature": 1, "top_p": 0.5}
    assert Tooled().options() == {"tool_choice": "required"}


def test_nothing_is_asked_for_where_nothing_is_set() -> None:
    """The provider's own defaults hold; null is as good as absent."""
    assert Sampling().sampling() == Sampling(temperature=None).sampling() == {}
    assert ChatOptions().options() == {}
