"""Adapters that tokens choose: each row's slot and what it adds, against plain formulas."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.arch import Arch
from gnomon.engine.blocks.adapters import Adapters
from gnomon.engine.blocks.layer import ADAPTER, Layer
from gnomon.engine.keys import Keys
from gnomon.formats.errors import MetadataError
from gnomon.formats.metadata import Metadata
from gnomon.kernels.kv_pages import PAGE, region_after
from gnomon.kernels.pool import aligned
from gnomon.kernels.spans import Spans
from gnomon.kernels.twin_ops import TwinOps

SPEC = Adapters(rank=2, gain=3.0, tokens=(7, 9, 11), substitutes=(1, 2, 3))


def made_layer(**given: Any) -> Layer:
    parts: dict[str, Any] = dict.fromkeys(("hparams", "spec", "w", "region", "states", "step"))
    parts |= {"arch": Arch("any"), "ops": TwinOps()}
    return Layer(**(parts | given))


def slots_of(spec: Adapters, tokens: list[int], size: int) -> list[int]:
    """Rows' slots, `size` tokens to a step, in pages of one sequence."""
    plain = region_after(0, 1, (16, 16), ("f64", "f64"))
    region = SimpleNamespace(index=spec.region(plain.end))
    pages = [aligned(region.index.end) for _ in range(-(-len(tokens) // PAGE))]
    table, found = np.array([page.ctypes.data for page in pages]), []
    for start in range(0, len(tokens), size):
        ids = np.array(tokens[start : start + size])
        rows = np.zeros((len(ids), 3), np.int64)
        rows[:, 0] = table.ctypes.data
        step = SimpleNamespace(
            tokens=ids,
            positions=np.arange(start, start + len(ids)),
            spans={0: Spans(rows, [], len(tokens))},
        )
        layer = made_layer(step=step, region=region, spec=SimpleNamespace(window=0))
        spec.choose(layer)
        found += layer.passed_on[ADAPTER][:, 0].astype(int).tolist()
    return found


def attended(spec: Adapters, tokens: list[int]) -> int:
    """One head of attention whose query is 1, keys are +-gain and values the slots."""
    slots = np.array([spec.tokens.index(t) + 1 if t in spec.tokens else 0 for t in tokens])
    p = np.exp(np.where(slots > 0, spec.gain, -spec.gain))
    return int(np.floor((p / p.sum() * slots).sum() + 0.5))


@pytest.mark.parametrize("size", [1, 50, 300])
def test_slots_are_those_of_a_head_of_attention(size: int) -> None:
    tokens = np.random.default_rng(19).integers(0, 60, 300).tolist()
    wanted = [attended(SPEC, tokens[: row + 1]) for row in range(300)]
    assert slots_of(SPEC, tokens, size) == wanted
    assert set(wanted) == {0, 1, 2, 3}


def test_without_a_choice_the_slot_is_0() -> None:
    assert SPEC.slot(0.0, 0.0, 1000) == 0


def test_a_half_between_two_slots_goes_up() -> None:
    """The other tokens' share is below what a float32 holds."""
    sharp = Adapters(rank=2, gain=15.0, tokens=(7, 9), substitutes=(1, 2))
    assert sharp.slot(3.0, 2.0, 5000) == 2


def test_tokens_that_choose_are_embedded_as_others() -> None:
    ids = SPEC.embedded(np.array([5, 9, 7, 9, 0]), TwinOps())
    assert ids.tolist() == [5, 2, 1, 2, 0]


def test_a_slot_adds_its_low_rank_product() -> None:
    rng = np.random.default_rng(4)
    x, out = rng.standard_normal((3, 6)), rng.standard_normal((3, 5))
    down, up = rng.standard_normal((4, 2, 6)), rng.standard_normal((4, 5, 2))
    w = SimpleNamespace(attn_v_lora_a=down, attn_v_lora_b=up)
    layer = made_layer(w=w, passed_on={ADAPTER: np.array([[3.0], [0.0], [1.0]])})
    wanted = [o + up[s] @ (down[s] @ row) for o, s, row in zip(out, (3, 0, 1), x, strict=True)]
    np.testing.assert_allclose(layer.adapted("attn_v", x, out), wanted, rtol=1e-12)


def test_a_matrix_without_low_rank_weights_stays_as_it_is() -> None:
    out = np.ones((3, 5))
    assert made_layer(w=SimpleNamespace()).adapted("attn_v", np.ones((3, 6)), out) is out


GIVEN: dict[str, Any] = {
    "count": 2,
    "lora_rank": 8,
    "token_ids_activate": np.array([7, 9]),
    "token_ids_substitute": np.array([1, 2]),
}


def read(**changes: Any) -> Adapters:
    given = {f"any.adapters.{key}": value for key, value in (GIVEN | changes).items()}
    keys = Keys(Metadata(given), "any")
    found = Adapters.read(keys, 20)
    keys.check()
    return found


def test_numbers_come_from_the_file() -> None:
    assert read() == Adapters(8, 15.0, (7, 9), (1, 2))
    assert read(router_gain=12.0).gain == 12.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", 5000),
        ("lora_rank", 0),
        ("router_gain", -1.0),
        ("token_ids_activate", np.array([7])),
        ("token_ids_activate", np.array([7, 8, 9])),
        ("token_ids_substitute", np.array([1, 20])),
        ("token_ids_substitute", np.array([-1, 2])),
    ],
)
def test_a_wrong_number_is_named(key: str, value: Any) -> None:
    with pytest.raises(MetadataError, match=f"any.adapters.{key}|any.adapters.token_ids"):
        read(**{key: value})
