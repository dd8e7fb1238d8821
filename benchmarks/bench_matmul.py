"""Products of every type: GB/s of a few rows, GOPS of a prompt, GB/s of packing.

    pytest benchmarks/bench_matmul.py [--types q4_0,q6_k] [--shape 8192x2048] [--float32]

Few rows read weights that are in no cache. Bytes are those of the tiles, which codebook types have
more of than their files; those of packing are the file's.
"""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

from gnomon.kernels.matmul import Tiles
from gnomon.kernels.pool import Pool
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.load import load_tiles

from .conftest import Bench
from .products import make_tensor, prepared_product

TYPES = tuple(FORMATS)
MANY = 512
COLD_BYTES = 1_000_000_000  # weights visited in turn, more than a server's last cache holds


@pytest.mark.parametrize("rows", [1, 2, 4, 8, MANY])
def test_product(kind: str, rows: int, bench: Bench) -> None:
    """Read once, each weight is multiplied by `rows` numbers."""
    weight = load_tiles(make_tensor(kind, *bench.shape), bench.threads)
    integer = weight.format.integer and not bench.float32
    x = np.random.default_rng(2).standard_normal((rows, weight.columns), dtype=np.float32)
    copies = [weight, *(_copy(weight) for _ in range(_cold(weight) if rows < MANY else 0))]
    pool = Pool()
    tapes = cycle([prepared_product(pool, one, x, integer, bench.threads)[0] for one in copies])
    products = 2 * rows * weight.rows * weight.columns
    # A prompt reads its weight once in many products: GB/s would say nothing.
    bench.run(
        lambda: bench.play(next(tapes)),
        read=weight.data.nbytes if rows < MANY else 0,
        integer_products=products if integer else 0,
        float_products=0 if integer else products,
    )


def test_packing(kind: str, bench: Bench) -> None:
    """From the file's layout to tiles, in memory that is new each time."""
    tensor = make_tensor(kind, *bench.shape)
    bench.run(lambda: load_tiles(tensor, bench.threads), read=tensor.data.nbytes)


def _cold(weight: Tiles) -> int:
    return COLD_BYTES // weight.data.nbytes


def _copy(weight: Tiles) -> Tiles:
    return Tiles(weight.format, weight.data.copy(), weight.rows, weight.columns)
