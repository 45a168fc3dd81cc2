"""One file per record type: the record and its coroutine; see docs/adding-a-record-type.md."""

from streamapp.processors.registry import Processor, processor

__all__ = ["Processor", "processor"]
