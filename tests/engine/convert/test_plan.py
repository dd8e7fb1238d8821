"""Which tensors a file gets, under which names and types; what is missing or too much is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.convert.folder import read_config, read_tensors
from gnomon.engine.convert.plan import Plan, plan_tensors
from gnomon.formats.errors import SafetensorsError
from gnomon.formats.safetensors import SafeTensor

Tensors = dict[str, SafeTensor]


def plans(folder: Path, change: Callable[[Tensors], Any], kind: str = "f16") -> dict[str, Plan]:
    family, config = read_config(folder)
    tensors = read_tensors(folder)
    change(tensors)
    return {plan.name: plan for plan in plan_tensors(family, config, tensors, kind)}


def same(tensors: Tensors) -> None:
    """No change."""


def tensor(*shape: int, dtype: str = "F32") -> SafeTensor:
    return SafeTensor(dtype, shape, np.zeros(shape, np.float32))


@pytest.mark.parametrize("kind", ["q4_0", "q4_1", "q5_0", "q5_1"])
@pytest.mark.parametrize(
    ("name", "logits"), [("llama", "output.weight"), ("qwen2", "token_embd.weight")]
)
def test_the_matrix_of_the_logits_alone_has_8_bits(
    name: str, logits: str, kind: str, folder: Any
) -> None:
    found = plans(folder(name), same, kind)
    assert [n for n, plan in found.items() if plan.type == "q8_0"] == [logits]


@pytest.mark.parametrize(("kind", "type_"), [("q8_0", "f16"), ("q4_0", "f16"), ("bf16", "bf16")])
def test_rows_that_no_block_divides_become_f16(kind: str, type_: str, folder: Any) -> None:
    def narrow(tensors: Tensors) -> None:
        tensors["model.layers.0.mlp.down_proj.weight"] = tensor(64, 80)

    assert plans(folder("llama"), narrow, kind)["blk.0.ffn_down.weight"].type == type_


def test_tied_rows_are_not_written_twice(folder: Any) -> None:
    def tie(tensors: Tensors) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]

    assert "output.weight" not in plans(folder("qwen2"), tie)


def test_rows_beyond_gemma_3_s_vocabulary_are_cut_off(folder: Any) -> None:
    def lengthen(tensors: Tensors) -> None:
        tensors["model.embed_tokens.weight"] = tensor(364, 64)

    assert plans(folder("gemma3"), lengthen)["token_embd.weight"].source.shape == (300, 64)


def test_the_table_of_factors_comes_first(folder: Any) -> None:
    assert next(iter(plans(folder("llama3"), same))) == "rope_freqs.weight"


EMBEDDING = "model.embed_tokens.weight"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model.layers.0.extra.weight", tensor(2, 2), "does not have: model.layers.0.extra.weight"),
        (
            "model.layers.2.mlp.up_proj.weight",
            tensor(2, 2),
            r"does not have: model\.layers\.2\.mlp",
        ),
        ("model.layers.0.mlp.up_proj.scale", tensor(2, 2), r"not have: .*up_proj\.scale"),
        ("model.layers.1.mlp.up_proj.weight", None, r"no tensors layers\.1\.mlp\.up_proj\.weight"),
        (
            "model.layers.1.mlp.up_proj.bias",
            tensor(96),
            r"no tensors layers\.0\.mlp\.up_proj\.bias",
        ),
        ("model.norm.weight", None, r"no tensors norm\.weight"),
        ("lm_head.weight", None, r"no tensors lm_head\.weight"),
        (EMBEDDING, tensor(301, 64), r"shape \[301, 64\], expected \[300, 64\]: config.json's voc"),
        (EMBEDDING, tensor(299, 64), r"shape \[299, 64\], expected \[300, 64\]"),
        (EMBEDDING, tensor(300), r"shape \[300\], expected \[300, 64\]"),
        (EMBEDDING, tensor(300, 64, dtype="I8"), "dtype I8, expected F32, F16, BF16 or F64"),
        ("model.layers.0.self_attn.q_proj.weight", tensor(65, 64), "expected pairs of 4 heads"),
        ("model.layers.0.self_attn.k_proj.weight", tensor(), "expected pairs of 2 heads"),
    ],
)
def test_what_is_missing_or_too_much_is_named(
    name: str, value: SafeTensor | None, message: str, folder: Any
) -> None:
    def change(tensors: Tensors) -> None:
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value

    with pytest.raises(SafetensorsError, match=message):
        plans(folder("llama"), change)


def test_many_missing_tensors_are_counted(folder: Any) -> None:
    with pytest.raises(SafetensorsError, match=r"no tensors embed_tokens\.weight, .* and 13 more$"):
        plans(folder("llama"), dict.clear)
