"""Each family of tokenizers against llama.cpp on small random vocabularies, and its own errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.formats.errors import TokenizerError
from gnomon.formats.metadata import Metadata
from gnomon.formats.tokenizer import Tokenizer, tokenizer_from_metadata

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/tokens/families.json").read_text())
FAMILIES: dict[str, dict[str, Any]] = {golden["name"]: golden for golden in GOLDEN["families"]}
KEY = "tokenizer.ggml."
SHORT = {"bos_token_id": 0, "unknown_token_id": 1, "seperator_token_id": 1}


def metadata(name: str, **changes: Any) -> Metadata:
    """A golden's metadata; `changes` by the end of their keys, None takes one out."""
    values = dict(FAMILIES[name]["metadata"])
    for end, value in changes.items():
        values[KEY + end] = value
    for end, dtype in (("token_type", np.int32), ("scores", np.float32)):
        if isinstance(values.get(KEY + end), list):
            values[KEY + end] = np.array(values[KEY + end], dtype)
    charsmap = values.get(f"{KEY}precompiled_charsmap")
    if isinstance(charsmap, str):
        values[f"{KEY}precompiled_charsmap"] = np.frombuffer(bytes.fromhex(charsmap), np.uint8)
    return Metadata({key: value for key, value in values.items() if value is not None})


def tokenizer(name: str, **changes: Any) -> Tokenizer:
    return tokenizer_from_metadata(metadata(name, **changes))


@pytest.mark.parametrize("name", FAMILIES)
def test_ids_are_llama_cpp_s(name: str) -> None:
    known = tokenizer(name)
    for case in FAMILIES[name]["cases"]:
        ids = known.encode(case["text"], add_special=case["add"], parse_special=case["parse"])
        assert ids == case["ids"], repr(case["text"])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_bytes_of_every_token_are_llama_cpp_s(name: str) -> None:
    known = tokenizer(name)
    assert [known.token_bytes(id).hex() for id in range(known.n_vocab)] == FAMILIES[name]["bytes"]


@pytest.mark.parametrize("name", ["llama", "llama without prefix", "rwkv", "plamo2"])
def test_text_comes_back(name: str) -> None:
    known = tokenizer(name)
    # PLaMo-2 drops a byte order mark at the start.
    texts = [case["text"] for case in FAMILIES[name]["cases"] if not case["parse"]]
    texts = [text.removeprefix("\ufeff") for text in texts]
    assert [known.decode(known.encode(text)) for text in texts] == texts


@pytest.mark.parametrize("name", FAMILIES)
def test_a_long_text_is_encoded(name: str) -> None:
    known = tokenizer(name)
    text = "a" * 30_000 + " \u0301" * 10_000
    assert 1000 < len(known.encode(text)) <= 100_000 or name.startswith("bert")


def test_a_family_that_is_not_supported_is_named_with_those_that_are() -> None:
    with pytest.raises(TokenizerError, match=r"model: found 'hybriddna', supported: gpt2, gemma4"):
        tokenizer("llama", model="hybriddna")


def test_scores_must_be_numbers() -> None:
    scores = [-1.0] * 661 + [float("nan")]
    n_tokens = len(FAMILIES["llama"]["metadata"][f"{KEY}tokens"])
    with pytest.raises(TokenizerError, match=r"scores\[\d+\]: found nan, expected a finite"):
        tokenizer("llama", scores=scores[-n_tokens:])


def test_a_vocabulary_with_scores_needs_a_token_that_is_no_text() -> None:
    with pytest.raises(TokenizerError, match="found no unknown or control token"):
        tokenizer("llama", tokens=["a", "b"], token_type=[1, 1], scores=[0.0, 0.0])


def test_without_byte_tokens_the_unknown_token_stands_for_what_has_none() -> None:
    known = tokenizer(
        "llama",
        tokens=["<unk>", "\u2581", "a"],
        token_type=[2, 1, 1],
        scores=[0.0, -1.0, -2.0],
        add_bos_token=False,
    )
    assert known.encode("ab") == [1, 2, 0]


def test_a_word_that_its_tokens_do_not_cover_is_unknown() -> None:
    known = tokenizer("bert")
    assert known.encode("\u4e01 a", add_special=False)[0] == 1


def test_wordpiece_needs_an_unknown_token() -> None:
    with pytest.raises(TokenizerError, match="unknown_token_id: found none"):
        tokenizer(
            "bert", tokens=["a", "[SEP]"], token_type=[1, 3], **{**SHORT, "unknown_token_id": None}
        )


def test_wordpiece_needs_a_separator() -> None:
    with pytest.raises(TokenizerError, match="seperator_token_id: found none"):
        tokenizer(
            "bert",
            tokens=["a", "[UNK]"],
            token_type=[1, 2],
            **{**SHORT, "seperator_token_id": None},
        )


@pytest.mark.parametrize("name", ["bert", "t5", "rwkv", "plamo2"])
def test_a_token_too_long_to_try_everywhere_is_refused(name: str) -> None:
    tokens = [*FAMILIES[name]["metadata"][f"{KEY}tokens"], "x" * 1001]
    types = [*FAMILIES[name]["metadata"][f"{KEY}token_type"], 1]
    scores = [0.0] * len(tokens)
    with pytest.raises(TokenizerError, match=r"tokens: found one of 1001 .*1000"):
        tokenizer(name, tokens=tokens, token_type=types, scores=scores)


@pytest.mark.parametrize(("name", "missing"), [("rwkv", "byte FF"), ("plamo2", "<0xFF>")])
def test_a_family_that_falls_back_to_bytes_needs_all_of_them(name: str, missing: str) -> None:
    tokens = [
        "\\xfe\\xfe" if text in ("\\xff", "<0xFF>") else text
        for text in FAMILIES[name]["metadata"][f"{KEY}tokens"]
    ]
    types = [1] * len(tokens)
    with pytest.raises(TokenizerError, match=f"{missing}, expected all 256"):
        tokenizer(name, tokens=tokens, token_type=types)


def test_a_character_map_must_be_bytes() -> None:
    with pytest.raises(TokenizerError, match=r"precompiled_charsmap: found .*expected an array of"):
        tokenizer("t5", precompiled_charsmap=np.zeros(8, np.float32))
