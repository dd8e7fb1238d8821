"""Fixtures: a vocabulary of the 256 bytes, and whether a grammar accepts a text over it."""

from collections.abc import Callable

import pytest

from gnomon.sampling.grammar.mask import GrammarMask
from gnomon.sampling.grammar.program import CompiledGrammar
from gnomon.sampling.grammar.vocabulary import TokenTrie

Accepts = Callable[[CompiledGrammar, str | bytes], bool]


@pytest.fixture(scope="session")
def byte_trie() -> TokenTrie:
    """Token i is byte i; token 256 ends a text."""
    return TokenTrie.build([bytes([i]) for i in range(256)] + [b""], [256])


@pytest.fixture(scope="session")
def accepts(byte_trie: TokenTrie) -> Accepts:
    """accepts(compiled, text): whether the text is a word of the grammar."""
    masks: dict[int, tuple[CompiledGrammar, GrammarMask]] = {}

    def check(compiled: CompiledGrammar, text: str | bytes) -> bool:
        if id(compiled) not in masks:
            masks.clear()
            masks[id(compiled)] = (compiled, GrammarMask(compiled, byte_trie))
        mask = masks[id(compiled)][1]
        mask.reset()
        for byte in text.encode() if isinstance(text, str) else text:
            if not mask.allows(byte):
                return False
            mask.accept(byte)
        return mask.may_end

    return check
