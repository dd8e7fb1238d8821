"""Words: each pre-tokenizer against llama.cpp, with a vocabulary whose ids show the cuts."""

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.formats.errors import TokenizerError
from gnomon.formats.metadata import Metadata
from gnomon.formats.pretokenize import PRE_TOKENIZERS, pre_tokenizer, word_splitter
from gnomon.formats.tokenizer import tokenizer_from_metadata

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/tokens/pre_tokenizers.json").read_text())
RESULTS = {name: result["ids"] for result in GOLDEN["results"] for name in result["names"]}
UTF8_NAMES = [name for name, row in PRE_TOKENIZERS.items() if not row.byte_level]


def vocabulary(name: str) -> Metadata:
    known: dict[str, Any] = GOLDEN["utf8" if name in UTF8_NAMES else "byte_level"]
    return Metadata(
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": name,
            "tokenizer.ggml.tokens": known["tokens"],
            "tokenizer.ggml.merges": known["merges"],
        }
    )


def words(name: str, text: str) -> list[str]:
    splitter = word_splitter(pre_tokenizer(name)._replace(byte_level=False))
    return [word for word, _ in splitter.pre_tokenize_str(text)]


def test_every_name_of_llama_cpp_is_known() -> None:
    assert len(RESULTS) == 91
    assert PRE_TOKENIZERS.keys() == RESULTS.keys()


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_ids_are_llama_cpp_s(name: str) -> None:
    tokenizer = tokenizer_from_metadata(vocabulary(name))
    for text, ids in zip(GOLDEN["texts"], RESULTS[name], strict=True):
        asked = "".join(text.split()) if name == "whitespace" else text
        assert tokenizer.encode(asked, add_special=False) == ids, repr(asked)


def test_another_split_would_be_noticed() -> None:
    metadata = vocabulary("qwen2")
    tokenizer = tokenizer_from_metadata(metadata)
    ids = [tokenizer.encode(text, add_special=False) for text in GOLDEN["texts"]]
    alike = [name for name, expected in RESULTS.items() if expected == ids]
    assert {PRE_TOKENIZERS[name].splits for name in alike} == {PRE_TOKENIZERS["qwen2"].splits}


def test_an_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(TokenizerError, match=r"found 'gpt-9', supported: default, gpt-2"):
        pre_tokenizer("gpt-9")


def test_a_missing_name_means_default() -> None:
    named = vocabulary("default")
    silent = Metadata({key: named[key] for key in named if key != "tokenizer.ggml.pre"})
    ids = tokenizer_from_metadata(silent).encode("abc-12345", add_special=False)
    assert ids == tokenizer_from_metadata(named).encode("abc-12345", add_special=False)


def test_numbers_are_cut_in_threes_from_the_right() -> None:
    assert words("superbpe", "12345678") == ["12", "345", "678"]
    assert words("superbpe", "123456") == ["123", "456"]


def test_a_number_begins_with_what_stands_before_it() -> None:
    splits = PRE_TOKENIZERS["afmoe"].splits[:2]
    splitter = word_splitter(PRE_TOKENIZERS["afmoe"]._replace(splits=splits, byte_level=False))
    assert [word for word, _ in splitter.pre_tokenize_str("ab 1234cd")] == ["ab 1", "234", "cd"]


@pytest.mark.parametrize("name", ["superbpe", "afmoe", "tiny_aya", "deepseek-llm", "jais-2"])
def test_a_long_run_is_cut_in_full(name: str) -> None:
    # A regex that looks ahead from every character would take hours here.
    for text in ("1" * 200_001, " " * 200_001 + "x", "\n" * 200_001 + "x"):
        assert "".join(words(name, text)) == text
