"""The sampler: order, greedy, mask, state, reproducibility, errors."""

from typing import Any

import numpy as np
import pytest

from gnomon.sampling.draw import Stream, draw, uniform
from gnomon.sampling.errors import SamplingError
from gnomon.sampling.params import (
    STAGES,
    AdaptiveP,
    Dry,
    DynamicTemperature,
    Mirostat,
    SamplingParams,
)
from gnomon.sampling.sampler import Sampler, TraceStep

N = 3000
OFF: dict[str, Any] = {
    "top_k_sampling": None,
    "top_p_sampling": None,
    "min_p_sampling": None,
    "repeat_penalty": None,
}


def row(seed: int, size: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 3.0, size).astype(np.float32)


def sampler(size: int = N, *, seed: int = 1, **params: Any) -> Sampler:
    return Sampler(SamplingParams(seed=seed, **params), size, token_bytes=lambda t: b"%d " % t)


def write(s: Sampler, count: int, first_row: int = 0) -> list[int]:
    ids = []
    for i in range(count):
        ids.append(s.pick(row(first_row + i)))
        s.accept(ids[-1])
    return ids


class EvenOnly:
    """A mask that allows even ids, and counts how it is asked."""

    def __init__(self) -> None:
        self.applied, self.accepted = 0, [0]

    def apply(self, logits: np.ndarray) -> None:
        self.applied += 1
        logits[1::2] = -np.inf

    def accept(self, token: int) -> None:
        self.accepted = [*self.accepted, token]

    def allows(self, token: int) -> bool:
        return token % 2 == 0

    def snapshot(self) -> list[int]:
        return self.accepted

    def restore(self, accepted: list[int]) -> None:
        self.accepted = accepted


CHAINS: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {
        "logit_bias": {3: 2.0, 5: -np.inf, 7: 5.0},
        "presence_penalty": 0.3,
        "frequency_penalty": 0.1,
        "dry": Dry(multiplier=0.8, breakers=("9",)),
        "top_n_sigma": 2.5,
        "typical_p": 0.9,
        "xtc_probability": 0.5,
        "dynamic_temperature": DynamicTemperature(range=0.5),
    },
    "no filter": OFF,
    "edits last": {"samplers": ("topK", "minP", "temperature", "penalties", "bias", "dry")},
    "edits apart": {"samplers": ("penalties", "topK", "bias"), "logit_bias": {1: 1.0}},
    "greedy": {"temperature": 0.0},
    "greedy with edits": {"temperature": 0.0, "logit_bias": {2: 9.0, 4: 9.0}, "seed": 3},
    "mirostat 1": {"mirostat": Mirostat(version=1)},
    "mirostat 2": {"mirostat": Mirostat(version=2)},
    "adaptive-p": {"adaptive_p": AdaptiveP(target=0.3), "top_k_sampling": None},
}


def of_chain(name: str, size: int = N, mask: Any = None) -> Sampler:
    params = SamplingParams(**{"seed": 1, **CHAINS[name]})
    return Sampler(params, size, token_bytes=lambda t: b"%d " % t, mask=mask)


# --- the chain -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("mask", [None, EvenOnly()], ids=["free", "masked"])
def test_the_fast_way_gives_the_bits_of_the_plain_way(name: str, mask: Any) -> None:
    s = of_chain(name, mask=mask)
    s.accept_prompt(np.random.default_rng(1).integers(0, N, 90).tolist())
    for seed in range(8):
        logits = row(seed)
        plain, fast = s.distribution(logits, trace=[]), s.distribution(logits)
        assert np.array_equal(plain.ids, fast.ids)
        assert np.array_equal(plain.probs, fast.probs)
        s.accept(s.pick(logits))


def test_the_trace_names_the_stages_in_their_order() -> None:
    trace: list[TraceStep] = []
    of_chain("everything").pick(row(1), trace=trace)
    assert [step.stage for step in trace] == ["logits", "mask", *STAGES]


def test_the_trace_shows_what_each_stage_left() -> None:
    trace: list[TraceStep] = []
    s = sampler(4, top_k_sampling=2, top_p_sampling=None, repeat_penalty=None, temperature=0.5)
    s.pick(np.array([1.0, 3.0, 2.0, 0.0], dtype=np.float32), trace=trace)
    steps = {step.stage: (step.ids.tolist(), step.logits.tolist()) for step in trace}
    assert steps["logits"] == ([0, 1, 2, 3], [1.0, 3.0, 2.0, 0.0])
    assert steps["topK"] == ([1, 2], [3.0, 2.0])
    assert steps["temperature"] == ([1, 2], [6.0, 4.0])
    np.testing.assert_allclose(trace[-1].probs, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])


