"""exp, log, powers and sums from basic operations only."""

import math

import numpy as np
import pytest

from gnomon.sampling.portable import exp, exp_number, log, power, total

REACH = np.concatenate(
    (np.linspace(-708.0, 709.0, 200_001), np.random.default_rng(1).normal(0.0, 3.0, 50_000))
)


def test_exp_is_within_two_units_in_the_last_place() -> None:
    exact = np.exp(REACH.astype(np.longdouble))
    error = np.abs((exp(REACH) - exact) / np.spacing(exact.astype(np.float64)))
    assert error.max() < 2.0


def test_exp_of_zero_is_exactly_one() -> None:
    assert exp(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_exp_is_zero_far_below_and_infinite_far_above() -> None:
    x = np.array([-np.inf, -1e300, -708.1, 709.1, np.inf])
    assert exp(x).tolist() == [0.0, 0.0, 0.0, np.inf, np.inf]


def test_exp_gives_the_same_bits_wherever_a_number_stands() -> None:
    x = np.random.default_rng(2).normal(-5.0, 3.0, 40_000)
    assert np.array_equal(exp(x)[39_000:], exp(x[39_000:]))


def test_exp_never_falls_as_its_argument_rises() -> None:
    x = np.sort(np.random.default_rng(3).uniform(-1e-3, 1e-3, 20_000))
    assert (np.diff(exp(x)) >= 0).all()


@pytest.mark.parametrize(
    ("x", "bits"),
    [
        (-1.0, "0x1.78b56362cef38p-2"),
        (-0.1, "0x1.cf46d99d52b3ap-1"),
        (-20.5, "0x1.57a3afeed00acp-30"),
        (-700.25, "0x1.af5fe9a485c8ep-1011"),
        (1.5, "0x1.1ed3fe64fc541p+2"),
    ],
)
def test_exp_has_these_bits_on_every_machine(x: float, bits: str) -> None:
    assert exp_number(x).hex() == bits


def test_log_is_within_two_units_in_the_last_place() -> None:
    rng = np.random.default_rng(4)
    numbers = np.concatenate(
        (np.exp(rng.uniform(-700, 700, 20_000)), rng.uniform(0.5, 2.0, 20_000))
    )
    for x in numbers.tolist():
        exact = np.log(np.longdouble(x))
        assert abs(log(x) - exact) < 2 * np.spacing(abs(float(exact)))


def test_log_at_the_edges() -> None:
    assert (log(1.0), log(0.0), log(math.inf)) == (0.0, -math.inf, math.inf)
    assert log(5e-324) == pytest.approx(-744.4400719213812, rel=1e-15)


def test_log_of_a_negative_number_names_it() -> None:
    with pytest.raises(ValueError, match=r"-2\.0"):
        log(-2.0)


def test_power_multiplies_exactly_where_it_can() -> None:
    assert [power(3.0, n) for n in range(6)] == [1.0, 3.0, 9.0, 27.0, 81.0, 243.0]


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 8192, 20_000])
def test_total_is_the_sum(size: int) -> None:
    x = np.random.default_rng(size).normal(size=size)
    assert total(x) == pytest.approx(math.fsum(x), abs=1e-10)


def test_total_adds_in_its_written_order() -> None:
    x = np.random.default_rng(5).normal(size=10_000)
    lanes = [0.0] * 4096
    for i, value in enumerate(x.tolist()):
        lanes[i % 4096] += value
    expected = 0.0
    for lane in lanes:
        expected += lane
    assert total(x) == expected
