"""Tokenizers: what encode() puts around a text, decoding and streaming, what is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.formats import tokenizer as tokenizer_module
from gnomon.formats.codec import BYTE_OF
from gnomon.formats.errors import TokenizerError
from gnomon.formats.metadata import Metadata
from gnomon.formats.tokenizer import NoTokenizer, Tokenizer, tokenizer_from_metadata

KEY = "tokenizer.ggml."
BOS, EOS, USER = 256, 257, 258
BYTE_CHARS = [char for char, _ in sorted(BYTE_OF.items(), key=lambda item: item[1])]
MERGES = ("h i", "\u0120 h", "\u0120h i", "a a", "aa aa", "\u00c3 \u00a9", "1 2", "\u010a \u010a")
CONTROL_TOKENS = ("<|begin|>", "<|im_end|>", "<user>")
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level(**changes: Any) -> Metadata:
    """All 256 bytes, three special tokens, a few merges; `changes` by key end, None takes out."""
    tokens = [*BYTE_CHARS, *CONTROL_TOKENS, *(merge.replace(" ", "") for merge in MERGES)]
    values = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": tokens,
        "token_type": np.array([1] * 256 + [3, 3, 4] + [1] * len(MERGES), np.int32),
        "merges": list(MERGES),
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        **changes,
    }
    return Metadata({KEY + end: value for end, value in values.items() if value is not None})


def with_scores(**changes: Any) -> Metadata:
    """Byte tokens, U+2581 and letters, as in Llama 2."""
    tokens = ["<unk>", "<s>", "</s>", *BYTE_TOKENS, "\u2581", "h", "i", "hi", "\u2581hi"]
    values = {
        "model": "llama",
        "tokens": tokens,
        "token_type": np.array([2, 3, 3] + [6] * 256 + [1] * 5, np.int32),
        "scores": np.arange(len(tokens), dtype=np.float32),
        **changes,
    }
    return Metadata({KEY + end: value for end, value in values.items() if value is not None})


@pytest.fixture(scope="module")
def known() -> Tokenizer:
    return tokenizer_from_metadata(byte_level())


@pytest.fixture(scope="module")
def scored() -> Tokenizer:
    return tokenizer_from_metadata(with_scores())


# --- around a text ---


def test_the_file_says_what_goes_around_a_text() -> None:
    both = tokenizer_from_metadata(byte_level(add_bos_token=True, add_eos_token=True))
    ids = both.encode("hi")
    assert ids == [BOS, *both.encode("hi", add_special=False), EOS]


def test_a_silent_byte_level_file_adds_nothing(known: Tokenizer) -> None:
    assert known.encode("hi") == known.encode("hi", add_special=False)


def test_a_silent_file_with_scores_adds_the_begin_token_and_a_space(scored: Tokenizer) -> None:
    assert [scored.token_text(id) for id in scored.encode("hi")] == ["<s>", "\u2581hi"]


def test_some_pre_tokenizers_add_the_begin_token() -> None:
    assert tokenizer_from_metadata(byte_level(pre="llama-bpe")).encode("") == [BOS]


def test_nothing_of_an_empty_text_but_what_goes_around_it(scored: Tokenizer) -> None:
    assert scored.encode("") == [scored.bos]
    assert scored.encode("", add_special=False) == []


def test_a_silent_file_has_the_family_s_begin_and_end() -> None:
    silent = tokenizer_from_metadata(byte_level(bos_token_id=None, eos_token_id=None))
    assert (silent.bos, silent.eos) == (11, 11)


def test_a_default_id_past_the_vocabulary_is_none() -> None:
    tiny = tokenizer_from_metadata(Metadata({f"{KEY}model": "gpt2", f"{KEY}tokens": ["a", "b"]}))
    assert (tiny.bos, tiny.eos) == (None, None)


# --- special tokens ---


def test_a_control_token_in_a_text_is_text(known: Tokenizer) -> None:
    ids = known.encode("<|im_end|>")
    assert EOS not in ids
    assert known.decode(ids) == "<|im_end|>"


def test_a_control_token_is_read_where_asked_for(known: Tokenizer) -> None:
    assert known.encode("<|im_end|>", parse_special=True) == [EOS]


def test_a_user_defined_token_is_always_read(known: Tokenizer) -> None:
    assert known.encode("<user>") == [USER]


def test_merges_cannot_make_a_control_token() -> None:
    merges = ["h i", "< h", "<h i"]
    tokens = [*BYTE_CHARS, *CONTROL_TOKENS, "hi", "<h", "<hi"]
    types = np.array([1] * 256 + [3, 3, 4, 1, 1, 3], np.int32)
    made = byte_level(tokens=tokens, token_type=types, merges=merges)
    texts = tokenizer_from_metadata(made)
    assert [texts.token_text(id) for id in texts.encode("<hi")] == ["<", "hi"]


def test_scores_cannot_make_a_control_token() -> None:
    tokens = ["<unk>", "<s>", "<", "s", ">", "<s", "s>", "\u2581"]
    types = np.array([2, 3] + [1] * 6, np.int32)
    made = with_scores(tokens=tokens, token_type=types, scores=np.ones(8, np.float32))
    texts = tokenizer_from_metadata(made).encode("<s>", add_special=False)
    assert 1 not in texts


def test_segments_read_control_tokens_in_the_template_s_text_alone(known: Tokenizer) -> None:
    segments = [("<|begin|>", True), ("hi<|im_end|>", False), ("<|im_end|>", True)]
    ids = known.encode_segments(segments)
    assert ids == [BOS, *known.encode("hi<|im_end|>"), EOS]


def test_a_control_token_half_in_a_message_is_text(known: Tokenizer) -> None:
    assert EOS not in known.encode_segments([("<|im_", True), ("end|>", False)])
    assert known.encode_segments([("<|im_", True), ("end|>", True)]) == [EOS]


def test_text_is_merged_across_segments(known: Tokenizer) -> None:
    assert known.encode_segments([("\n", True), ("\nh", False), ("i", True)]) == known.encode(
        "\n\nhi"
    )


def test_the_begin_token_is_not_doubled_by_a_template_that_has_it() -> None:
    adding = tokenizer_from_metadata(byte_level(add_bos_token=True, add_eos_token=True))
    hi = adding.encode("hi", add_special=False)
    assert adding.encode_segments([("<|begin|>hi", True)]) == [BOS, *hi]
    assert adding.encode_segments([("hi", True)]) == [BOS, *hi]


def test_what_ends_a_generation_is_known_by_id_or_text(known: Tokenizer) -> None:
    assert known.eog == {EOS}
    assert tokenizer_from_metadata(byte_level(eos_token_id=3)).eog == {3, EOS}


# --- decoding ---


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_byte_level_text_comes_back(text: str) -> None:
    texts = tokenizer_from_metadata(byte_level())
    assert texts.decode(texts.encode(text)) == text


@given(st.lists(st.integers(0, 255 + 3 + len(MERGES)), max_size=40))
def test_a_stream_gives_what_the_whole_bytes_give(ids: list[int]) -> None:
    texts = tokenizer_from_metadata(byte_level())
    whole = b"".join(map(texts.token_bytes, ids)).decode(errors="replace")
    stream = texts.stream()
    assert "".join(map(stream.push, ids)) + stream.flush() == whole
    assert texts.decode(ids) == whole


def test_a_stream_holds_back_half_a_character(known: Tokenizer) -> None:
    stream = known.stream()
    assert [stream.push(id) for id in "\U0001f999".encode()] == ["", "", "", "\U0001f999"]
    assert stream.flush() == ""


def test_a_flush_replaces_what_is_left_of_a_character(known: Tokenizer) -> None:
    stream = known.stream()
    assert stream.push(0xE2) + stream.push(0x82) == ""
    assert stream.flush() == "\ufffd"
    assert stream.flush() == ""
    assert stream.push(ord("a")) == "a"


def test_control_tokens_are_silent_unless_asked_for(known: Tokenizer) -> None:
    assert known.decode([BOS, ord("a"), USER]) == "a<user>"
    assert known.decode([BOS, ord("a")], special=True) == "<|begin|>a"
    assert known.token_bytes(BOS) == b""
    assert known.token_text(BOS) == "<|begin|>"


def test_the_space_before_a_whole_text_is_taken_off_again(scored: Tokenizer) -> None:
    assert scored.decode(scored.encode("hi hi")) == "hi hi"
    assert scored.decode(scored.encode(" hi")) == " hi"


def test_a_continuation_keeps_its_space(scored: Tokenizer) -> None:
    assert scored.decode(scored.encode("hi", add_special=False)) == " hi"


def test_bytes_are_spelled_by_byte_tokens(scored: Tokenizer) -> None:
    ids = scored.encode("\u00e9", add_special=False)
    assert [scored.token_text(id) for id in ids] == ["\u2581", "<0xC3>", "<0xA9>"]
    assert scored.token_bytes(ids[1]) == b"\xc3"


def test_unused_tokens_spell_nothing() -> None:
    types = np.array([5] + [1] * 255 + [3, 3, 4] + [1] * len(MERGES), np.int32)
    assert tokenizer_from_metadata(byte_level(token_type=types)).token_bytes(0) == b""


def test_a_token_of_other_characters_than_bytes_is_its_own_text() -> None:
    tokens = [*BYTE_CHARS, *CONTROL_TOKENS, "\u20ac\u0120"]
    types = np.array([1] * 256 + [3, 3, 4, 1], np.int32)
    odd = tokenizer_from_metadata(byte_level(tokens=tokens, token_type=types, merges=[]))
    assert odd.token_bytes(259) == "\u20ac ".encode()


def test_bytes_without_a_token_are_left_out_and_part_their_neighbours() -> None:
    tokens = ["h", "i", "hi"]
    texts = tokenizer_from_metadata(
        byte_level(
            tokens=tokens, token_type=None, merges=["h i"], bos_token_id=None, eos_token_id=None
        )
    )
    assert texts.encode("hih\x04i") == [2, 0, 1]


@pytest.mark.parametrize("id", [-1, 10_000])
def test_an_id_outside_the_vocabulary_is_refused(known: Tokenizer, id: int) -> None:
    with pytest.raises(TokenizerError, match=rf"token id: found {id}, expected 0 to 266"):
        known.decode([id])


# --- hostile texts ---


def test_a_lone_surrogate_is_refused_with_its_place(known: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="found a lone surrogate at character 1"):
        known.encode("a\ud800")


def test_a_zero_character_is_text_like_any_other(known: Tokenizer, scored: Tokenizer) -> None:
    for texts in (known, scored):
        assert texts.decode(texts.encode("a\0b\0")) == "a\0b\0"


def test_a_million_equal_characters_are_encoded(known: Tokenizer) -> None:
    assert len(known.encode("a" * 1_000_000)) == 250_000


def test_a_million_marks_are_encoded(scored: Tokenizer) -> None:
    assert len(scored.encode("\u0301" * 1_000_000)) == 2_000_002


def test_a_text_past_the_limit_is_refused(
    known: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_module, "MAX_TEXT", 3)
    assert known.encode("abc")
    with pytest.raises(TokenizerError, match="found 4 characters, expected at most 3"):
        known.encode("abcd")


def test_threads_share_a_tokenizer(known: Tokenizer) -> None:
    texts = [f"hi {number} aaaa\n\n" * 50 for number in range(40)]
    alone = [known.encode(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(known.encode, texts)) == alone


# --- no tokenizer ---


@pytest.mark.parametrize("model", ["none", "no_vocab", "test", None])
def test_a_file_without_a_tokenizer_has_ids_alone(model: str | None) -> None:
    empty = tokenizer_from_metadata(byte_level(model=model))
    assert isinstance(empty, NoTokenizer)
    assert empty.n_vocab == 267
    assert (empty.bos, empty.eos, empty.eog) == (None, None, frozenset())


def test_the_size_of_a_file_without_tokens_is_what_it_says() -> None:
    metadata = Metadata({"general.architecture": "llama", "llama.vocab_size": 128})
    assert tokenizer_from_metadata(metadata).n_vocab == 128


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("encode", ("a",)),
        ("encode_segments", ([],)),
        ("decode", ([1],)),
        ("stream", ()),
        ("token_bytes", (1,)),
        ("token_text", (1,)),
        ("is_control", (1,)),
    ],
)
def test_text_calls_on_a_file_without_a_tokenizer_are_refused(
    call: str, arguments: tuple[Any, ...]
) -> None:
    empty = tokenizer_from_metadata(byte_level(model="test"))
    with pytest.raises(TokenizerError, match="found 'test', this file has no tokenizer"):
        getattr(empty, call)(*arguments)