def test_samplers_is_the_order_of_the_chain() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32))
    params: dict[str, Any] = {**OFF, "temperature": 3.0, "top_p_sampling": 0.75}
    cut_first = sampler(3, samplers=("topP", "temperature"), **params).distribution(logits)
    warm_first = sampler(3, samplers=("temperature", "topP"), **params).distribution(logits)
    assert cut_first.ids.tolist() == [0, 1]
    assert warm_first.ids.tolist() == [0, 1, 2]


def test_penalties_after_top_k_cannot_bring_another_token_in() -> None:
    logits = np.array([3.0, 2.0, 1.0], dtype=np.float32)
    params: dict[str, Any] = {**OFF, "top_k_sampling": 1, "repeat_penalty": 9.0}
    for order, picked in ((("topK", "penalties"), 0), (("penalties", "topK"), 1)):
        s = sampler(3, samplers=order, **params)
        s.accept_prompt([0])
        assert s.pick(logits) == picked


def test_a_stage_that_is_not_listed_does_not_run() -> None:
    d = sampler(samplers=(), top_k_sampling=1).distribution(row(1))
    assert d.ids.size == N


def test_mirostat_replaces_the_filters() -> None:
    trace: list[TraceStep] = []
    of_chain("mirostat 2").pick(row(1), trace=trace)
    stages = [step.stage for step in trace]
    assert stages == ["logits", "mask", "penalties", "temperature", "mirostat"]


def test_a_bias_bans_and_favours() -> None:
    s = sampler(50, logit_bias={3: -np.inf, 4: 100.0})
    assert s.pick(row(2, 50)) == 4
    s = sampler(50, logit_bias={i: -np.inf for i in range(50) if i != 9})
    assert s.pick(row(2, 50)) == 9


# --- greedy --------------------------------------------------------------------------------------


def test_temperature_zero_picks_the_lowest_of_equal_best_ids() -> None:
    s = sampler(5, temperature=0.0)
    assert s.pick(np.array([1, 4, 0, 4, 4], dtype=np.float32)) == 1


def test_greedy_ignores_filters_that_could_drop_the_best() -> None:
    s = sampler(temperature=0.0, xtc_probability=1.0, xtc_threshold=0.0, typical_p=0.01)
    assert s.pick(row(5)) == row(5).argmax()


def test_greedy_heeds_penalties() -> None:
    s = sampler(3, temperature=0.0, repeat_penalty=2.0)
    s.accept_prompt([2])
    assert s.pick(np.array([0.0, 6.0, 8.0], dtype=np.float32)) == 1


# --- mask ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAINS)
def test_a_mask_gives_what_the_chain_gives_on_masked_logits(name: str) -> None:
    with_mask, without = of_chain(name, mask=EvenOnly()), of_chain(name)
    for seed in range(20):
        logits = row(seed)
        masked = logits.copy()
        masked[1::2] = -np.inf
        token = with_mask.pick(logits)
        assert token == without.pick(masked)
        with_mask.accept(token)
        without.accept(token)


def test_a_greedy_pick_that_is_allowed_costs_no_mask() -> None:
    mask = EvenOnly()
    s = Sampler(SamplingParams(temperature=0.0), 4, mask=mask)
    assert s.pick(np.array([0, 1, 2, 1], dtype=np.float32)) == 2
    assert mask.applied == 0
    assert s.pick(np.array([0, 3, 2, 1], dtype=np.float32)) == 2
    assert mask.applied == 1


def test_the_mask_hears_of_accepted_tokens_but_not_of_the_prompt() -> None:
    mask = EvenOnly()
    s = Sampler(SamplingParams(), 10, mask=mask)
    s.accept_prompt([1, 2, 3])
    s.accept(4)
    assert mask.accepted == [0, 4]


# --- state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAINS)
def test_a_restored_snapshot_replays_the_same_ids(name: str) -> None:
    s = of_chain(name, mask=EvenOnly())
    s.accept_prompt([1, 2, 3, 1, 2, 3, 1, 2])
    write(s, 5)
    early = s.snapshot()
    first = write(s, 6, 5)
    late = s.snapshot()
    last = write(s, 6, 11)
    s.restore(early)
    assert write(s, 6, 5) == first
    s.restore(late)
    assert write(s, 6, 11) == last
    s.restore(early)
    assert write(s, 6, 5) == first


@pytest.mark.parametrize("name", ["mirostat 1", "mirostat 2", "adaptive-p"])
def test_a_snapshot_between_pick_and_accept_keeps_what_was_observed(name: str) -> None:
    s = of_chain(name)
    token = s.pick(row(1))
    between = s.snapshot()
    s.accept(token)
    expected = s.distribution(row(2)).probs
    s.restore(between)
    s.accept(token)
    assert np.array_equal(s.distribution(row(2)).probs, expected)


