"""The garbage collector of a process that imports much and keeps it: when it runs, and on what."""

import gc

#: Allocations before the youngest generation is collected, and collections of one generation
#: before the next.
THRESHOLD = (50_000, 20, 50)

#: Bytes of large records after which it looks at everything: Python counts objects, and nobody what
#: they weigh. Of shorter ones the thresholds let no more gather than that.
WEIGHT = 32_000_000
LARGE = 32_768


def collect_rarely() -> None:
    """Collect a seventieth as often as Python by itself.

    Imports leave nothing behind, and a record little that reference counts do not free: at
    Python's own threshold of 700 allocations the collector takes a quarter of the time of a
    start, and a tenth of the CPU of every record.
    """
    gc.set_threshold(*THRESHOLD)


def keep_what_is_there() -> None:
    """Take what lives as long as the process out of the collector's way.

    Without a collection before: it takes a tenth of a second, in which the first records wait,
    and finds a few hundred objects.
    """
    gc.freeze()


class WeighedCollector:
    """Collects by the weight of the large records that went through, whatever their number.

    A record of a megabyte that ends in a cycle, as in an error's frames, is a few dozen objects:
    a gigabyte of them would be there before the thresholds are reached.
    """

    def __init__(self) -> None:
        self._bytes = 0

    def passed(self, size: int) -> None:
        """Note a record of ``size`` bytes."""
        if size < LARGE:
            return
        self._bytes += size
        if self._bytes >= WEIGHT:
            self._bytes = 0
            gc.collect()
