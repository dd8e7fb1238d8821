"""Vocabularies from strangers: whatever is wrong is one TokenizerError that names it."""

from typing import Any

import numpy as np
import pytest

from gnomon.formats.codec import BYTE_OF, BYTE_TEXTS
from gnomon.formats.errors import TokenizerError
from gnomon.formats.metadata import Metadata
from gnomon.formats.tokenizer import tokenizer_from_metadata

KEY = "tokenizer.ggml."
TOKENS = [*BYTE_OF, "<|begin|>", "<|im_end|>", "<user>", "hi", "aa"]


def metadata(values: dict[str, Any]) -> Metadata:
    """Of values by the end of their key; None takes a key out."""
    return Metadata({KEY + end: value for end, value in values.items() if value is not None})


def byte_level(**changes: Any) -> Metadata:
    """A good vocabulary: 256 bytes, three special tokens, two merged ones."""
    good = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": TOKENS,
        "token_type": np.array([1] * 256 + [3, 3, 4, 1, 1], np.int32),
        "merges": ["h i", "a a"],
        "bos_token_id": 256,
        "eos_token_id": 257,
    }
    return metadata({**good, **changes})


def with_scores(**changes: Any) -> Metadata:
    """A good vocabulary with scores: three special tokens, 256 byte tokens, a letter."""
    good = {
        "model": "llama",
        "tokens": ["<unk>", "<s>", "</s>", *BYTE_TEXTS, "a"],
        "token_type": np.array([2, 3, 3] + [6] * 256 + [1], np.int32),
        "scores": np.zeros(260, np.float32),
    }
    return metadata({**good, **changes})


ONES = np.ones(261)

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"tokens": []}, r"tokens: found no tokens, expected at least one"),
    ({"tokens": None}, r"ggml\.tokens: found no such key"),
    ({"tokens": ONES}, r"ggml\.tokens: found an array of 261 float64, expected an array of str"),
    ({"tokens": ["a", "b", "a"]}, r"found 'a' as id 0 and 2, expected each text once"),
    ({"token_type": np.ones(5, np.int32)}, r"token_type: found 5 values, expected 261"),
    ({"token_type": ONES.astype(np.uint8)}, r"token_type: found uint8, expected an array of int"),
    ({"token_type": ["1"] * 261}, r"token_type: found list, expected an array of int32"),
    ({"bos_token_id": 261}, r"bos_token_id: found 261, expected an id from 0 to 260"),
    ({"eos_token_id": -1}, r"eos_token_id: found -1, expected an id from 0 to 260"),
    ({"eos_token_id": "2"}, r"eos_token_id: found '2' \(str\), expected an integer"),
    ({"unknown_token_id": 2**32 - 1}, r"unknown_token_id: found 4294967295, expected an id"),
    ({"padding_token_id": 261}, r"padding_token_id: found 261, expected an id"),
    ({"prefix_token_id": 261}, r"prefix_token_id: found 261, expected an id"),
    ({"add_bos_token": 1}, r"add_bos_token: found 1 \(int\), expected a bool"),
    ({"merges": ["h i", "zz a"]}, r"merges: found 'zz a', but 'zz"),
    ({"merges": ["a b"]}, r"merges: found 'a b', but 'ab' is no token"),
    ({"merges": ["hi"]}, r"merges: found 'hi', expected two tokens and one space"),
    ({"merges": ["h  i"]}, r"merges: found 'h  i', expected two tokens and one space"),
    ({"merges": [""]}, r"merges: found '', expected two tokens and one space"),
    ({"merges": ["h i"] * 1000}, r"merges: found 1000, expected at most \d+ for these tokens"),
    ({"merges": ONES}, r"merges: found an array of 261 float64, expected an array of strings"),
    ({"pre": "x"}, r"pre: found 'x', supported: default, gpt-2"),
    ({"model": "x"}, r"model: found 'x', supported: gpt2, gemma4, llama"),
    ({"model": 1}, r"model: found 1 \(int\), expected a string"),
]


@pytest.mark.parametrize(("changes", "message"), BROKEN)
def test_a_broken_vocabulary_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        tokenizer_from_metadata(byte_level(**changes))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones(3, np.float32), r"scores: found 3 values, expected 260, one per token"),
        (np.ones(260, np.uint8), r"scores: found uint8, expected an array of float32 or int32"),
        (np.full(260, np.inf, np.float32), r"scores\[0\]: found inf, expected a finite number"),
    ],
)
def test_broken_scores_are_refused(scores: Any, message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        tokenizer_from_metadata(with_scores(scores=scores))


def test_a_byte_token_must_say_which_byte() -> None:
    changes = {"tokens": ["<unk>", "<0xG1>"], "token_type": np.array([2, 6], np.int32)}
    with pytest.raises(TokenizerError, match=r"tokens\[1\]: found '<0xG1>', expected <0xHH>"):
        tokenizer_from_metadata(with_scores(**changes, scores=None))


def test_a_begin_token_that_is_asked_for_must_exist() -> None:
    asked = byte_level(pre="glm4", bos_token_id=None, add_bos_token=True)
    with pytest.raises(TokenizerError, match="bos_token_id: found none"):
        tokenizer_from_metadata(asked)


def test_of_equal_merges_the_first_counts() -> None:
    twice = tokenizer_from_metadata(byte_level(merges=["h i", "a a", "h i"]))
    assert twice.encode("hi") == [TOKENS.index("hi")]


def test_a_merge_of_a_control_token_is_no_merge() -> None:
    tokens = [*TOKENS, "<|begin|>h"]
    types = np.array([1] * 256 + [3, 3, 4, 1, 1, 1], np.int32)
    merges = ["h i", "<|begin|> h"]
    changed = byte_level(tokens=tokens, token_type=types, merges=merges)
    assert tokenizer_from_metadata(changed).encode("hi") == [TOKENS.index("hi")]


def test_an_empty_token_gets_a_name() -> None:
    named = with_scores(tokens=["<unk>", ""], token_type=np.array([2, 1], np.int32), scores=None)
    assert tokenizer_from_metadata(named).token_text(1) == "[EMPTY_1]"


def test_an_ordinary_token_may_have_a_million_characters() -> None:
    tokens = [*BYTE_OF, "x" * 1_000_000]
    long = tokenizer_from_metadata(
        byte_level(tokens=tokens, token_type=None, merges=[], bos_token_id=None, eos_token_id=None)
    )
    assert len(long.token_bytes(256)) == 1_000_000
    assert len(long.encode("xx")) == 2


def test_a_type_that_nobody_knows_spells_nothing() -> None:
    types = np.array([77] + [1] * 255 + [3, 3, 4, 1, 1], np.int32)
    assert tokenizer_from_metadata(byte_level(token_type=types)).token_bytes(0) == b""


def test_scores_may_be_integers() -> None:
    whole = with_scores(scores=np.zeros(260, np.int32))
    assert len(tokenizer_from_metadata(whole).encode("a")) == 5
