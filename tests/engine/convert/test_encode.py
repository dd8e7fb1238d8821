"""Bytes of tensors against gguf's and ggml's quantizers."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from gnomon.engine.archs.checkpoints import Change
from gnomon.engine.convert import encode
from gnomon.engine.convert.encode import encoded, encoded_bytes
from gnomon.engine.convert.plan import FILE_TYPES, Plan
from gnomon.formats.errors import SafetensorsError
from gnomon.formats.safetensors import SafeTensor


def plan(x: Any, type_: str, change: Change | None = None, heads: int = 1) -> Plan:
    dtype = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}[x.dtype]
    return Plan("x.weight", SafeTensor(dtype, x.shape, x), type_, change, heads)


@pytest.mark.parametrize("kind", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
def test_blocks_of_hard_numbers_are_ggml_s(kind: str, checkpoint: Any, convert_golden: Any) -> None:
    data = encoded(plan(checkpoint.hard_rows(), kind)).tobytes()
    digest = hashlib.sha256(data).hexdigest()[:20]
    assert digest == convert_golden("quantized.json")["rows"][kind]


@pytest.mark.parametrize("at_once", [1, 64, 65, 7 * 64])
@pytest.mark.parametrize("kind", FILE_TYPES)
def test_parts_give_the_bytes_of_the_whole(
    kind: str, at_once: int, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = checkpoint.hard_rows()[2000:2100]
    whole = np.ascontiguousarray(quantize(rows, GGMLQuantizationType[kind.upper()]))
    monkeypatch.setattr(encode, "AT_ONCE", at_once)
    assert encoded(plan(rows, kind)).tobytes() == whole.tobytes()


def test_rows_of_halves_become_neighbours() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    done = encoded(plan(rows, "f32", Change.PAIRS, 2)).view(np.float32)
    assert done.reshape(8, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_one_is_added_in_float32_to_f16() -> None:
    x = np.array([2.0**-12, 0.5], np.float16)
    done = encoded(plan(x, "f32", Change.PLUS_ONE)).view(np.float32)
    assert done.tolist() == [1 + 2.0**-12, 1.5]


@pytest.mark.parametrize("shape", [(), (0,), (0, 32), (3, 0)])
def test_shapes_without_rows_have_their_size(shape: tuple[int, ...]) -> None:
    tensor = plan(np.ones(shape, np.float32), "f32")
    assert len(encoded(tensor)) == encoded_bytes(tensor) == 4 * int(np.prod(shape))


def test_f16_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(
        SafetensorsError, match=r"x\.weight: numbers up to 65536, F16 ends at 65504"
    ):
        encoded(plan(np.full((1, 32), -65536, np.float32), "f16"))
