"""Routed products against their twin, and row by row in the same bits as `matmul`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.experts import combine_ref, experts_ref, spread_ref
from gnomon.kernels.tape_ops import TapeOps
from gnomon.kernels.team import team


def stack(count: int, rows: int, columns: int, seed: int) -> tuple[np.ndarray, TensorInfo]:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((count, rows, columns), dtype=np.float32)
    data = weight.reshape(-1).view(np.uint8)
    return weight, TensorInfo("w", BY_NAME["f32"], weight.shape, data, "little")


def run(ops: TapeOps, build) -> np.ndarray:  # type: ignore[no-untyped-def]
    tape = ops.record()
    out = build()
    with team().lock:
        ops.run(tape)
    return np.array(out)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
@pytest.mark.parametrize("columns", [1, 31, 32, 33, 100])
def test_kernel_agrees_with_the_twin(rows: int, columns: int) -> None:
    weight, tensor = stack(3, rows, columns, rows * 1000 + columns)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 2, columns), dtype=np.float32)
    ids = np.array([[0, 2], [1, 1], [2, 0], [1, 0]], np.float32)
    ops = TapeOps(False, 2)
    loaded = ops.matrix(tensor)
    found = run(ops, lambda: ops.experts(loaded, x, ids))
    exact = experts_ref(weight, x.astype(np.float64), ids)
    size = experts_ref(np.abs(weight), np.abs(x).astype(np.float64), ids)
    assert (np.abs(found - exact) <= 4 * columns * np.finfo(np.float32).eps * size + 1e-12).all()


@pytest.mark.parametrize("integer", [False, True])
def test_a_pair_has_the_bits_of_a_plain_product(integer: bool) -> None:
    weight, tensor = stack(2, 48, 64, 7)
    quantised = TensorInfo("q", BY_NAME["q8_0"], weight.shape, _q8_0(weight), "little")
    x = np.random.default_rng(2).standard_normal((3, 64), dtype=np.float32)
    ids = np.array([[0, 1], [1, 0], [1, 1]], np.float32)
    for info in (tensor, quantised):
        ops = TapeOps(integer, 2)
        loaded = ops.matrix(info)
        found = run(ops, lambda ops=ops, loaded=loaded: ops.experts(loaded, x, ids))
        size = len(info.data) // 2
        alone = [
            ops.matrix(replace(info, shape=(48, 64), data=info.data[e * size : (e + 1) * size]))
            for e in range(2)
        ]
        for row, slot in np.ndindex(3, 2):
            one = alone[int(ids[row, slot])]
            plain = run(ops, lambda ops=ops, one=one, row=row: ops.matmul(one, x[row : row + 1]))
            assert found[row, slot].tobytes() == plain[0].tobytes()


def _q8_0(weight: np.ndarray) -> np.ndarray:
    """Blocks of 32: float16 scale, 32 int8 codes."""
    blocks = weight.reshape(-1, 32)
    scale = (np.abs(blocks).max(1) / 127).astype(np.float16)
    codes = np.rint(blocks / scale[:, None].astype(np.float32)).astype(np.int8)
    return np.concatenate([scale[:, None].view(np.uint8), codes.view(np.uint8)], axis=1).reshape(-1)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("shared_input", [False, True])
def test_many_rows_have_the_bits_of_few(integer: bool, shared_input: bool) -> None:
    weight, _ = stack(5, 40, 96, 9)
    info = TensorInfo("q", BY_NAME["q8_0"], weight.shape, _q8_0(weight), "little")
    rng = np.random.default_rng(3)
    rows, slots = 33, 3
    shape = (rows, 96) if shared_input else (rows, slots, 96)
    x = rng.standard_normal(shape, dtype=np.float32)
    # Expert 3 has no row, expert 0 most of them.
    ids = rng.choice([0, 0, 0, 1, 2, 4], (rows, slots)).astype(np.float32)
    ops = TapeOps(integer, 2)
    loaded = ops.matrix(info)
    many = run(ops, lambda: ops.experts(loaded, x, ids))
    for row in range(rows):
        few = run(ops, lambda row=row: ops.experts(loaded, x[row : row + 1], ids[row : row + 1]))
        assert many[row].tobytes() == few[0].tobytes()


@pytest.mark.parametrize("n", [1, 15, 16, 40])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_over_slots_agree_with_the_twin(n: int, weighted: bool) -> None:
    rng = np.random.default_rng(n)
    y = rng.standard_normal((3, 4, n), dtype=np.float32)
    weights = rng.standard_normal((3, 4), dtype=np.float32) if weighted else None
    ops = TapeOps(False, 2)
    found = run(ops, lambda: ops.combine(y, weights))
    wide = None if weights is None else weights.astype(np.float64)
    np.testing.assert_allclose(found, combine_ref(y.astype(np.float64), wide), atol=2e-6)


def test_chosen_rows_of_a_table_are_added() -> None:
    rng = np.random.default_rng(4)
    y = rng.standard_normal((3, 2, 21), dtype=np.float32)
    table = rng.standard_normal((4, 21), dtype=np.float32)
    ids = np.array([[0, 3], [1, 1], [2, 0]], np.float32)
    ops = TapeOps(False, 2)
    found = run(ops, lambda: ops.add_chosen(y, table, ids))
    assert np.array_equal(found, y + table[ids.astype(int)])


@pytest.mark.parametrize("n", [1, 15, 16, 40])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_spread_over_slots(n: int, weighted: bool) -> None:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((5, 50), dtype=np.float32)[:, :n]
    weights = rng.standard_normal((5, 3), dtype=np.float32) if weighted else None
    ops = TapeOps(False, 2)
    assert np.array_equal(run(ops, lambda: ops.spread(x, weights, 3)), spread_ref(x, weights, 3))
