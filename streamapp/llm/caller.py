"""The name of the HTTP key behind the calls of the current task, for the usage."""

from contextvars import ContextVar

#: Empty where there is none: a record of the topic, a key without a name.
CALLER: ContextVar[str] = ContextVar("streamapp_caller", default="")
