"""Pairs in groups by expert: each pair in one slot, with its bits whatever it stands beside."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.expert_groups import emit_grouping
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.tape_ops import TapeOps
from gnomon.kernels.team import team


def some_ids(rows: int, slots: int, experts: int, seed: int) -> np.ndarray:
    """Expert 0 has most pairs, the last none."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, max(1, experts - 1), (rows, slots))
    return np.where(rng.random((rows, slots)) < 0.4, 0, ids).astype(np.float32)


@pytest.mark.parametrize(
    ("rows", "slots", "experts"), [(1, 1, 1), (9, 1, 5), (40, 3, 7), (3, 8, 90)]
)
def test_every_pair_has_a_slot_in_its_experts_groups(rows: int, slots: int, experts: int) -> None:
    ids = some_ids(rows, slots, experts, rows)
    ops = TapeOps(False, 2)
    tape = ops.record()
    by = emit_grouping(tape, ops.pool, ids, experts)
    with team().lock:
        ops.run(tape)
    seen, pairs = [], ids.size
    for expert in range(experts):
        wanted = np.flatnonzero(ids.ravel() == expert).tolist()
        groups = by.groups[by.firsts[expert] : by.firsts[expert + 1]]
        found = [int(p) for start, size in groups for p in by.slots[start : start + size]]
        assert found[: len(wanted)] == wanted
        assert found[len(wanted) :] == [pairs] * (len(found) - len(wanted))
        assert len(found) - len(wanted) < 4
        assert len(found) == 1 or len(wanted) != 1
        seen += wanted
    assert sorted(seen) == list(range(pairs))


@pytest.mark.parametrize("kind", ["q4_0", "q4_k", "q6_k", "f16"])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("rows", [9, 30])
def test_many_rows_have_the_bits_of_few(kind: str, integer: bool, rows: int) -> None:
    """Some activations stand out, so that some records have a second level and some have none."""
    block, shape, slots = BY_NAME[kind], (6, 24, 256), 3
    rng = np.random.default_rng(rows)
    data = random_blocks(block, int(np.prod(shape)) // block.elements, rng).reshape(-1)
    x = rng.standard_normal((rows, 256), dtype=np.float32)
    x[::4, ::37] *= 50
    ids = some_ids(rows, slots, 6, 2)
    ops = TapeOps(integer, 2)
    weight = ops.matrix(TensorInfo("w", block, shape, data, "little"))

    def products(part: slice) -> np.ndarray:
        tape = ops.record()
        out = ops.experts(weight, x[part], ids[part])
        with team().lock:
            ops.run(tape)
        return np.array(out)

    many = products(slice(None))
    assert np.isfinite(many).all()
    for row in range(rows):
        assert products(slice(row, row + 1))[0].tobytes() == many[row].tobytes()


def test_products_of_the_same_rows_share_groups_and_records() -> None:
    weight = np.random.default_rng(1).standard_normal((4, 20, 64), dtype=np.float32)
    tensor = TensorInfo(
        "w", BY_NAME["f32"], weight.shape, weight.reshape(-1).view(np.uint8), "little"
    )
    ops = TapeOps(True, 2)
    loaded, ids = ops.matrix(tensor), some_ids(12, 2, 4, 3)
    x = np.random.default_rng(2).standard_normal((12, 64), dtype=np.float32)
    tape = ops.record()
    first, second = ops.experts(loaded, x, ids), ops.experts(loaded, x, ids)
    names = [kernel.name for span in tape._spans for kernel, _, _ in span]  # type: ignore[union-attr]
    with team().lock:
        ops.run(tape)
    assert names.count("group_pairs") == 1
    assert names.count("gather_records_float") == 1
    assert np.array_equal(first, second)