@pytest.mark.parametrize("name", CHAINS)
def test_picking_twice_gives_the_same_id(name: str) -> None:
    s = of_chain(name)
    assert s.pick(row(1)) == s.pick(row(1))


@pytest.mark.parametrize("name", CHAINS)
def test_pick_leaves_the_logits_as_they_were(name: str) -> None:
    logits = row(1)
    logits.flags.writeable = False
    s = of_chain(name, mask=EvenOnly())
    s.accept(2)
    s.pick(logits)
    assert np.array_equal(logits, row(1))


def test_a_mask_that_cannot_rewind_is_named() -> None:
    class Forward:
        apply = accept = allows = None

    s = Sampler(SamplingParams(), 10, mask=Forward())  # type: ignore[arg-type]
    with pytest.raises(SamplingError, match="Forward: found no snapshot"):
        s.snapshot()


def test_restoring_anything_but_a_snapshot_is_refused() -> None:
    with pytest.raises(SamplingError, match="found int, expected a Snapshot"):
        sampler().restore(3)  # type: ignore[arg-type]


# --- reproducible --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAINS)
def test_a_pick_is_the_draw_of_its_seed_and_position_from_the_distribution(name: str) -> None:
    s = of_chain(name)
    for position in range(30):
        drawn = s.distribution(row(position))
        assert s.pick(row(position)) == draw(drawn, uniform(s.seed, position))
        s.accept(int(drawn.ids[0]))


def test_same_seed_same_ids_and_other_seed_other_ids() -> None:
    assert write(sampler(seed=5), 30) == write(sampler(seed=5), 30)
    assert write(sampler(seed=5), 30) != write(sampler(seed=6), 30)


def test_an_absent_seed_is_fresh_and_can_be_read() -> None:
    one, two = Sampler(SamplingParams(), 10), Sampler(SamplingParams(), 10)
    assert one.seed != two.seed


def test_a_draw_from_one_candidate_does_not_shift_the_next() -> None:
    one, two = sampler(256, **OFF), sampler(256, **OFF)
    certain = np.full(256, -np.inf, dtype=np.float32)
    certain[7] = 0.0
    one.pick(certain)
    two.pick(np.zeros(256, dtype=np.float32))
    one.accept(7)
    two.accept(7)
    flat = np.zeros(256, dtype=np.float32)
    assert one.pick(flat) == two.pick(flat)


def test_streams_draw_apart() -> None:
    params = SamplingParams(seed=1, **OFF)
    target, draft = Sampler(params, N), Sampler(params, N, stream=Stream.DRAFT)
    flat = np.zeros(N, dtype=np.float32)
    assert target.pick(flat) != draft.pick(flat)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("default", [399, 239, 110, 288, 542, 643, 560, 293]),
        ("everything", [353, 224, 7, 288, 404, 628, 545, 247]),
        ("no filter", [430, 242, 83, 289, 547, 689, 545, 221]),
        ("mirostat 1", [430, 147, 95, 211, 544, 137, 546, 339]),
        ("mirostat 2", [430, 242, 95, 303, 543, 689, 530, 247]),
        ("adaptive-p", [433, 255, 84, 289, 559, 689, 545, 217]),
    ],
)
def test_these_ids_come_on_every_machine(name: str, ids: list[int]) -> None:
    s = of_chain(name, 1000)
    s.accept_prompt([1, 2, 3])
    found = []
    for i in range(8):
        # Logits from integers only: nothing here depends on a random generator.
        hashed = (np.arange(1000, dtype=np.int64) * 7919 + i * 104729) % 4093
        found.append(s.pick((hashed / 512).astype(np.float32)))
        s.accept(found[-1])
    assert found == ids


# --- logprobs ------------------------------------------------------------------------------------


def test_logprobs_are_absent_unless_asked_for() -> None:
    s = sampler()
    s.pick(row(1))
    assert s.logprobs is None


@pytest.mark.parametrize("name", CHAINS)
def test_raw_logprobs_of_every_pick_are_of_the_untouched_row(name: str) -> None:
    params = SamplingParams(**{"seed": 1, **CHAINS[name], "logprobs": 3})
    s = Sampler(params, N, token_bytes=lambda t: b"%d " % t, mask=EvenOnly())
    for seed in range(5):
        token = s.pick(row(seed))
        exact = row(seed).astype(np.float64)
        exact -= np.log(np.exp(exact).sum())
        assert s.logprobs is not None
        assert s.logprobs.token == token
        assert s.logprobs.logprob == pytest.approx(exact[token], abs=1e-12)
        assert [t.token for t in s.logprobs.top] == np.argsort(-exact)[:3].tolist()
        s.accept(token)


