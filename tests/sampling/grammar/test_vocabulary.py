"""The token trie: limits, slices, bits."""

import numpy as np
import pytest

from gnomon.sampling.grammar.vocabulary import TokenTrie, pack_bits

VOCABULARY = [b"ab", b" c", b'"', b"\xc3", "é".encode(), b"", b"12", b"a\n", b"ab"]


def test_an_empty_vocabulary_is_a_trie_without_nodes() -> None:
    trie = TokenTrie.build([], [])
    assert (len(trie.nodes), trie.words) == (0, 0)


def test_end_tokens_are_not_text() -> None:
    trie = TokenTrie.build([b"a", b"b"], [1])
    assert trie.order.tolist() == [0]


def test_ids_out_of_range_and_long_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 0"):
        TokenTrie.build([b"a"], [1])
    with pytest.raises(ValueError, match="token 1 has 5000 bytes"):
        TokenTrie.build([b"a", b"x" * 5000], [])


def test_a_slice_and_its_rest_share_out_the_vocabulary() -> None:
    trie = TokenTrie.build(VOCABULARY, [])
    body = max(trie.slices, key=lambda piece: piece.tokens)
    chosen = np.unpackbits(body.mask.view(np.uint8), bitorder="little")[: trie.n_vocab]
    assert np.flatnonzero(chosen).tolist() == [0, 1, 4, 6]  # whole characters, no quote, no control
    assert len(body.rest) == 4  # '"', \xc3, a, \n


def test_blank_first_knows_leading_white_space() -> None:
    trie = TokenTrie.build(VOCABULARY, [])
    assert [i for i in range(len(VOCABULARY)) if trie.is_blank_first(i)] == [1]


def test_pack_bits_is_little_endian() -> None:
    chosen = np.zeros(40, np.uint8)
    chosen[[0, 33]] = 1
    assert pack_bits(chosen).tolist() == [1, 2]
