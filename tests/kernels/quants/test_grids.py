"""The grids are the published ones, decoded once and only when used."""

import hashlib
import subprocess
import sys
from typing import Any

import gguf
import numpy as np
import pytest

from gnomon.kernels.quants.grids import GRIDS, grid, grid_rows

GGUF_CLASSES: dict[str, Any] = {
    "iq1_s": gguf.quants.IQ1_S,
    "iq2_xxs": gguf.quants.IQ2_XXS,
    "iq2_xs": gguf.quants.IQ2_XS,
    "iq2_s": gguf.quants.IQ2_S,
    "iq3_xxs": gguf.quants.IQ3_XXS,
    "iq3_s": gguf.quants.IQ3_S,
}


def test_every_grid_is_compared() -> None:
    assert set(GGUF_CLASSES) == set(GRIDS)


@pytest.mark.parametrize("name", GGUF_CLASSES)
def test_grid_equals_the_one_of_the_gguf_package(name: str) -> None:
    GGUF_CLASSES[name].init_grid()
    np.testing.assert_array_equal(grid(name), GGUF_CLASSES[name].grid[0, 0])


@pytest.mark.parametrize("name", GGUF_CLASSES)
def test_grid_has_the_recorded_digest(name: str) -> None:
    assert hashlib.sha256(grid(name).tobytes()).hexdigest() == GRIDS[name].sha256


def test_a_grid_is_decoded_once_and_cannot_be_written() -> None:
    assert grid("iq3_s") is grid("iq3_s")
    assert not grid("iq3_s").flags.writeable


def test_rows_follow_each_other_in_groups() -> None:
    table = grid("iq3_s").astype(np.float32)
    rows = grid_rows("iq3_s", np.array([[3, 500, 7, 3]], dtype=np.uint16), 8)
    np.testing.assert_array_equal(rows, table[[3, 500, 7, 3]].reshape(1, 2, 8))


def test_importing_the_table_decodes_no_grid() -> None:
    code = (
        "import gnomon.kernels.quants.table as t, gnomon.kernels.quants.grids as g, sys\n"
        "assert g.grid.cache_info().currsize == 0\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