@pytest.mark.parametrize("name", CHAINS)
def test_sampled_logprobs_of_every_pick_are_of_the_drawn_distribution(name: str) -> None:
    params = SamplingParams(**{"seed": 1, **CHAINS[name], "logprobs": 2, "logprobs_at": "sampled"})
    s = Sampler(params, N, token_bytes=lambda t: b"%d " % t)
    for seed in range(5):
        drawn = s.distribution(row(seed))
        token = s.pick(row(seed))
        assert s.logprobs is not None
        assert s.logprobs.logprob == pytest.approx(np.log(drawn.probability(token)), abs=1e-12)
        assert s.logprobs == s.logprobs_of(row(seed), token)
        s.accept(token)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("at", [0, 2, 1777, N - 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_plus_infinity_are_refused(name: str, at: int, value: float) -> None:
    s = of_chain(name)
    s.accept(2)
    logits = row(1)
    logits[at] = value
    with pytest.raises(SamplingError, match=f"{value} at token {at}, output position 1"):
        s.pick(logits)


@pytest.mark.parametrize("name", CHAINS)
def test_a_row_of_minus_infinity_leaves_no_token(name: str) -> None:
    with pytest.raises(SamplingError, match="no token left at output position 0"):
        of_chain(name).pick(np.full(N, -np.inf, dtype=np.float32))


@pytest.mark.parametrize("name", CHAINS)
def test_a_mask_that_forbids_everything_leaves_no_token(name: str) -> None:
    logits = row(1)
    logits[::2] = -np.inf
    with pytest.raises(SamplingError, match="no token left"):
        of_chain(name, mask=EvenOnly()).pick(logits)


def test_bans_behind_a_filter_may_leave_no_token() -> None:
    s = sampler(3, samplers=("topK", "bias"), top_k_sampling=1, logit_bias={2: -np.inf})
    with pytest.raises(SamplingError, match="after bias"):
        s.pick(np.array([0, 1, 2], dtype=np.float32))


@pytest.mark.parametrize("token", [-1, N])
def test_ids_outside_the_vocabulary_are_refused(token: int) -> None:
    with pytest.raises(SamplingError, match=f"found {token}, expected an id from 0 to {N - 1}"):
        sampler().accept(token)
    with pytest.raises(SamplingError, match=f"found {token}"):
        sampler().accept_prompt([1, token])


def test_a_token_that_is_no_integer_is_refused() -> None:
    with pytest.raises(TypeError):
        sampler().accept(1.0)  # type: ignore[arg-type]


def test_a_bias_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(SamplingError, match="logit_bias: found id 10, expected ids below 10"):
        sampler(10, logit_bias={10: 1.0})


def test_a_vocabulary_of_one_token_works_in_every_chain() -> None:
    for name in CHAINS:
        if "logit_bias" not in CHAINS[name]:
            s = of_chain(name, 1)
            s.accept(0)
            assert s.pick(np.zeros(1, dtype=np.float32)) == 0


@pytest.mark.parametrize("name", CHAINS)
def test_a_vocabulary_of_262144_equal_logits_works(name: str) -> None:
    s = of_chain(name, 262_144)
    s.accept_prompt([5, 5, 5])
    assert 0 <= s.pick(np.zeros(262_144, dtype=np.float32)) < 262_144


@pytest.mark.parametrize("extreme", [5e-324, 1e308])
def test_extreme_parameters_still_pick_a_token(extreme: float) -> None:
    s = sampler(
        40,
        repeat_penalty=extreme,
        frequency_penalty=-extreme,
        presence_penalty=-extreme,
        logit_bias={1: extreme, 2: -extreme},
        dry=Dry(multiplier=extreme, base=extreme if extreme > 1 else 1.0, breakers=()),
        dynamic_temperature=DynamicTemperature(range=extreme, exponent=extreme),
        temperature=extreme,
        top_n_sigma=extreme,
    )
    s.accept_prompt([0, 1, 2, 0, 1, 2, 0])
    logits = np.array([3.4e38, -3.4e38, 1.0, -np.inf] * 10, dtype=np.float32)
    assert s.pick(logits) % 4 != 3


def test_extreme_logits_work_in_every_chain() -> None:
    logits = np.array([3.4e38, -3.4e38, 3.3e38, -np.inf] * 10, dtype=np.float32)
    for name in CHAINS:
        s = of_chain(name, 40)
        s.accept_prompt([0, 1, 2, 0, 1, 2, 0])
        assert s.pick(logits) % 4 in (0, 2)
