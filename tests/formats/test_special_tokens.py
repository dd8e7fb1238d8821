"""Special tokens: found where they count, and the ids that end a generation."""

import numpy as np
import pytest

from gnomon.formats.errors import TokenizerError
from gnomon.formats.special_tokens import (
    FIM_TEXTS,
    Kind,
    SpecialTokens,
    end_of_generation,
)

TOKENS = ["a", "<s>", "<u>", "<u>>", "\n\n", "?"]
KINDS = np.array(
    [Kind.NORMAL, Kind.CONTROL, Kind.USER_DEFINED, Kind.USER_DEFINED, Kind.USER_DEFINED, 2],
    np.int8,
)
SPECIAL = SpecialTokens(TOKENS, KINDS)
NAMED = dict.fromkeys(("eos", "eot", "eom", *FIM_TEXTS))


def cut(text: str, *trusted: tuple[int, int]) -> list[str | int]:
    return list(SPECIAL.cut(text, trusted))


def ends(*tokens: str, **named: int) -> tuple[set[str], list[int]]:
    """The texts that end a generation, and the kinds after correction."""
    kinds = np.full(len(tokens), Kind.NORMAL, np.int8)
    ids = {text: id for id, text in enumerate(tokens)}
    found = end_of_generation(ids, kinds, {**NAMED, **named})
    return {tokens[id] for id in found}, kinds.tolist()


def test_user_defined_tokens_are_always_found() -> None:
    assert cut("x<u>y") == ["x", 2, "y"]


def test_control_tokens_are_text_unless_trusted() -> None:
    assert cut("x<s>y") == ["x<s>y"]
    assert cut("x<s>y", (0, 5)) == ["x", 1, "y"]


def test_unknown_tokens_are_text_unless_trusted() -> None:
    assert cut("??") == ["??"]
    assert cut("??", (1, 2)) == ["?", 5]


def test_a_control_token_counts_only_if_all_of_it_is_trusted() -> None:
    assert cut("<s><s>", (0, 4)) == [1, "<s>"]
    assert cut("<s>", (0, 2), (2, 3)) == ["<s>"]


def test_the_longer_of_two_tokens_wins() -> None:
    assert cut("<u>><u>") == [3, 2]


def test_a_shorter_token_is_taken_where_the_longer_does_not_count() -> None:
    special = SpecialTokens(["<u", "<u>"], np.array([Kind.USER_DEFINED, Kind.CONTROL], np.int8))
    assert list(special.cut("<u>", [])) == [0, ">"]
    assert list(special.cut("<u>", [(0, 3)])) == [1]


def test_an_empty_text_has_no_pieces() -> None:
    assert cut("") == []


def test_tokens_that_swallow_spaces_take_them_from_the_text_beside() -> None:
    left = SpecialTokens(TOKENS, KINDS, lstrip=frozenset({2}))
    right = SpecialTokens(TOKENS, KINDS, rstrip=frozenset({2}))
    assert list(left.cut("a \n<u> b", [])) == ["a", 2, " b"]
    assert list(right.cut("a <u> \nb<u> ", [])) == ["a ", 2, "b", 2]


def test_a_special_token_of_many_characters_is_refused() -> None:
    with pytest.raises(TokenizerError, match="special one of 1001 characters, expected at most"):
        SpecialTokens(["x" * 1001], np.array([Kind.CONTROL], np.int8))


def test_known_texts_and_named_ids_end_a_generation() -> None:
    texts, kinds = ends("a", "<|im_end|>", "b", "<|eot_id|>", eos=2)
    assert texts == {"<|im_end|>", "b", "<|eot_id|>"}
    assert kinds == [Kind.NORMAL, Kind.CONTROL, Kind.NORMAL, Kind.CONTROL]


def test_file_separators_and_padding_of_code_models_end_a_generation() -> None:
    texts, _ = ends("<fim_prefix>", "<fim_pad>", "<reponame>", "<|file_sep|>", "<file_sep>")
    assert texts == {"<fim_pad>", "<reponame>", "<|file_sep|>"}


def test_a_named_fill_in_token_leaves_the_known_texts_alone() -> None:
    texts, kinds = ends("<PAD>", "x", fim_pad=1)
    assert texts == {"x"}
    assert kinds[0] == Kind.NORMAL


def test_end_is_no_end_where_return_and_call_are() -> None:
    texts, kinds = ends("<|end|>", "<|return|>", "<|call|>", "<|channel|>")
    assert texts == {"<|return|>", "<|call|>"}
    assert kinds[0] == kinds[3] == Kind.USER_DEFINED


def test_a_closing_s_tag_is_text_where_turns_have_their_own_token() -> None:
    texts, kinds = ends("</s>", "<|tool_response>")
    assert texts == {"<|tool_response>"}
    assert kinds[0] == Kind.NORMAL
