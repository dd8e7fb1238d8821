"""The assembler: words, labels, pruning, bounds."""

from collections.abc import Callable

import pytest

from gnomon.kernels.grammar import opcodes as op
from gnomon.sampling.grammar.errors import MAX_ROWS, GrammarError
from gnomon.sampling.grammar.program import Assembler, CompiledGrammar

Accepts = Callable[[CompiledGrammar, str], bool]


def words_grammar(words: list[bytes]) -> CompiledGrammar:
    assembler = Assembler()
    rule = assembler.rule()
    assembler.enter(rule)
    assembler.words(words)
    assembler.end()
    return assembler.finish(rule, "choice")


def test_words_share_their_prefixes(accepts: Accepts) -> None:
    words = [b"in", b"inner", b"inn", b"out", b""]
    compiled = words_grammar(words)
    for text in ("in", "inner", "inn", "out", ""):
        assert accepts(compiled, text)
    assert not accepts(compiled, "inne")
    reads = (compiled.arrays[0][:, 0] == op.BYTE).sum()
    assert reads == len("inner") + len("out")


def test_labels_may_be_placed_after_their_use(accepts: Accepts) -> None:
    assembler = Assembler()
    rule = assembler.rule()
    assembler.enter(rule)
    a, b = assembler.label(), assembler.label()
    assembler.fork([a, b])
    assembler.place(a)
    assembler.literal(b"x")
    assembler.jump(b)
    assembler.place(b)
    assembler.end()
    compiled = assembler.finish(rule, "gbnf")
    assert accepts(compiled, "")
    assert accepts(compiled, "x")


def test_rows_that_lead_nowhere_are_cut(accepts: Accepts) -> None:
    assembler = Assembler()
    rule = assembler.rule()
    assembler.enter(rule)
    good, bad = assembler.label(), assembler.label()
    assembler.fork([good, bad])
    assembler.place(good)
    assembler.literal(b"ab")
    assembler.end()
    assembler.place(bad)
    assembler.literal(b"ac")
    assembler.emit(op.DEAD)
    compiled = assembler.finish(rule, "gbnf")
    assert (compiled.arrays[0][:, 0] == op.BYTE).sum() == 2


def test_tail_calls_become_jumps() -> None:
    assembler = Assembler()
    rule = assembler.rule()
    assembler.enter(rule)
    end = assembler.label()
    go_on = assembler.label()
    assembler.fork([end, go_on])
    assembler.place(go_on)
    assembler.literal(b"a")
    assembler.tail(rule)
    assembler.place(end)
    assembler.end()
    compiled = assembler.finish(rule, "gbnf")
    assert op.CALL not in compiled.arrays[0][:, 0]


def test_a_program_has_a_largest_size() -> None:
    with pytest.raises(GrammarError, match="instructions"):
        Assembler().literal(bytes(MAX_ROWS + 1))
