from decimal import Decimal

from streamapp.streaming.flows.costs import DAY_S, FlowCosts


def test_costs_are_those_of_the_last_day() -> None:
    """What is older than a day is let go of, and a flow that cost nothing since is left out."""
    now = [1_000_000.0]
    costs = FlowCosts(lambda: now[0])
    costs.add("labels", Decimal("0.5"))
    now[0] += 30
    costs.add("labels", Decimal("0.25"))
    costs.add("replies", Decimal("0.125"))
    now[0] += DAY_S / 2
    costs.add("labels", Decimal(1))

    first = costs.day()
    now[0] += DAY_S / 2

    assert first == {"labels": Decimal("1.75"), "replies": Decimal("0.125")}
    assert costs.day() == {"labels": Decimal(1)}


def test_a_flow_keeps_one_sum_a_minute() -> None:
    """Many answers take no more memory than few."""
    costs = FlowCosts(lambda: 60.0)
    for _ in range(1_000):
        costs.add("labels", Decimal("0.001"))

    assert costs.day() == {"labels": Decimal(1)}
    assert len(costs._minutes["labels"]) == 1


def test_answers_whose_price_is_unknown_are_counted_apart() -> None:
    """They are no cost of nothing, and let go of with their minute."""
    now = [1_000_000.0]
    costs = FlowCosts(lambda: now[0])
    costs.add("labels", None)
    costs.add("labels", Decimal("0.5"))
    now[0] += 90
    costs.add("labels", None)
    costs.add("replies", None)

    first = costs.unpriced_day()
    now[0] += DAY_S - 60

    assert first == {"labels": 2, "replies": 1}
    assert costs.unpriced_day() == {"labels": 1, "replies": 1}
    assert costs.day() == {}
