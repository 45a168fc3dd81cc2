"""The logs of a failed test's programs, in its report: they lie where CI does not look."""

from collections.abc import Generator

import pytest

from tests.support.process import ChildProcess

#: Lines kept of each log: a start, a rebalance and what came after.
LINES = 150

_before = pytest.StashKey[int]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which programs were there before."""
    item.stash[_before] = len(ChildProcess.started)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the test's programs logged last, and those of a fixture that still run."""
    report = yield
    if report.failed:
        before = item.stash.get(_before, 0)
        for number, process in enumerate(ChildProcess.started):
            if number >= before or process.alive:
                report.sections.append((f"log of {process.log}", process.tail(LINES)))
    return report
