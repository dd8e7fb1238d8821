"""Rotary scalings against their papers' formulas, written out here with plain loops."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.arch import LocalRope, YarnLog
from gnomon.engine.archs.llama import LLAMA
from gnomon.engine.keys import Keys
from gnomon.engine.rope_spec import RopeSpec, Yarn, read_ropes, rope_table
from gnomon.formats.errors import MetadataError
from gnomon.formats.metadata import Metadata

DIM, POSITIONS = 16, np.array([0, 1, 5, 300])
COMMON = {"x.context_length": 4096, "x.rope.freq_base": 500.0}
ARCH = replace(LLAMA, name="x")


def table(spec: RopeSpec, longest: int = 100, **factors: Any) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = np.zeros((2, len(POSITIONS), spec.dim // 2))
    rope_table(spec, factors, longest, np.float64).look_up(POSITIONS, cos, sin)
    return cos, sin


def expected(turns: list[float], magnitude: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    angles = np.outer(POSITIONS, turns)
    return magnitude * np.cos(angles), magnitude * np.sin(angles)


def agree(found: Any, wanted: Any) -> bool:
    return np.allclose(found, wanted, rtol=0, atol=1e-12)


def plain_turns(base: float) -> list[float]:
    return [base ** (-2 * i / DIM) for i in range(DIM // 2)]


def spec_of(arch: Any = ARCH, **metadata: Any) -> tuple[RopeSpec, RopeSpec]:
    given = {f"x.rope.{key.replace('__', '.')}": value for key, value in metadata.items()}
    return read_ropes(Keys(Metadata(COMMON | given), "x"), arch, (DIM, DIM))


def test_angles_are_powers_of_the_base() -> None:
    assert agree(table(RopeSpec(500.0, DIM)), expected(plain_turns(500.0)))


def test_linear_scaling_divides_positions() -> None:
    everywhere, _ = spec_of(scaling__type="linear", scaling__factor=4.0)
    assert agree(table(everywhere), expected([t / 4 for t in plain_turns(500.0)]))


@pytest.mark.parametrize("alpha", [1e300, 1e307, 1e-300])
def test_an_alpha_that_leaves_no_base_is_named(alpha: float) -> None:
    with pytest.raises(MetadataError, match=r"x\.rope\.scaling\.alpha: found"):
        read_ropes(Keys(Metadata(COMMON | {"x.rope.scaling.alpha": alpha}), "x"), ARCH, (4, 4))


def test_every_frequency_is_fast_that_turns_more_than_nearly_never() -> None:
    given = {"scaling__factor": 4.0, "scaling__yarn_beta_fast": 1e-320}
    everywhere, _ = spec_of(scaling__type="yarn", scaling__yarn_beta_slow=1e-320, **given)
    assert agree(table(replace(everywhere, magnitude=1.0)), expected(plain_turns(500.0)))


def test_scaling_of_type_none_changes_nothing() -> None:
    everywhere, _ = spec_of(scaling__type="none", scaling__factor=4.0)
    assert agree(table(everywhere), expected(plain_turns(500.0)))


def yarn_turns(factor: float, context: int, fast: float, slow: float) -> list[float]:
    """Peng et al. (2023), as their code has it: whole dimensions bound the ramp."""

    def dimension(turns: float) -> float:
        return DIM * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(500.0))

    low = max(math.floor(dimension(fast)), 0)
    high = min(math.ceil(dimension(slow)), DIM - 1)
    made = []
    for i, turn in enumerate(plain_turns(500.0)):
        ramp = min(1.0, max(0.0, (i - low) / max(0.001, high - low)))
        made.append(turn / factor * ramp + turn * (1 - ramp))
    return made


def test_yarn_blends_frequencies_and_raises_the_magnitude() -> None:
    everywhere, _ = spec_of(
        scaling__type="yarn", scaling__factor=8.0, scaling__original_context_length=512
    )
    turns = yarn_turns(8.0, 512, 32.0, 1.0)
    assert turns[0] == plain_turns(500.0)[0]
    assert turns[-1] == pytest.approx(plain_turns(500.0)[-1] / 8)
    assert agree(table(everywhere), expected(turns, 1 + 0.1 * math.log(8.0)))


def test_a_yarn_multiplier_moves_the_magnitude_into_the_scores() -> None:
    tenths = replace(ARCH, yarn_log=YarnLog.TENTHS)
    even = replace(ARCH, yarn_log=YarnLog.TENTHS_EVEN)
    given = {
        "scaling__type": "yarn", "scaling__factor": 8.0, "scaling__yarn_log_multiplier": 0.05,
    }  # fmt: skip
    ratio = (1 + 0.1 * math.log(8)) / (1 + 0.05 * math.log(8))
    assert spec_of(tenths, **given)[0].magnitude == pytest.approx(ratio)
    assert spec_of(even, **given)[0].magnitude == 1.0
    assert spec_of(even, **given)[0].yarn == Yarn(4096, 32.0, 1.0, 0.5)


def test_factors_divide_frequencies_by_the_length_of_the_context() -> None:
    spec = RopeSpec(500.0, DIM, factors=True, context=64)
    short, long = np.arange(1.0, 9.0), np.arange(2.0, 10.0)
    both = {"rope_factors_short": short, "rope_factors_long": long}
    turns = np.array(plain_turns(500.0))
    assert agree(table(spec, 64, **both), expected(list(turns / short)))
    assert agree(table(spec, 65, **both), expected(list(turns / long)))
    assert agree(table(spec, 65, rope_freqs=short), expected(list(turns / short)))


def test_factors_of_the_file_do_not_count_where_the_spec_has_none() -> None:
    spec = RopeSpec(500.0, DIM)
    assert agree(table(spec, rope_freqs=np.full(8, 3.0)), expected(plain_turns(500.0)))


@pytest.mark.parametrize(
    ("kind", "base", "divide"),
    [
        (LocalRope.SCALED, 500.0, 4.0),
        (LocalRope.PLAIN, 500.0, 1.0),
        (LocalRope.OWN, 10000.0, 1.0),
    ],
)
def test_local_layers_have_the_angles_of_their_kind(
    kind: LocalRope, base: float, divide: float
) -> None:
    arch = replace(ARCH, local_rope=kind)
    _, local = spec_of(arch, scaling__type="linear", scaling__factor=4.0)
    assert (local.base, local.divide) == (base, divide)
    assert spec_of(arch, freq_base_swa=77.0)[1].base == 77.0


@pytest.mark.parametrize("kind", LocalRope)
def test_local_layers_with_angles_of_their_own_have_no_factors(kind: LocalRope) -> None:
    everywhere, local = spec_of(replace(ARCH, local_rope=kind))
    assert everywhere.factors
    assert local.factors == (kind in (LocalRope.SCALED, LocalRope.PLAIN))


def test_yarn_needs_a_base_above_1() -> None:
    with pytest.raises(MetadataError, match="freq_base"):
        spec_of(scaling__type="yarn", freq_base=0.5)
