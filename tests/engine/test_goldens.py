"""Two real models against transformers in float64 (golden/models), prompt by prompt."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

SMOL, GEMMA = "smollm2-135m-instruct-q4_1", "gemma-3-270m-q4_k_m"
CASES = [(SMOL, k) for k in range(10)] + [(GEMMA, k) for k in range(4)]
# What llama.cpp's own integer path gives on the same prompts (llama-cpp-python 0.3.36).
CLOSENESS = {SMOL: (0.0054, 263, 272), GEMMA: (0.0097, 43, 47)}


@pytest.fixture(scope="module")
def model(smollm2_path: Path, gemma_path: Path) -> Any:
    paths = {SMOL: smollm2_path, GEMMA: gemma_path}

    @functools.cache
    def open_model(name: str, compute: Any) -> Model:
        return Model.open(paths[name], LoadConfig(compute=compute))

    return open_model


def nmse(found: Any, golden: Any) -> float:
    difference = found.astype(np.float64) - golden
    return float(np.sum(difference**2) / np.sum(golden.astype(np.float64) ** 2))


@pytest.mark.parametrize(("name", "k"), CASES)
def test_token_ids_are_those_of_llama_cpp(name: str, k: int, model: Any, model_golden: Any) -> None:
    prompt = model_golden(name)[0][k]
    tokenizer = model(name, "int8").tokenizer
    assert tokenizer.encode(prompt["text"], parse_special=True) == prompt["tokens"]


@pytest.mark.parametrize(("name", "k"), CASES)
def test_float32_logits_agree(name: str, k: int, model: Any, model_golden: Any) -> None:
    prompts, arrays = model_golden(name)
    with model(name, "float32").session() as session:
        assert nmse(session.feed(prompts[k]["tokens"]), arrays[f"logits_{k}"]) <= 1e-10


@pytest.mark.parametrize(("name", "k"), CASES)
def test_float64_logits_agree(name: str, k: int, model: Any, model_golden: Any) -> None:
    prompts, arrays = model_golden(name)
    with model(name, "float64").session() as session:
        assert nmse(session.feed(prompts[k]["tokens"]), arrays[f"logits_{k}"]) <= 1e-14


@pytest.mark.parametrize(("name", "k"), CASES)
def test_float32_greedy_ids_are_the_goldens(
    name: str, k: int, model: Any, model_golden: Any
) -> None:
    prompt = model_golden(name)[0][k]
    with model(name, "float32").session() as session:
        logits, ids = session.feed(prompt["tokens"]), []
        for _ in prompt["greedy"]:
            ids.append(int(logits.argmax()))
            logits = session.feed(ids[-1:])
    assert ids == prompt["greedy"]


def log_softmax(rows: Any) -> Any:
    rows = rows.astype(np.float64) - rows.max(1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(1, keepdims=True))


def all_rows(model: Model, prompts: Any) -> list[Any]:
    return [model.session().feed(prompt["tokens"], logits="all") for prompt in prompts]


@pytest.mark.parametrize("name", [SMOL, GEMMA])
def test_int8_is_as_close_to_float32_as_llama_cpp(name: str, model: Any, model_golden: Any) -> None:
    prompts = model_golden(name)[0]
    exact = np.concatenate(all_rows(model(name, "float32"), prompts))
    rounded = np.concatenate(all_rows(model(name, "int8"), prompts))
    p, q = log_softmax(exact), log_softmax(rounded)
    assert np.mean(np.sum(np.exp(p) * (p - q), axis=1)) <= CLOSENESS[name][0]


@pytest.mark.parametrize("name", [SMOL, GEMMA])
def test_int8_picks_the_goldens_token(name: str, model: Any, model_golden: Any) -> None:
    prompts, arrays = model_golden(name)
    found = [rows.argmax(1) for rows in all_rows(model(name, "int8"), prompts)]
    same = sum(int(np.sum(ids == arrays[f"argmax_{k}"])) for k, ids in enumerate(found))
    assert (same >= CLOSENESS[name][1], sum(map(len, found))) == (True, CLOSENESS[name][2])
