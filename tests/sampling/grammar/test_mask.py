"""GrammarMask: masks, ends, rewinding, forced tokens, bounds."""

import numpy as np
import pytest

from gnomon.sampling.grammar.compile import (
    compile_choice,
    compile_gbnf,
    compile_json_schema,
    compile_regex,
)
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.mask import MAX_BLANKS, GrammarMask
from gnomon.sampling.grammar.program import CompiledGrammar
from gnomon.sampling.grammar.vocabulary import TokenTrie

PIECES = [b"hel", b"lo", b" world", b"hello", b"help", b"yes", b"", b"\xc3", b"\xa9", b" ", b"}"]
EOG = 6


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return TokenTrie.build(PIECES + [bytes([i]) for i in range(97, 123)], [EOG])


def ids(mask: GrammarMask) -> list[int]:
    bits = np.unpackbits(mask.allowed().view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).tolist()


def texts(mask: GrammarMask, trie: TokenTrie) -> set[bytes]:
    return {trie.bytes_of(i).tobytes() for i in ids(mask)}


def test_mask_holds_the_tokens_that_may_come_next(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["hello world", "help", "yes"]), trie)
    assert texts(mask, trie) == {b"hel", b"hello", b"help", b"yes", b"h", b"y"}


def test_allowed_and_allows_agree_on_every_token(trie: TokenTrie) -> None:
    compiled = compile_regex("h[a-z]+( world)?é?")
    mask = GrammarMask(compiled, trie)
    for token in (0, 1, 2):
        allowed = set(ids(mask))
        fresh = GrammarMask(compiled, trie)
        for accepted in mask.tokens:
            fresh.accept(accepted)
        assert {i for i in range(trie.n_vocab) if fresh.allows(i)} == allowed
        mask.accept(token)


def test_the_end_is_allowed_exactly_when_the_text_is_whole(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["help", "hello"]), trie)
    assert not mask.may_end
    assert EOG not in ids(mask)
    mask.accept(4)
    assert mask.may_end
    assert ids(mask) == [EOG]
    mask.accept(EOG)
    assert mask.ended
    assert ids(mask) == [EOG]


def test_control_tokens_never_come_from_text(trie: TokenTrie) -> None:
    silent = TokenTrie.build([b"a", b"", b"b"], [])
    mask = GrammarMask(compile_regex("[ab]*"), silent)
    assert ids(mask) == [0, 2]
    assert not mask.allows(1)


def test_a_character_may_come_in_pieces(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_regex("é"), trie)
    assert texts(mask, trie) == {b"\xc3"}
    mask.accept(7)
    assert texts(mask, trie) == {b"\xa9"}
    mask.accept(8)
    assert mask.may_end


def test_a_forbidden_token_is_an_error_and_changes_nothing(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["help"]), trie)
    before = ids(mask)
    for token in (5, EOG, -1, 10_000):
        with pytest.raises(ValueError, match="token"):
            mask.accept(token)
    assert ids(mask) == before


def test_apply_sets_all_others_to_minus_infinity(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["yes"]), trie)
    logits = np.arange(trie.n_vocab, dtype=np.float32)
    mask.apply(logits)
    assert np.flatnonzero(np.isfinite(logits)).tolist() == ids(mask)
    with pytest.raises(ValueError, match="expected 37"):
        mask.apply(np.zeros(5, np.float32))


def test_a_vocabulary_that_cannot_go_on_is_an_error(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_regex("1"), trie)
    with pytest.raises(GrammarError, match="no token"):
        mask.apply(np.zeros(trie.n_vocab, np.float32))


@pytest.mark.parametrize("terminal", ["<[0]>", "!<[0]>"])
def test_a_token_terminal_allows_what_it_accepts(terminal: str) -> None:
    pair = TokenTrie.build([b"a", b"a", b"b", b""], [3])  # 0 and 1 are the same bytes; 3 ends
    compiled = compile_gbnf(f'root ::= {terminal} | "b"', n_vocab=4)
    wanted = [token for token in range(4) if GrammarMask(compiled, pair).allows(token)]
    mask = GrammarMask(compiled, pair)
    assert ids(mask) == wanted
    for token in wanted:
        mask.accept(token)
        mask.rewind(1)


def test_rewind_takes_back_tokens(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["hello world"]), trie)
    start = ids(mask)
    mask.accept(0)
    middle = ids(mask)
    mask.accept(1)
    mask.rewind(1)
    assert ids(mask) == middle
    mask.rewind(1)
    assert ids(mask) == start
    with pytest.raises(ValueError, match="cannot rewind"):
        mask.rewind(1)


