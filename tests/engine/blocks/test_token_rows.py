"""Each token's rows for all layers, and what a layer adds by its own, by the formulas."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from gnomon.engine.arch import Arch
from gnomon.engine.blocks.layer import TOKEN_ROWS, Layer
from gnomon.engine.blocks.token_rows import from_token_row, token_rows
from gnomon.engine.keys import Keys
from gnomon.engine.token_row_spec import TokenRowSpec, read_token_rows
from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.formats.metadata import Metadata
from gnomon.kernels.elementwise import gelu_ref
from gnomon.kernels.twin_ops import TwinOps

DIM, WIDE, LAYERS, ROWS, EPSILON = 8, 4, 3, 5, 1e-5
RNG = np.random.default_rng(3)
TABLE = RNG.standard_normal((7, LAYERS * WIDE)).astype(np.float32)
TOKENS = np.array([6, 0, 3, 3, 5])
SPECS = [TokenRowSpec(i, LAYERS, WIDE) for i in range(LAYERS)]


def hparams(*specs: TokenRowSpec | None) -> Any:
    layers = [SimpleNamespace(token_row=spec) for spec in specs]
    return SimpleNamespace(layers=layers, embedding=DIM, epsilon=EPSILON)


def normed(x: Any, gain: Any) -> Any:
    return gain * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON)


def test_rows_are_looked_up_and_projected_layer_by_layer() -> None:
    data = TABLE.view(np.uint8).reshape(-1)
    table = TensorInfo("t", BY_NAME["f32"], TABLE.shape, data, "little")
    projection, gain = RNG.standard_normal((LAYERS * WIDE, DIM)), RNG.standard_normal(WIDE)
    x, step = RNG.standard_normal((ROWS, DIM)), SimpleNamespace(tokens=TOKENS)
    top = SimpleNamespace(
        per_layer_token_embd=table, per_layer_model_proj=projection, per_layer_proj_norm=gain
    )
    found = token_rows(hparams(*SPECS), top, x, step, TwinOps())  # type: ignore[arg-type]
    made = normed((x @ projection.T / np.sqrt(DIM)).reshape(ROWS, LAYERS, WIDE), gain)
    kept = TABLE[TOKENS].astype(np.float64).reshape(ROWS, LAYERS, WIDE) * np.sqrt(WIDE)
    wanted = ((made + kept) / np.sqrt(2)).reshape(ROWS, -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_models_without_such_rows_have_none() -> None:
    nothing: Any = None
    assert token_rows(hparams(None), nothing, nothing, nothing, TwinOps()) is None


def layer_of(spec: TokenRowSpec | None, **tensors: Any) -> Layer:
    parts: dict[str, Any] = dict.fromkeys(("region", "states", "step"))
    parts |= {"spec": SimpleNamespace(token_row=spec), "hparams": hparams(spec)}
    return Layer(arch=Arch("any"), w=SimpleNamespace(**tensors), ops=TwinOps(), **parts)


def test_a_layer_adds_a_norm_of_its_own_part_behind_a_gate() -> None:
    x, rows = RNG.standard_normal((ROWS, DIM)), RNG.standard_normal((ROWS, LAYERS * WIDE))
    gate, back = RNG.standard_normal((WIDE, DIM)), RNG.standard_normal((DIM, WIDE))
    gain = RNG.standard_normal(DIM)
    layer = layer_of(SPECS[1], inp_gate=gate, proj=back, post_norm=gain)
    layer.passed_on[TOKEN_ROWS] = rows
    wanted = normed((gelu_ref(x @ gate.T) * rows[:, WIDE : 2 * WIDE]) @ back.T, gain)
    found = from_token_row(layer, x)
    assert found is not None
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_layer_without_a_part_adds_nothing() -> None:
    assert from_token_row(layer_of(None), np.ones((1, DIM))) is None


def read(token_rows: int | None, **metadata: int) -> list[TokenRowSpec | None]:
    given = {f"x.{key}": value for key, value in metadata.items()}
    return read_token_rows(Keys(Metadata(given), "x"), Arch("x", token_rows=token_rows), LAYERS)


def test_the_file_says_how_many_numbers_a_row_has() -> None:
    assert read(0, embedding_length_per_layer_input=WIDE) == SPECS


def test_a_file_that_does_not_say_it_has_what_the_spec_says() -> None:
    assert read(WIDE) == SPECS
    assert read(0) == [None] * LAYERS


def test_a_spec_without_rows_does_not_read_the_key() -> None:
    assert read(None, embedding_length_per_layer_input=WIDE) == [None] * LAYERS
