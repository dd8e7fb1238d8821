"""A grammar behind reasoning: free inside the tags, bound outside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.engine.reasoning import AfterReasoning, tag_pieces
from gnomon.sampling.grammar.compile import compile_choice
from gnomon.sampling.grammar.mask import GrammarMask
from gnomon.sampling.grammar.vocabulary import TokenTrie

TEXTS = ["<end>", "<", "think", ">", "</", "yes", "no", "hm", "<think>", "</think>"]
END, LESS, THINK, MORE, CLOSE, YES, NO, HM, OPENED, CLOSED = range(len(TEXTS))
TAGS = {"<think>": "</think>"}


def make(open_tag: str | None = None) -> AfterReasoning:
    trie = TokenTrie.build([b"", *(text.encode() for text in TEXTS[1:])], [END])
    return AfterReasoning(
        GrammarMask(compile_choice(["yes", "no"]), trie),
        TAGS,
        open_tag,
        token_text=TEXTS.__getitem__,
        openers=tag_pieces(TAGS, len(TEXTS), TEXTS.__getitem__),
        ends=frozenset([END]),
    )


def allowed(mask: AfterReasoning) -> list[int]:
    row = np.zeros(len(TEXTS), np.float32)
    mask.apply(row)
    found = [int(id_) for id_ in np.flatnonzero(row == 0)]
    assert found == [id_ for id_ in range(len(TEXTS)) if mask.allows(id_)]
    return found


def after(*ids: int, open_tag: str | None = None) -> AfterReasoning:
    mask = make(open_tag)
    for id_ in ids:
        assert mask.allows(id_)
        mask.accept(id_)
    return mask


def test_an_answer_may_begin_with_the_grammar_or_a_tag() -> None:
    assert allowed(make()) == [LESS, YES, NO, OPENED]


def test_a_tag_once_begun_is_finished() -> None:
    assert allowed(after(LESS)) == [THINK]
    assert allowed(after(LESS, THINK)) == [MORE]


@pytest.mark.parametrize("opening", [(OPENED,), (LESS, THINK, MORE)])
def test_inside_all_but_an_end_may_come(opening: tuple[int, ...]) -> None:
    assert allowed(after(*opening, HM)) == list(range(1, len(TEXTS)))


@pytest.mark.parametrize("closing", [(CLOSED,), (CLOSE, THINK, MORE)])
def test_behind_the_closing_tag_the_grammar_begins(closing: tuple[int, ...]) -> None:
    assert allowed(after(OPENED, HM, *closing)) == [YES, NO]


def test_a_section_the_prompt_opened_runs_free() -> None:
    assert allowed(after(HM, CLOSED, open_tag="<think>")) == [YES, NO]


def test_no_section_comes_once_the_grammar_has_begun() -> None:
    assert allowed(after(YES)) == [END]


def test_snapshots_lead_back_into_a_section() -> None:
    mask = after(OPENED, HM)
    place: Any = mask.snapshot()
    for id_ in (CLOSED, YES, END):
        mask.accept(id_)
    mask.restore(place)
    assert HM in allowed(mask)


def test_nothing_is_forced_before_the_grammar_has_begun() -> None:
    assert after(OPENED, HM).forced() == []
    assert make().forced() == []
