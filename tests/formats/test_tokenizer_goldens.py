"""The two real models' tokenizers against llama.cpp, and its own vocabularies if they are at hand.

GNOMON_VOCABS names the folder that holds llama.cpp's ggml-vocab-*.gguf with their .inp and .out.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.formats.gguf import open_gguf
from gnomon.formats.tokenizer import Tokenizer, tokenizer_from_metadata

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/tokens/models.json").read_text())
PROMPTS = {"smollm2": "smollm2-135m-instruct-q4_1", "gemma3": "gemma-3-270m-q4_k_m"}
VOCABULARIES = (
    *("bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2"),
    *("llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
)
SEPARATOR = "\n__ggml_vocab_test__\n"

Prompts = Callable[[str], tuple[list[dict[str, Any]], Any]]


def from_file(path: Path) -> Tokenizer:
    with open_gguf(path) as file:
        return tokenizer_from_metadata(file.metadata)


@pytest.fixture(scope="session")
def smollm2(smollm2_path: Path) -> Tokenizer:
    return from_file(smollm2_path)


@pytest.fixture(scope="session")
def gemma3(gemma_path: Path) -> Tokenizer:
    return from_file(gemma_path)


@pytest.fixture(params=["smollm2", "gemma3"])
def model(request: pytest.FixtureRequest) -> tuple[str, Tokenizer]:
    return request.param, request.getfixturevalue(request.param)


def test_the_prompts_of_the_model_goldens_have_their_ids(
    model: tuple[str, Tokenizer], model_golden: Prompts
) -> None:
    name, tokenizer = model
    for prompt in model_golden(PROMPTS[name])[0]:
        assert tokenizer.encode(prompt["text"], parse_special=True) == prompt["tokens"]


def test_nasty_texts_have_llama_cpp_s_ids(model: tuple[str, Tokenizer]) -> None:
    name, tokenizer = model
    for case in GOLDEN[name]:
        ids = tokenizer.encode(case["text"], add_special=case["add"], parse_special=case["parse"])
        assert ids == case["ids"], repr(case["text"])


def test_the_ids_that_end_a_generation_are_llama_cpp_s(model: tuple[str, Tokenizer]) -> None:
    name, tokenizer = model
    assert sorted(tokenizer.eog) == GOLDEN[f"{name}_ends"]


def test_nasty_texts_come_back(model: tuple[str, Tokenizer]) -> None:
    name, tokenizer = model
    for case in GOLDEN[name]:
        text = case["text"]
        if name == "smollm2":  # has no tokens for these bytes
            text = text.replace("\x04", "").replace("\U000f1234", "")
        # A literal U+2581 is a space to gemma.
        expected = text.replace("\u2581", " ") if name == "gemma3" else text
        assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_a_million_characters_are_encoded(model: tuple[str, Tokenizer]) -> None:
    _, tokenizer = model
    text = "a" * 1_000_000
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", VOCABULARIES)
def test_llama_cpp_s_vocabularies_give_its_ids(name: str) -> None:
    folder = os.environ.get("GNOMON_VOCABS")
    if not folder:
        pytest.skip("GNOMON_VOCABS names no folder")
    path = Path(folder) / f"ggml-vocab-{name}.gguf"
    tokenizer = from_file(path)
    texts = Path(f"{path}.inp").read_bytes().decode().split(SEPARATOR)
    lines = Path(f"{path}.out").read_text().split("\n")
    for text, line in zip(texts, lines, strict=False):
        assert tokenizer.encode(text, add_special=False) == list(map(int, line.split())), repr(text)


def test_gemma_4_keeps_runs_of_newlines_whole() -> None:
    folder = os.environ.get("GNOMON_VOCABS")
    if not folder:
        pytest.skip("GNOMON_VOCABS names no folder")
    tokenizer = from_file(Path(folder) / "ggml-vocab-gemma-4.gguf")
    for length in range(1, 32):
        assert len(tokenizer.encode("x" + "\n" * length + "x", add_special=False)) == 3
