"""A checkpoint's tokenizer files as GGUF keys; the tokenizer that reads them gives the same ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor
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


def test_a_space_inside_a_merge_is_written_as_a_byte(files: Any) -> None:
    def change(described: Any) -> None:
        described["model"]["merges"] = [["t", " h"]]

    assert entries(files("llama", change))["merges"] == ["t \u0120h"]


def test_an_id_past_the_vocabulary_is_named(files: Any) -> None:
    message = r"token 'zz37' has id 299, expected less than 299"
    with pytest.raises(TokenizerError, match=message):
        entries(files("llama"), 299)


@pytest.mark.parametrize("id_", [-1, 1 << 60])
def test_an_id_that_is_none_is_named(id_: int, files: Any) -> None:
    def change(described: Any) -> None:
        described["added_tokens"][0]["id"] = id_

    with pytest.raises(TokenizerError, match=f"token '<s>' has id {id_}"):
        entries(files("llama", change))


def test_added_tokens_are_special_or_of_the_user(files: Any) -> None:
    def change(described: Any) -> None:
        texts = {50: "\u2581\u2581", 51: "<unused7>", 52: "<|tool|>", 53: "<pad>"}
        described["added_tokens"] = [
            {"id": id_, "content": text, "special": False} for id_, text in texts.items()
        ]

    found = entries(files("llama", change))
    assert found["tokens"][50:54] == ["  ", "<unused7>", "<|tool|>", "<pad>"]
    assert found["token_type"][50:54] == [4, 3, 3, 3]


def test_pieces_without_scores_are_refused(files: Any) -> None:
    def change(described: Any) -> None:
        described["model"]["byte_fallback"] = True

    with pytest.raises(TokenizerError, match=r"SentencePiece, expected tokenizer\.model beside it"):
        entries(files("llama", change))


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"type": "BPE", "vocab": [["a", 1.0]]}},
        {"model": {"type": "BPE", "vocab": {"a": "0"}}},
        {"added_tokens": [{"content": "a"}]},
        {"added_tokens": "a"},
        {"post_processor": {"type": "TemplateProcessing", "single": 1}},
        {"post_processor": {"type": "RobertaProcessing", "cls": []}},
        {"pre_tokenizer": {"type": "Split"}},
    ],
)
def test_parts_of_another_kind_are_refused(change: dict[str, Any], files: Any) -> None:
    with pytest.raises(TokenizerError, match="tokenizer files: not as they should be"):
        entries(files("llama", lambda described: described.update(change)))


@pytest.mark.parametrize("text", [1, None, 2.5])
def test_an_added_token_that_is_no_text_is_refused(text: Any, files: Any) -> None:
    def change(described: Any) -> None:
        described["added_tokens"][0]["content"] = text

    with pytest.raises(TokenizerError, match=f"added token {text!r}, expected a text"):
        entries(files("llama", change))


def test_sizes_that_tell_a_model_add_its_keys(files: Any) -> None:
    folder = files("llama")
    assert entries(folder, 49152)["add_bos_token"] is False
    assert entries(folder, 32016)["eot_token_id"] == 32010


def test_another_model_is_refused(files: Any) -> None:
    def change(described: Any) -> None:
        described["model"]["type"] = "WordLevel"

    with pytest.raises(TokenizerError, match="model 'WordLevel', expected WordPiece or BPE"):
        entries(files("llama", change))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: cannot be read"):
        entries(tmp_path)


@pytest.mark.parametrize("family", ["bert", "llama", "llama3", "qwen2"])
def test_the_ids_are_those_of_the_file_s_own_tokenizer(family: str, files: Any) -> None:
    folder = files(family)
    made = {
        key: np.array(value, np.int32) if kind == "[i32]" else value
        for key, kind, value in tokenizer_entries(folder, 300)
    }
    ours = tokenizer_from_metadata(Metadata(made))
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [ours.encode(t) for t in TEXTS] == [own.encode(t).ids for t in TEXTS]


# --- SentencePiece --------------------------------------------------------------------------------


@pytest.fixture
def pieces(checkpoint: Any, tmp_path: Path) -> Path:
    checkpoint.write(tmp_path, "llama2")
    return tmp_path


def test_pieces_keep_their_scores_and_kinds(pieces: Path, checkpoint: Any) -> None:
    found = entries(pieces)
    listed = list(zip(found["tokens"], found["scores"], found["token_type"], strict=True))
    texts = [text for text, _, _ in checkpoint.pieces("llama2")]
    assert [text for text, _, _ in listed[: len(texts)]] == texts
    assert listed[1:3] == [("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    assert listed[3] == ("<0x00>", 0.0, 6)
    assert listed[260] == ("\u2581the", -1.0, 1)


def test_tokens_that_were_added_replace_pieces(pieces: Path) -> None:
    found = entries(pieces)
    assert found["tokens"][295:] == ["[PAD295]", "<extra>", "<|user|>", " <tool>", "[PAD299]"]
    assert found["token_type"][295:] == [5, 4, 3, 4, 5]
    assert found["scores"][295:] == [-10000.0, -1000.0, -1000.0, -1000.0, -10000.0]


def test_pieces_past_the_vocabulary_are_left_out(pieces: Path) -> None:
    assert entries(pieces, 270)["tokens"][-1] == "a"


def test_a_file_s_own_beginning_and_end_count_where_the_configuration_has_none(
    pieces: Path,
) -> None:
    found = {key: value for key, _, value in tokenizer_entries(pieces, 300, {"eos_token_id": 7})}
    keys = ("bos", "eos")
    assert [found[f"tokenizer.ggml.{key}_token_id"] for key in keys] == [1, 7]


def test_a_broken_file_of_pieces_is_named(pieces: Path) -> None:
    (pieces / "tokenizer.model").write_bytes(b"\x00\xff broken")
    with pytest.raises(TokenizerError, match=r"tokenizer\.model: cannot be read"):
        entries(pieces)


@pytest.mark.parametrize("family", ["llama2", "gemma"])
@pytest.mark.parametrize(
    "text", ["the thing", " the  bing\n", "th\u00e9 \U0001f999", "bathing in the bath", ""]
)
def test_the_ids_of_pieces_are_sentencepiece_s(
    family: str, text: str, checkpoint: Any, tmp_path: Path
) -> None:
    checkpoint.write(tmp_path, family)
    (tmp_path / "tokenizer_config.json").unlink()
    more = [("tokenizer.ggml.add_space_prefix", "bool", family == "llama2")]
    made = {
        key: np.array(value, {"[i32]": np.int32, "[f32]": np.float32}[kind])
        if kind in ("[i32]", "[f32]")
        else value
        for key, kind, value in tokenizer_entries(tmp_path, 300, {}, more)
    }
    ours = tokenizer_from_metadata(Metadata(made))
    own = SentencePieceProcessor(model_proto=checkpoint.sentencepiece(family))
    assert ours.encode(text, add_special=False) == own.encode(text)
