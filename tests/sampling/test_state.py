"""What a sampler remembers."""

import numpy as np
import pytest

from gnomon.sampling.candidates import Distribution
from gnomon.sampling.mirostat import MirostatState
from gnomon.sampling.params import Dry, Mirostat, SamplingParams
from gnomon.sampling.state import State


def test_the_prompt_fills_the_window_and_leaves_the_position() -> None:
    state = State(SamplingParams(), 10, None, ["penalties"])
    state.extend([4, 2, 4])
    assert state.position == 0
    assert [x.tolist() for x in state.window.table()] == [[2, 4], [1.0, 2.0]]


def test_each_token_of_the_answer_moves_the_position() -> None:
    state = State(SamplingParams(), 10, None, [])
    state.accept(1)
    state.accept(1)
    assert state.position == 2


def test_what_no_stage_reads_is_not_kept() -> None:
    state = State(SamplingParams(dry=Dry(multiplier=1.0)), 10, None, [])
    state.extend([1, 2, 3])
    assert state.window.table()[0].size == 0
    assert state.repeats is None


def test_an_observed_token_moves_mu_once() -> None:
    state = State(SamplingParams(mirostat=Mirostat(version=2)), 10, None, [])
    assert isinstance(state.ending, MirostatState)
    state.observed = Distribution(np.array([3]), np.array([2.0**-7]))
    state.accept(3)
    state.accept(3)
    assert state.ending.mu == pytest.approx(10.0 - 0.1 * (7.0 - 5.0), rel=1e-15)


def test_a_copy_goes_its_own_way() -> None:
    params = SamplingParams(mirostat=Mirostat(version=2), dry=Dry(multiplier=1.0, breakers=()))
    state = State(params, 10, None, ["penalties", "dry"])
    other = state.copy()
    other.observed = Distribution(np.array([3]), np.array([0.5]))
    other.extend([1, 2, 1])
    other.accept(3)
    assert state.position == 0
    assert state.window.table()[0].size == 0
    assert state.repeats is not None
    assert state.repeats.penalties()[0].size == 0
    assert isinstance(state.ending, MirostatState)
    assert state.ending.mu == 10.0
