"""Draft length: what the measured times and the running acceptance make of it."""

from __future__ import annotations

import pytest

from gnomon.engine.draft_policy import (
    FORGET_AFTER,
    KEEP,
    REWIND,
    SURE,
    Acceptance,
    DraftPolicy,
    Offer,
    Timings,
    lengths,
)

FREE = Offer("lookup", 0.5, 16, free=True)


def measured(**seconds: float) -> Timings:
    """Timings of steps by row count (`r4=1.2`) and of other things by name."""
    timings = Timings()
    for name, value in seconds.items():
        what = int(name[1:]) if name[0] == "r" and name[1:].isdigit() else name
        for seconds in (99.0, *[value] * SURE):
            timings.note(what, seconds)
    return timings


def test_the_first_measurement_of_a_kind_is_left_out() -> None:
    timings = Timings()
    timings.note(1, 99.0)
    assert timings.best(1) is None
    timings.note(1, 2.0)
    assert timings.best(1) == 2.0


def test_the_best_of_the_last_few_counts() -> None:
    timings = measured(r1=1.0)
    for seconds in range(KEEP):
        timings.note(1, 3.0 + seconds)
    assert timings.best(1) == 3.0


def test_old_measurements_are_forgotten() -> None:
    timings = measured(r4=9.0)
    for _ in range(FORGET_AFTER + 1):
        timings.note(1, 1.0)
    assert timings.best(4) is None
    timings.note(4, 2.0)
    assert timings.best(4) == 2.0


def steps(timings: Timings) -> dict[int, float]:
    return dict(zip(lengths(), timings.steps(1.0), strict=True))


def test_a_step_not_measured_costs_no_more_than_a_longer_one() -> None:
    assert steps(measured(r1=1.0, r16=1.2))[7] == 1.2


def test_a_step_with_drafts_costs_no_less_than_one_without() -> None:
    assert steps(measured(r1=1.0, r4=0.6))[3] == 1.0


def test_a_step_beyond_all_measured_ones_is_taken_to_be_cheap() -> None:
    assert steps(measured(r1=1.0))[7] == pytest.approx(1.7)
    assert steps(measured(r1=1.0, r4=2.5))[7] == pytest.approx(2.9)


def test_a_single_high_measurement_is_not_believed() -> None:
    timings = measured(r1=1.0, r4=1.3)
    timings.note(8, 99.0)
    timings.note(8, 50.0)
    assert steps(timings)[7] == pytest.approx(1.7)
    for _ in range(SURE):
        timings.note(8, 50.0)
    assert steps(timings)[7] == 50.0


def test_a_single_high_cost_of_a_drafted_token_is_not_believed() -> None:
    timings = Timings()
    assert timings.draft("own", 1.0) == pytest.approx(0.1)
    for seconds in (99.0, 50.0):
        timings.note("own", seconds)
    assert timings.draft("own", 1.0) == pytest.approx(0.1)
    for _ in range(SURE):
        timings.note("own", 50.0)
    assert timings.draft("own", 1.0) == 50.0


def test_a_low_cost_of_a_drafted_token_is_believed_at_once() -> None:
    timings = Timings()
    for seconds in (99.0, 0.05):
        timings.note("own", seconds)
    assert timings.draft("own", 1.0) == 0.05


def test_nothing_is_drafted_before_a_plain_step_was_measured() -> None:
    assert DraftPolicy(Timings()).choose([FREE], 16) == (None, 0)


def test_drafts_that_stand_are_made_longer() -> None:
    policy = DraftPolicy(measured(r1=1.0, r2=1.1, r4=1.2, r8=1.4, r16=2.0))
    lengths = []
    for _ in range(6):
        offer, length = policy.choose([FREE], 16)
        policy.acceptance.note("lookup", length, refused=False)
        lengths.append(length)
        assert offer is FREE
    assert lengths == sorted(lengths)
    assert lengths[-1] == 15


def test_drafting_stops_when_drafts_are_refused() -> None:
    policy = DraftPolicy(measured(r1=1.0, r2=1.3, r4=1.4, r8=2.0, r16=3.3))
    for _ in range(5):
        policy.acceptance.note("lookup", 0, refused=True)
    assert policy.choose([FREE], 16) == (None, 0)


def test_drafting_stops_where_a_row_costs_as_much_as_a_step() -> None:
    policy = DraftPolicy(measured(r1=1.0, r2=2.0, r3=3.0, r4=4.0, r8=8.0, r16=16.0))
    policy.acceptance.note("lookup", 30, refused=False)
    assert policy.choose([FREE], 16) == (None, 0)


