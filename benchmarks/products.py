"""Products to time or to check: random weights of any type, and a tape with one product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.activation_words import WRITERS
from gnomon.kernels.activations import SHARE
from gnomon.kernels.matmul import Tiles, emit_matmul, rows_at_once
from gnomon.kernels.pool import Pool
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.records import RECORD, records_of
from gnomon.kernels.tape import Tape

REPEAT = 16


def make_tensor(kind: str, rows: int, columns: int) -> TensorInfo:
    """Random blocks, a sixteenth drawn and repeated."""
    block, count = BY_NAME[kind], rows * columns // BY_NAME[kind].elements
    drawn = random_blocks(block, -(-count // REPEAT), np.random.default_rng(1))
    data = np.tile(drawn.reshape(-1), REPEAT)[: count * block.bytes]
    return TensorInfo(kind, block, (rows, columns), data, "little")


def prepared_product(
    pool: Pool, weight: Tiles, x: NDArray[np.float32], integer: bool, threads: int
) -> tuple[Tape, NDArray[np.float32]]:
    """A tape with one product and its result; the activations are prepared here, once."""
    rows, at_once = len(x), rows_at_once(len(x))
    groups = -(-rows // at_once)
    record = pool.take((groups, weight.blocks, RECORD * at_once), np.uint8)
    values = (x, record, *x.shape, x.strides[0], at_once, groups, weight.blocks, SHARE)
    records = records_of(integer)
    WRITERS[records].run(0, 1, *values)
    tape = Tape()
    tape.keep(record)
    return tape, emit_matmul(tape, pool, weight, record, rows, records, threads)
