"""The collector of a worker that has started."""

import gc

from streamapp.telemetry.garbage import keep_what_is_there


def test_a_started_worker_is_held_up_by_no_collection() -> None:
    """What is there is kept for good, and not looked through: the first records come just then."""
    before = [generation["collections"] for generation in gc.get_stats()]
    gc.disable()
    try:
        keep_what_is_there()

        assert gc.get_freeze_count() > 0
        assert [generation["collections"] for generation in gc.get_stats()] == before
    finally:
        gc.unfreeze()
        gc.enable()
