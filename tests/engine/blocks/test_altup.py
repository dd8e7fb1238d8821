"""Streams that a layer does not compute: predicted, corrected, made and merged, by the formulas."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gnomon.engine.arch import Arch
from gnomon.engine.blocks.altup import AltUp, as_long, beside, low_rank
from gnomon.engine.blocks.layer import Layer, row_mean
from gnomon.engine.keys import Keys
from gnomon.formats.errors import MetadataError
from gnomon.formats.metadata import Metadata
from gnomon.kernels.twin_ops import TwinOps

OPS, ROWS, DIM, N, EPSILON = TwinOps(), 5, 12, 3, 1e-5
ALTUP = AltUp(streams=N, active=1)
F64 = NDArray[np.float64]


def drawn(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def layer_of(**tensors: Any) -> Layer:
    parts: dict[str, Any] = dict.fromkeys(("spec", "region", "states", "step"))
    parts |= {"hparams": SimpleNamespace(epsilon=EPSILON), "w": SimpleNamespace(**tensors)}
    return Layer(arch=Arch("any"), ops=OPS, **parts)


ROUTER, GAIN = drawn(N, DIM) * 9, drawn(DIM)
PREDICT, CORRECT = drawn(N * N, N), drawn(N, N)
LAYER = layer_of(
    altup_router=ROUTER,
    altup_router_norm=GAIN,
    altup_predict_coef=PREDICT,
    altup_correct_coef=CORRECT,
)


def state(x: F64) -> F64:
    """tanh(R norm(x) / dim) of one row."""
    out: F64 = np.tanh(ROUTER @ (GAIN * x / np.sqrt(np.mean(x * x) + EPSILON)) / DIM)
    return out


def test_a_stream_is_predicted_from_all_by_coefficients_of_the_active_one() -> None:
    streams = drawn(ROWS, N, DIM)
    found = ALTUP.predict(LAYER, streams.reshape(ROWS, N * DIM))
    for row in range(ROWS):
        mixes = (PREDICT @ state(streams[row, 1])).reshape(N, N)
        for i in range(N):
            wanted = streams[row, i] + sum(mixes[i, j] * streams[row, j] for j in range(N))
            np.testing.assert_allclose(found[i][row], wanted, rtol=1e-12)


def test_a_stream_is_corrected_by_what_the_active_one_turned_out_to_be() -> None:
    predicted, y = drawn(N, ROWS, DIM), drawn(ROWS, DIM)
    found = ALTUP.correct(LAYER, list(predicted), y)
    for row in range(ROWS):
        coefs = 1 + CORRECT @ state(y[row])
        for i in range(N):
            wanted = predicted[i, row] + coefs[i] * (y[row] - predicted[1, row])
            np.testing.assert_allclose(found[i][row], wanted, rtol=1e-12)


def long(row: F64, like: F64) -> F64:
    out: F64 = row * (np.linalg.norm(like) / np.linalg.norm(row))
    return out


def test_streams_start_as_the_row_and_as_projections_of_its_length() -> None:
    x, projections = drawn(ROWS, DIM), drawn(N - 1, DIM, DIM)
    found = ALTUP.begin(x, SimpleNamespace(altup_proj=projections), OPS).reshape(ROWS, N, DIM)
    np.testing.assert_array_equal(found[:, 0], x)
    for row in range(ROWS):
        for i in range(N - 1):
            wanted = long(projections[i] @ x[row], x[row])
            np.testing.assert_allclose(found[row, i + 1], wanted, rtol=1e-11)


def test_streams_end_as_the_mean_of_projections_as_long_as_the_active_one() -> None:
    streams, projections = drawn(ROWS, N, DIM), drawn(N - 1, DIM, DIM)
    top = SimpleNamespace(altup_unembd_proj=projections)
    found = ALTUP.end(streams.reshape(ROWS, N * DIM), top, OPS)
    for row in range(ROWS):
        x = streams[row]
        back = [long(projections[i] @ x[i + 1], x[1]) for i in range(N - 1)]
        np.testing.assert_allclose(found[row], (x[0] + sum(back)) / N, rtol=1e-11)


def test_zeros_get_no_length() -> None:
    assert not as_long(OPS, np.zeros((2, 1, 8)), drawn(2, 8)).any()


def test_the_low_rank_path_adds_a_norm_of_its_product() -> None:
    h, left, right, gain = drawn(ROWS, DIM), drawn(4, DIM), drawn(DIM, 4), drawn(DIM)
    found = low_rank(layer_of(laurel_l=left, laurel_r=right, laurel_post_norm=gain), h)
    made = h @ left.T @ right.T
    wanted = h + gain * made / np.sqrt(np.mean(made * made, axis=1, keepdims=True) + EPSILON)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_any_number_of_streams_lies_side_by_side(count: int) -> None:
    parts = [drawn(2, 3 + i) for i in range(count)]
    np.testing.assert_array_equal(beside(OPS, parts), np.concatenate(parts, axis=1))


@pytest.mark.parametrize("n", [1, 7, 64, 96, 130])
def test_the_mean_of_a_row_of_any_length(n: int) -> None:
    x = drawn(ROWS, n)
    np.testing.assert_allclose(row_mean(OPS, x), x.mean(axis=1, keepdims=True), rtol=1e-12)


def test_a_file_without_numbers_has_four_streams_and_the_first_is_active() -> None:
    assert AltUp.read(Keys(Metadata({}), "x")) == AltUp(4, 0)


def test_the_active_stream_is_one_of_them() -> None:
    keys = Keys(Metadata({"x.altup.num_inputs": 2, "x.altup.active_idx": 2}), "x")
    AltUp.read(keys)
    with pytest.raises(MetadataError, match="active_idx"):
        keys.check()
