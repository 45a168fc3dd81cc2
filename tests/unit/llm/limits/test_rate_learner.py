"""What is learned of a rate by each answer and refusal."""

import pytest

from streamapp.llm.limits.rate_learner import PaceLearner

AT_ONCE = 100


@pytest.mark.parametrize("late", [0, 30, 69])
def test_refusals_of_calls_in_flight_count_for_the_step_down(late: int) -> None:
    """What is refused after the step down, and was sent before it, was not accepted before it."""
    now = 0.0
    learner = PaceLearner(lambda: now, is_limited=False)
    epochs = [learner.admitted() for _ in range(AT_ONCE)]
    now = 0.5

    learner.refused(epochs[0])
    for epoch in epochs[1 : late + 1]:
        learner.refused(epoch)

    accepted = AT_ONCE - 1 - late
    assert learner.rate_per_s == pytest.approx(accepted / 0.5 * 0.9)
    assert learner.epoch == epochs[0] + 1


def test_refusals_of_older_calls_say_nothing() -> None:
    """A call of before the last but one step down corrects neither."""
    now = 0.0
    learner = PaceLearner(lambda: now, is_limited=False)
    oldest = [learner.admitted() for _ in range(50)]
    now = 0.5
    learner.refused(oldest[0])
    younger = [learner.admitted() for _ in range(20)]
    now = 1.0
    learner.refused(younger[0])
    before = learner.rate_per_s

    learner.refused(oldest[1])

    assert learner.rate_per_s == before


def test_refusals_after_a_word_of_the_provider_still_count_for_the_step_down() -> None:
    """Else the next period would be measured without as many answers as came late."""
    now = 0.0
    learner = PaceLearner(lambda: now, is_limited=False)
    epochs = [learner.admitted() for _ in range(AT_ONCE)]
    now = 0.5
    learner.refused(epochs[0])
    now = 0.6
    learner.told(50.0)
    for epoch in epochs[1:41]:
        learner.refused(epoch)
    younger = [learner.admitted() for _ in range(21)]
    now = 1.5

    learner.refused(younger[0])

    assert learner.rate_per_s == pytest.approx(20 / 1.0 * 0.9)


def test_late_refusals_of_older_calls_stop_nobody() -> None:
    """What is refused later than the period is long may be more than was sent in it."""
    now = 0.0
    learner = PaceLearner(lambda: now, is_limited=False)
    epochs = [learner.admitted() for _ in range(AT_ONCE)]
    now = 6.0
    epochs += [learner.admitted() for _ in range(32)]
    now = 6.5

    for epoch in reversed(epochs):
        learner.refused(epoch)

    assert learner.rate_per_s == pytest.approx(31 / 0.5 * 0.9 / 16)
