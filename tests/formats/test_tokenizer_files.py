"""A checkpoint's tokenizer files as GGUF keys; the tokenizer that reads them gives the same ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from gnomon.formats.errors import TokenizerError
from gnomon.formats.metadata import Metadata
from gnomon.formats.tokenizer import tokenizer_from_metadata
from gnomon.formats.tokenizer_files import tokenizer_entries

TEXTS = ["the ing, a.", "Thing THE", "", "bing bing bing"]


@pytest.fixture
def files(checkpoint: Any, tmp_path: Path) -> Any:
    """Write a family's checkpoint, its tokenizer.json changed by a function."""

    def write(family: str, change: Any = None) -> Path:
        checkpoint.write(tmp_path, family)
        path = tmp_path / "tokenizer.json"
        described = json.loads(path.read_text())
        if change is not None:
            change(described)
        path.write_text(json.dumps(described))
        return tmp_path

    return write


def entries(folder: Path, vocabulary: int = 300) -> dict[str, Any]:
    found = tokenizer_entries(folder, vocabulary)
    return {key.removeprefix("tokenizer.ggml."): value for key, _, value in found}


def test_wordpiece_marks_where_words_begin(files: Any) -> None:
    tokens = entries(files("bert"))["tokens"]
    assert tokens[:7] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2581a", "\u2581b"]
    assert tokens[31] == "a"


def test_special_tokens_are_control_tokens(files: Any) -> None:
    assert entries(files("bert"))["token_type"][:6] == [3, 3, 3, 3, 3, 1]


def test_ids_that_the_tokenizer_lacks_are_unused(files: Any) -> None:
    found = entries(files("llama"), 302)
    assert (found["tokens"][300:], found["token_type"][300:]) == (["[PAD300]", "[PAD301]"], [5, 5])


def test_bpe_keeps_its_merges(files: Any) -> None:
    found = entries(files("llama"))
    assert found["merges"] == ["t h", "th e", "i n", "in g"]
    assert (found["model"], found["pre"]) == ("gpt2", "gpt-2")


def test_merges_may_be_pairs(files: Any) -> None:
    def change(described: Any) -> None:
        described["model"]["merges"] = [["t", "h"]]

    assert entries(files("llama", change))["merges"] == ["t h"]


def test_two_separators_between_texts_are_noted(files: Any) -> None:
    def change(described: Any) -> None:
        described["post_processor"]["pair"].insert(
            2, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}
        )

    assert entries(files("bert"))["add_sep_token"] is False
    assert entries(files("bert", change))["add_sep_token"] is True


def test_words_cut_in_an_unknown_way_are_refused(files: Any) -> None:
    def change(described: Any) -> None:
        described["pre_tokenizer"] = {"type": "Whitespace"}

    with pytest.raises(TokenizerError, match="words cut by \\['Whitespace'\\]"):
        entries(files("llama", change))


def test_another_model_is_refused(files: Any) -> None:
    def change(described: Any) -> None:
        described["model"]["type"] = "WordLevel"

    with pytest.raises(TokenizerError, match="model 'WordLevel', expected WordPiece or BPE"):
        entries(files("llama", change))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: cannot be read"):
        entries(tmp_path)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_the_ids_are_those_of_the_file_s_own_tokenizer(family: str, files: Any) -> None:
    folder = files(family)
    made = {
        key: np.array(value, np.int32) if kind == "[i32]" else value
        for key, kind, value in tokenizer_entries(folder, 300)
    }
    ours = tokenizer_from_metadata(Metadata(made))
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [ours.encode(t) for t in TEXTS] == [own.encode(t).ids for t in TEXTS]
