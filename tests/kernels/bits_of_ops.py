"""Print a digest of the bytes of a few small operations, as JSON: {name: digest}.

    python tests/kernels/bits_of_ops.py [NAME...]

`test_without_jit.py` and `test_isa.py` run it as plain Python and with each instruction set.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels import elementwise
from gnomon.kernels.activation_words import WRITERS
from gnomon.kernels.activations import SHARE
from gnomon.kernels.attention import Shape, emit_attention
from gnomon.kernels.chain_of_few import few_left, steps_of
from gnomon.kernels.exp64 import exp64
from gnomon.kernels.kv_pages import region_after
from gnomon.kernels.matmul import FEW, emit_matmul, rows_at_once
from gnomon.kernels.pool import Pool, aligned
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.records import RECORD, Records
from gnomon.kernels.rms_norm import rms_norm
from gnomon.kernels.router import Routing
from gnomon.kernels.spans import Spans
from gnomon.kernels.tape import Tape
from gnomon.kernels.tape_ops import TapeOps
from gnomon.kernels.team import team
from gnomon.kernels.tiles.load import load_tiles
from gnomon.kernels.top_of_row import top_of_row

Make = Callable[[np.random.Generator], Any]
MANY = 34  # rows that go through panels with every instruction set: more than any FEW
assert MANY > FEW


def run(emit: Callable[[Tape], Any]) -> Any:
    tape = Tape()
    out = emit(tape)
    with team().lock:
        tape.run(team(), 1)
    return np.array(out)


def matmul(name: str, rows: int, records: Records = Records.BYTES) -> Make:
    """19 outputs of 256 columns; one number dominates a block, so both levels are used."""

    def make(rng: np.random.Generator) -> Any:
        block = BY_NAME[name]
        blocks = random_blocks(block, 19 * 256 // block.elements, rng)
        weight = load_tiles(TensorInfo("w", block, (19, 256), blocks.reshape(-1), "little"), 1)
        x = rng.standard_normal((rows, 256), dtype=np.float32)
        x[0, 40] = 60
        pool, at_once = Pool(), rows_at_once(rows)
        groups = -(-rows // at_once)
        record = pool.take((groups, weight.blocks, RECORD * at_once), np.uint8)
        values = (x, record, rows, 256, 1024, at_once, groups, weight.blocks, SHARE)

        def emit(tape: Tape) -> Any:
            tape.emit(WRITERS[records], 2, values, [x], [record])
            return emit_matmul(tape, pool, weight, record, rows, records, 1)

        return run(emit)

    return make


def attention(rows: int) -> Make:
    """`rows` queries of 2 heads over 140 keys of one head: two pages."""

    def make(rng: np.random.Generator) -> Any:
        keys, pool = 140, Pool()
        region = region_after(0, 1, (24, 40), ("f16", "f32"))
        pages = [aligned(region.end) for _ in range(2)]
        table = np.array([page.ctypes.data for page in pages])
        sizes = ((keys, 2, 24), (keys, 1, 24), (keys, 1, 40))
        q, key, value = (rng.standard_normal(size, dtype=np.float32) for size in sizes)
        positions = np.arange(keys)
        out = None
        for first, last in ((0, keys - rows), (keys - rows, keys)):
            some = slice(first, last)
            spans = [(table.ctypes.data, 0, position) for position in positions[some]]
            step = Spans(np.array(spans), [table] * (last - first), keys)
            given = q[some], key[some], value[some]

            def emit(tape: Tape, given: Any = given, step: Spans = step, some: Any = some) -> Any:
                shape = Shape(2, 24**-0.5, 30.0)
                return emit_attention(tape, pool, given, positions[some], step, region, shape, 1)

            out = run(emit)
        return out

    return make


def norm(rng: np.random.Generator) -> Any:
    x, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((3, 83), (83,)))
    out = np.empty_like(x)
    rms_norm.run(0, 1, x, w, out, 3, 83, 4 * 83, 1e-5)
    return out


def gate(rng: np.random.Generator) -> Any:
    x, y = (rng.standard_normal((3, 83), dtype=np.float32) * 4 for _ in "xy")
    out = np.empty_like(x)
    elementwise.GATES["silu"][1].run(0, 1, x, y, out, 3, 83, 4 * 83, 4 * 83, 0.0)
    return out


def routed(rng: np.random.Generator) -> Any:
    """5 rows of 64 numbers choose 2 of 4 experts, in 2 of 4 groups, and get their products."""
    ops = TapeOps(True, 1)
    blocks = random_blocks(BY_NAME["q8_0"], 4 * 19 * 2, rng).reshape(-1)
    weight = ops.matrix(TensorInfo("w", BY_NAME["q8_0"], (4, 19, 64), blocks, "little"))
    x, logits = (rng.standard_normal((5, n), dtype=np.float32) for n in (64, 4))
    tape = ops.record()
    ids, weights = ops.route(Routing("softmax", 2, True, 1.5, 4, 2), logits, logits[0], None)
    out = ops.combine(ops.experts(weight, x, ids), weights)
    with team().lock:
        ops.run(tape)
    return np.array(out)


def exponentials(rng: np.random.Generator) -> Any:
    x = rng.uniform(-720.0, 720.0, 27)
    out = np.empty_like(x)
    exp64.run(0, 1, x, out, x.size)
    return out


def best(rng: np.random.Generator) -> Any:
    """The 7 best of 300 logits with ties, 5 of them replaced."""
    row, values = rng.integers(-9, 9, 300).astype(np.float32), rng.standard_normal(5) * 9
    ids, out_values, problem = np.empty(7, np.int64), np.empty(7), np.zeros(1, np.int64)
    top_of_row.run(0, 1, row, 300, np.arange(5) * 7, values, 5, 7, ids, out_values, problem)
    return np.array([*ids, *out_values, *problem])


def few(rng: np.random.Generator) -> Any:
    """What top-p, min-p and a temperature leave of 20 candidates."""
    steps = steps_of([("topP", 0.95), ("minP", -3.0), ("temperature", 0.8)])
    return np.concatenate(few_left(np.arange(20), np.round(rng.standard_normal(20) * 9), steps))


OPERATIONS: dict[str, Make] = {
    "int8 q4_0, 1 row": matmul("q4_0", 1),
    "int8 q2_k, 3 rows": matmul("q2_k", 3),
    "int8 q6_k, 9 rows": matmul("q6_k", 9),
    "int8 q4_k, many rows": matmul("q4_k", MANY),
    "int8 iq4_nl, 1 row": matmul("iq4_nl", 1),
    "int8 iq2_s, 1 row": matmul("iq2_s", 1),
    "int8 tq1_0, 1 row": matmul("tq1_0", 1),
    "int16 q8_0, 1 row": matmul("q8_0", 1, Records.WORDS),
    "int16 q6_k, 3 rows": matmul("q6_k", 3, Records.WORDS),
    "int16 q4_k, many rows": matmul("q4_k", MANY, Records.WORDS),
    "float q4_1, 1 row": matmul("q4_1", 1, Records.FLOATS),
    "float bf16, many rows": matmul("bf16", MANY, Records.FLOATS),
    "attention, 1 row": attention(1),
    "attention, 9 rows": attention(9),
    "routed": routed,
    "norm": norm,
    "gate": gate,
    "exponentials": exponentials,
    "best": best,
    "few": few,
}


def digests(names: Iterable[str]) -> dict[str, str]:
    """Each operation's digest; its data do not depend on the others."""
    results = {name: OPERATIONS[name](np.random.default_rng(5)) for name in names}
    return {name: hashlib.sha256(out.tobytes()).hexdigest()[:16] for name, out in results.items()}


if __name__ == "__main__":
    print(json.dumps(digests(sys.argv[1:] or OPERATIONS)))
