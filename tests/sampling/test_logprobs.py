"""Log-probabilities before and after the chain."""

import numpy as np
import pytest

from gnomon.sampling.candidates import Distribution
from gnomon.sampling.logprobs import raw_logprobs, sampled_logprobs


@pytest.mark.parametrize("size", [1, 5, 5000])
def test_raw_logprobs_are_the_log_softmax_of_the_row(size: int) -> None:
    row = np.random.default_rng(size).normal(0.0, 5.0, size).astype(np.float32)
    exact = row.astype(np.float64) - np.log(np.sum(np.exp(row.astype(np.float64))))
    found = raw_logprobs(row, size // 2, 7)
    assert found.logprob == pytest.approx(exact[size // 2], abs=1e-12)
    order = np.argsort(-exact, kind="stable")[:7]
    assert [t.token for t in found.top] == order.tolist()
    assert [t.logprob for t in found.top] == pytest.approx(exact[order].tolist(), abs=1e-12)


def test_a_banned_token_has_raw_logprob_minus_infinity() -> None:
    row = np.array([0.0, -np.inf], dtype=np.float32)
    assert raw_logprobs(row, 1, 2).logprob == -np.inf


def test_equal_logprobs_list_the_lower_id_first() -> None:
    assert [t.token for t in raw_logprobs(np.zeros(9, dtype=np.float32), 0, 3).top] == [0, 1, 2]


def test_sampled_logprobs_are_those_of_the_chain() -> None:
    found = sampled_logprobs(Distribution(np.array([3, 8]), np.array([0.25, 0.75])), 3, 5)
    assert found.logprob == pytest.approx(np.log(0.25), rel=1e-15)
    assert [t.token for t in found.top] == [8, 3]
    assert found.top[0].logprob == pytest.approx(np.log(0.75), rel=1e-15)


def test_a_token_outside_the_chain_has_sampled_logprob_minus_infinity() -> None:
    assert sampled_logprobs(Distribution(np.array([3]), np.ones(1)), 4, 1).logprob == -np.inf