def test_restore_comes_back_to_a_snapshot(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["hello world"]), trie)
    mask.accept(0)
    saved, allowed = mask.snapshot(), ids(mask)
    mask.accept(1)
    mask.rewind(2)
    mask.restore(saved)
    assert mask.tokens == (0,)
    assert ids(mask) == allowed


def test_restore_survives_a_store_that_has_grown(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_gbnf('root ::= "a" root "b" | "c"'), trie)
    a, b, c = (PIECES.index(b"}") + 1 + i for i in range(3))
    mask.accept(a)
    saved = mask.snapshot()
    for _ in range(3000):
        mask.accept(a)
    mask.accept(c)
    for _ in range(3001):
        mask.accept(b)
    assert mask.may_end
    mask.restore(saved)
    mask.accept(c)
    mask.accept(b)
    assert mask.may_end


def test_forced_tokens_are_what_must_follow(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_choice(["hello world", "yes"]), trie)
    assert mask.forced() == []
    mask.accept(0)
    assert mask.forced() == [1, 2]
    for token in mask.forced():
        mask.accept(token)
    assert mask.may_end


def test_a_token_that_might_grow_is_not_forced(trie: TokenTrie) -> None:
    mask = GrammarMask(compile_regex("hel[a-z]*"), trie)
    assert mask.forced() == []  # hello and help begin with hel


def test_forced_tokens_are_the_tokenizers_if_it_is_given(trie: TokenTrie) -> None:
    spell = {b"h": 18, b"e": 15, b"l": 22, b"p": 26}
    mask = GrammarMask(
        compile_choice(["help"]), trie, encode=lambda text: [spell[c.encode()] for c in text]
    )
    assert mask.forced() == [18, 15, 22, 26]


def test_white_space_cannot_go_on_for_ever() -> None:
    trie = TokenTrie.build([b"[", b" ", b"]", b"1"], [])
    mask = GrammarMask(compile_json_schema({"type": "array", "items": {"type": "integer"}}), trie)
    mask.accept(0)
    for _ in range(MAX_BLANKS):
        mask.accept(1)
    assert not mask.allows(1)
    assert ids(mask) == [2, 3]
    mask.rewind(1)
    assert mask.allows(1)


def test_equal_states_share_their_mask(byte_trie: TokenTrie) -> None:
    mask = GrammarMask(compile_json_schema({"type": "string"}), byte_trie)
    mask.accept(ord('"'))
    mask.accept(ord("a"))
    first = mask.allowed()
    mask.accept(ord("b"))
    assert mask.allowed() is first


@pytest.mark.parametrize(
    "text",
    [
        *('{"k": "va', '{"k": 1', "[", '{"other": [1, "x', '{"s": "', '{"s": "ab', '{"s": "abcde'),
        *('{"either": "', '{"either": "ab', '{"either": "abc'),
    ],
)
def test_slices_change_no_bit(text: str) -> None:
    rng = np.random.default_rng(7)
    alphabet = b'abc019 "\\{}[]:,\n\xc3\xa9-._'
    words = {bytes(rng.choice(list(alphabet), rng.integers(1, 5)).tolist()) for _ in range(400)}
    vocabulary = sorted(words | {bytes([i]) for i in range(256)})
    sliced = TokenTrie.build(vocabulary, [])
    plain = TokenTrie.build(vocabulary, [])
    plain.__dict__["slices"] = ()
    members = {
        "k": {"type": ["string", "number"]},
        "s": {"type": "string", "maxLength": 6},
        "either": {"anyOf": [{"type": "string", "maxLength": 3}, {"pattern": "^[a-z]{5,9}$"}]},
    }
    compiled = compile_json_schema({"properties": members})
    masks = []
    for trie in (sliced, plain):
        mask = GrammarMask(compiled, trie)
        for byte in text.encode():
            mask.accept(vocabulary.index(bytes([byte])))
        masks.append(mask.allowed())
    assert np.array_equal(*masks)


def test_a_large_vocabulary_works(byte_trie: TokenTrie) -> None:
    vocabulary = [b"%06d" % i for i in range(262_144)]
    trie = TokenTrie.build(vocabulary, [])
    mask = GrammarMask(compile_regex("00000[0-9]|262143"), trie)
    assert ids(mask) == [*range(10), 262143]


def test_program_is_not_changed_by_use(byte_trie: TokenTrie) -> None:
    compiled: CompiledGrammar = compile_json_schema({"type": "object"})
    copies = [array.copy() for array in compiled.arrays]
    mask = GrammarMask(compiled, byte_trie)
    mask.allowed()
    mask.accept(ord("{"))
    assert all(np.array_equal(a, b) for a, b in zip(copies, compiled.arrays, strict=True))