def test_drafting_is_tried_again_when_failures_are_long_ago() -> None:
    policy = DraftPolicy(measured(r1=1.0, r2=1.3, r4=1.4))
    for _ in range(5):
        policy.acceptance.note("lookup", 0, refused=True)
    assert policy.choose([FREE], 16)[1] == 0
    for _ in range(2000):
        policy.acceptance.step()
    assert policy.choose([FREE], 16)[1] > 0


@pytest.mark.parametrize(("prior", "drafts"), [(0.5, False), (0.7, True)])
def test_a_length_never_verified_is_tried_only_where_drafts_should_stand(
    prior: float, drafts: bool
) -> None:
    offer = Offer("lookup", prior, 16, free=True)
    assert (DraftPolicy(measured(r1=1.0)).choose([offer], 16)[1] > 0) == drafts


def steps_until_tried(policy: DraftPolicy, offer: Offer) -> int:
    """How many steps pass until another draft is chosen."""
    for count in range(10000):
        if policy.choose([offer], 16)[1]:
            return count
        policy.acceptance.step()
    pytest.fail("never tried again")


@pytest.mark.parametrize("costly", [True, False])
def test_what_costs_time_and_always_fails_is_tried_again_later_each_time(costly: bool) -> None:
    policy = DraftPolicy(measured(r1=1.0, r2=1.1, r4=1.2, own=0.2))
    offer = Offer("own", 0.7, 16, free=False)
    waits = []
    for _ in range(12):
        policy.acceptance.note("own", 0, refused=True, costly=costly)
        waits.append(steps_until_tried(policy, offer))
    waits = [wait for wait in waits if wait]
    assert len(waits) > 3
    assert (waits == sorted(waits) and waits[-1] > 2 * waits[0]) == costly


def test_one_token_that_stands_ends_a_row_of_failures() -> None:
    waits = []
    for stood in (0, 1):
        policy = DraftPolicy(measured(r1=1.0, r2=1.1, r4=1.2, own=0.2))
        for tokens in (0, 0, 0, 0, 0, 0, 0, stood):
            policy.acceptance.note("own", tokens, refused=True, costly=True)
        waits.append(steps_until_tried(policy, Offer("own", 0.7, 16, free=False)))
    assert waits[1] < waits[0] / 4


def test_what_drafting_costs_is_counted() -> None:
    slow = Offer("draft model", 0.6, 16, free=False)
    cheap = DraftPolicy(measured(r1=1.0, r2=1.1, r4=1.2, **{"draft model": 0.05}))
    dear = DraftPolicy(measured(r1=1.0, r2=1.1, r4=1.2, **{"draft model": 0.9}))
    assert cheap.choose([slow], 16)[1] > 0
    assert dear.choose([slow], 16) == (None, 0)


def test_what_a_rewind_costs_is_counted() -> None:
    steps = {"r1": 1.0, "r2": 1.1, "r4": 1.2, "r8": 1.4, "r16": 2.0}
    assert DraftPolicy(measured(**steps)).choose([FREE], 16)[1] > 0
    assert DraftPolicy(measured(**steps, **{REWIND: 3.0})).choose([FREE], 16) == (None, 0)


def test_of_two_drafters_the_one_that_promises_more_is_taken() -> None:
    model = Offer("draft model", 0.6, 16, free=False)
    policy = DraftPolicy(measured(r1=1.0, r2=1.1, r4=1.2, **{"draft model": 0.05}))
    assert policy.choose([model, FREE], 16)[0] is model
    policy.acceptance.note("lookup", 20, refused=False)
    assert policy.choose([model, FREE], 16)[0] is FREE


@pytest.mark.parametrize("most", [0, 1, 2, 3, 6])
def test_no_more_is_drafted_than_there_is_room_for(most: int) -> None:
    policy = DraftPolicy(measured(r1=1.0, r2=1.01, r4=1.02, r8=1.03))
    assert policy.choose([FREE], most)[1] <= most


def test_acceptance_starts_from_what_the_drafter_expects_and_learns() -> None:
    acceptance = Acceptance()
    assert acceptance.rate(FREE) == 0.5
    acceptance.note("lookup", 3, refused=True)
    assert 0.5 < acceptance.rate(FREE) < 0.75
    acceptance.note("another", 0, refused=True)
    assert acceptance.rate(FREE) > 0.5
