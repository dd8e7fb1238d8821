"""Keyed random numbers, and draws that follow their distribution."""

import math

import numpy as np
import pytest

from gnomon.sampling.candidates import SHORT, Candidates, Distribution, softmax
from gnomon.sampling.draw import Stream, draw, mix, uniform, uniforms
from gnomon.sampling.filters import (
    dynamic_temperature,
    min_p,
    temperature,
    top_k,
    top_p,
    typical,
    xtc,
)
from gnomon.sampling.portable import F64, I64

GOLDEN_RATIO = 0x9E3779B97F4A7C15


def chi_square_z(observed: F64, expected: F64) -> float:
    """Normal score of a chi-square statistic (Wilson and Hilferty); 3.09 is p = 1e-3."""
    used = expected > 0
    assert observed[~used].sum() == 0
    freedom = int(used.sum()) - 1
    statistic = np.sum((observed[used] - expected[used]) ** 2 / expected[used])
    width = 2 / (9 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1 - width)) / math.sqrt(width))


def test_mix_is_splitmix64() -> None:
    # The published outputs of splitmix64 for seed 1234567.
    outputs = [mix((1234567 + n * GOLDEN_RATIO) % 2**64) for n in range(1, 4)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_many_numbers_at_once_are_the_single_ones() -> None:
    positions = np.array([0, 1, 2, 1000, 2**40])
    for seed in (0, 1, -1, 2**64 - 1, 10**30):
        for stream in Stream:
            single = [uniform(seed, p, stream) for p in positions.tolist()]
            assert uniforms(seed, positions, stream).tolist() == single


def test_numbers_have_these_values_on_every_machine() -> None:
    assert [uniform(42, p).hex() for p in range(3)] == [
        "0x1.9a65eb762c47ep-1",
        "0x1.3ab2376e4cd62p-1",
        "0x1.cce95438a2f64p-2",
    ]


def test_few_candidates_are_drawn_as_if_they_were_many() -> None:
    rng = np.random.default_rng(1)
    for size in (1, 2, 40, SHORT):
        probs = rng.random(size) ** 4
        few = Distribution(np.arange(size), probs)
        many = Distribution(np.arange(2 * SHORT), np.pad(probs, (0, 2 * SHORT - size)))
        assert all(draw(few, u) == draw(many, u) for u in rng.random(200).tolist())


@pytest.mark.parametrize("stream", Stream)
def test_numbers_of_one_seed_fill_the_unit_interval_evenly(stream: Stream) -> None:
    u = uniforms(3, np.arange(1_000_000), stream)
    assert 0.0 <= u.min() <= u.max() < 1.0
    counts = np.bincount((u * 1000).astype(np.int64), minlength=1000)
    assert chi_square_z(counts.astype(np.float64), np.full(1000, 1000.0)) < 3.09


def test_numbers_of_neighbouring_seeds_positions_and_streams_are_unrelated() -> None:
    at = np.arange(100_000)
    u = uniforms(7, at)
    others = [uniforms(8, at), uniforms(7, at + 1)]
    others += [uniforms(7, at, stream) for stream in Stream if stream is not Stream.DRAW]
    for other in others:
        assert abs(np.corrcoef(u, other)[0, 1]) < 4 / math.sqrt(at.size)


def test_first_numbers_of_many_seeds_are_even() -> None:
    u = np.array([uniform(seed, 0) for seed in range(20_000)])
    counts = np.bincount((u * 50).astype(np.int64), minlength=50)
    assert chi_square_z(counts.astype(np.float64), np.full(50, 400.0)) < 3.09


def test_a_number_chooses_the_first_id_whose_running_sum_exceeds_it() -> None:
    d = Distribution(np.array([2, 5, 9]), np.array([0.25, 0.5, 0.25]))
    numbers = [0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-53]
    assert [draw(d, u) for u in numbers] == [2, 2, 5, 5, 9, 9]


def test_an_id_of_probability_zero_is_never_drawn() -> None:
    d = Distribution(np.arange(4), np.array([0.0, 0.5, 0.5, 0.0]))
    assert {draw(d, u) for u in (0.0, 0.5, 1 - 2**-53)} == {1, 2}


ROW = Candidates(np.arange(60), np.random.default_rng(11).normal(0.0, 2.0, 60))
CHAINS = {
    "none": ROW,
    "top-k and top-p": top_p(top_k(ROW, 40), 0.95),
    "min-p and temperature": temperature(min_p(ROW, 0.05), 0.7),
    "typical": typical(ROW, 0.8),
    "dynamic temperature": dynamic_temperature(ROW, 1.0, 0.5, 1.5),
    "adversarial: one part in a million": Candidates(np.arange(2), np.array([0.0, -13.8])),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_million_draws_follow_the_distribution(name: str) -> None:
    d = softmax(CHAINS[name])
    counts = np.bincount(many(d, uniforms(5, np.arange(1_000_000))), minlength=60)
    expected = np.zeros(60)
    expected[d.ids] = d.probs * 1_000_000
    enough = (expected >= 1) | (expected == 0)
    rest = counts[~enough].sum(), expected[~enough].sum()
    observed = np.append(counts[enough], rest[0]).astype(np.float64)
    assert chi_square_z(observed, np.append(expected[enough], rest[1])) < 3.09


def test_a_million_draws_with_xtc_follow_its_mixture() -> None:
    at = np.arange(1_000_000)
    base, cut = softmax(ROW), softmax(xtc(ROW, 0.05, 1.0, 0.0))
    chance = uniforms(9, at, Stream.XTC) < 0.4
    ids = np.where(chance, many(cut, uniforms(9, at)), many(base, uniforms(9, at)))
    expected = base.probs * 0.6
    expected[cut.ids] += cut.probs * 0.4
    counts = np.bincount(ids, minlength=60).astype(np.float64)
    assert chi_square_z(counts, expected * 1_000_000) < 3.09


def test_many_draws_at_once_are_the_single_ones() -> None:
    d, u = softmax(ROW), uniforms(1, np.arange(2000))
    assert many(d, u).tolist() == [draw(d, x) for x in u.tolist()]


def many(d: Distribution, u: F64) -> I64:
    sums = np.cumsum(d.probs)
    ids: I64 = d.ids[np.searchsorted(sums, u * sums[-1], side="right")]
    return ids
