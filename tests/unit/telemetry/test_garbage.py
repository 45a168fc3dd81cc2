"""The collector of a worker that has started."""

import gc

from streamapp.telemetry.garbage import LARGE, WEIGHT, WeighedCollector, keep_what_is_there


def test_a_started_worker_is_held_up_by_no_collection() -> None:
    """What is there is kept for good, and not looked through: the first records come just then."""
    before = [generation["collections"] for generation in gc.get_stats()]
    gc.disable()
    gc.unfreeze()  # what the suite has kept
    try:
        keep_what_is_there()

        assert gc.get_freeze_count() > 0
        assert [generation["collections"] for generation in gc.get_stats()] == before
    finally:
        gc.freeze()  # as it was, for all tests that follow
        gc.enable()


def test_heavy_records_are_collected_however_few_they_are() -> None:
    """Each weight of them has everything looked at once, before the thresholds are reached."""
    collector, seen = WeighedCollector(), []

    def note(phase: str, info: dict[str, int]) -> None:
        seen.append((phase, info["generation"]))

    gc.disable()
    gc.callbacks.append(note)
    try:
        for _ in range(7):
            collector.passed(WEIGHT // 3)
        for _ in range(2 * WEIGHT // LARGE):
            collector.passed(LARGE - 1)  # what there is of short ones is little
    finally:
        gc.callbacks.remove(note)
        gc.enable()

    assert [generation for phase, generation in seen if phase == "stop"] == [2]
