"""The garbage collector's thresholds for a process that imports much and keeps it."""

import gc

#: Allocations before the youngest generation is collected, and collections of one generation
#: before the next.
THRESHOLD = (50_000, 20, 50)


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
