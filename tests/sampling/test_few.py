"""The rest of a chain in one call: the bits of the chain stage by stage."""

from typing import Any

import numpy as np
import pytest

from gnomon.sampling.chain import build_chain
from gnomon.sampling.few import few_left
from gnomon.sampling.params import AdaptiveP, DynamicTemperature, SamplingParams
from gnomon.sampling.sampler import Sampler


def stages(**params: Any) -> Any:
    return build_chain(SamplingParams(repeat_penalty=None, top_k_sampling=None, **params), 1)


@pytest.mark.parametrize("size", [1, 2, 41, 300])
def test_bits_are_those_of_the_stages_one_by_one(size: int) -> None:
    rng = np.random.default_rng(size)
    orders = [
        ["topK", *rng.permutation(["topP", "minP", "temperature"]).tolist()] for _ in range(40)
    ]
    for order in orders:
        params = SamplingParams(
            seed=1,
            samplers=tuple(order),
            top_k_sampling=int(rng.integers(1, 129)),
            top_p_sampling=rng.random(),
            min_p_sampling=rng.random(),
            temperature=float(rng.choice([0.01, 0.8, 1.0, 3.0])),
        )
        row = rng.normal(0.0, 3.0, size).astype(np.float32)
        sampler = Sampler(params, size)
        found, wanted = sampler.distribution(row), sampler.distribution(row, trace=[])
        assert found.ids.tolist() == wanted.ids.tolist()
        assert found.probs.tobytes() == wanted.probs.tobytes()


def test_a_stage_that_the_kernel_lacks_is_not_skipped() -> None:
    assert few_left(stages(typical_p=0.5)) is None
    assert few_left(stages(dynamic_temperature=DynamicTemperature(range=0.5))) is None
    assert few_left(stages()) is not None


def test_adaptive_p_comes_after_the_stages() -> None:
    row = np.random.default_rng(1).normal(0.0, 3.0, 50).astype(np.float32)
    sampler = Sampler(SamplingParams(seed=1, adaptive_p=AdaptiveP(target=0.3)), 50)
    found, wanted = sampler.distribution(row), sampler.distribution(row, trace=[])
    assert found.probs.tobytes() == wanted.probs.tobytes()
