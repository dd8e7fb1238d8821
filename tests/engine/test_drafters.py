"""Drafters: what prompt lookup finds, and how a draft model keeps up with the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gnomon.engine.drafters import FURTHEST, ForcedTokens, ModelDrafter, PromptLookup
from gnomon.sampling.params import SamplingParams
from gnomon.sampling.sampler import Sampler

MakeToy = Callable[..., Any]
GREEDY = SamplingParams(temperature=0.0, repeat_penalty=None)
DICE = SamplingParams(seed=11, temperature=1.0, repeat_penalty=None)


def looked_up(text: Sequence[int], count: int, **options: int) -> list[int]:
    """What a lookup guesses behind a text; nothing if it has no offer."""
    lookup = PromptLookup(**options)
    lookup.restart(text)
    return lookup.propose(count).ids if lookup.offer() else []


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ([], []),
        ([1], []),
        ([1, 2, 3], []),
        ([1, 2, 3, 1], [2, 3, 1, 2]),
        ([1, 2, 3, 9, 2, 3], [9, 2, 3, 9]),
        ([7, 7], [7, 7, 7, 7]),
        ([1, 2, 1, 2], [1, 2, 1, 2]),
    ],
)
def test_a_lookup_copies_what_followed_and_repeats_at_the_end(
    text: list[int], guess: list[int]
) -> None:
    assert looked_up(text, 4) == guess


def test_the_longest_past_in_common_decides() -> None:
    text = [1, 2, 3, 4, 50, 8, 3, 4, 60, 1, 2, 3, 4]
    assert looked_up(text, 1) == [50]


def test_of_equal_places_the_later_counts() -> None:
    assert looked_up([5, 1, 5, 2, 5, 3, 5], 1) == [3]


def test_the_longest_past_counts_beyond_the_n_gram() -> None:
    same = list(range(100, 110))
    assert looked_up([*same, 1, 9, *same[-3:], 2, 8, *same], 1) == [1]


def test_n_grams_longer_than_three_find_places_that_many_others_hide() -> None:
    text = [1, 2, 3, 4, 5, 6, 70, *[5, 6, 0] * 20, 1, 2, 3, 4, 5, 6]
    assert looked_up(text, 1, max_ngram=6) == [70]


def test_n_grams_are_no_longer_than_asked() -> None:
    lookup = PromptLookup(max_ngram=1)
    lookup.restart([1, 2, 3, 1])
    lookup.offer()
    assert {len(gram) for gram in lookup._last} == {1}


def test_the_draft_is_no_longer_than_asked() -> None:
    lookup = PromptLookup(max_draft=5)
    lookup.restart([1, 1])
    offer = lookup.offer()
    assert offer is not None
    assert offer.longest == 5


def test_longer_matches_are_another_kind_that_is_trusted_more() -> None:
    kinds, priors = [], []
    for match in (1, 2, 3, 5, 9, FURTHEST):
        lookup = PromptLookup()
        lookup.restart([*range(match), 99, *range(match)])
        offer = lookup.offer()
        assert offer is not None
        kinds.append(offer.kind)
        priors.append(offer.prior)
    assert len(set(kinds)) == 6
    assert priors == sorted(priors)


def test_an_index_built_token_by_token_is_the_same() -> None:
    text = [int(id_) for id_ in np.random.default_rng(1).integers(0, 6, 400)]
    whole, grown = PromptLookup(), PromptLookup()
    whole.restart(text)
    grown.restart(text[:100])
    for token in text[100:]:
        grown.accept(token)
        grown.offer()
    whole.offer()
    assert (whole._last, whole._before) == (grown._last, grown._before)


SOURCE = list(range(100, 130))


@pytest.mark.parametrize(
    ("edit", "kind", "goes_on"),
    [
        ([7], "resumed", 111),
        ([7, 111], "resumed", 112),
        ([7, 8, 111], "resumed", 112),
        ([111], "resumed", 112),
        ([7, 8, 9, 10, 113], "resumed", 114),
        ([7, 111, 112, 113, 114], "lookup", 115),
        ([7] * 17, "lookup", 7),
    ],
    ids=["at the edit", "replaced", "inserted", "left out", "longer", "a new match", "too far"],
)
def test_a_copy_goes_on_behind_an_edit(edit: list[int], kind: str, goes_on: int) -> None:
    lookup = PromptLookup()
    lookup.restart([*SOURCE, 1, *SOURCE[:10]])
    lookup.offer()
    for token in edit:
        lookup.accept(token)
    offer = lookup.offer()
    assert offer is not None
    assert offer.kind[0] == kind  # type: ignore[index]
    assert lookup.propose(1).ids == [goes_on]


def test_a_copy_at_an_edit_is_trusted_less_than_one_behind_it() -> None:
    lookup = PromptLookup()
    lookup.restart([*SOURCE, 1, *SOURCE[:10]])
    lookup.offer()
    priors = []
    for token in (7, 111):
        lookup.accept(token)
        offer = lookup.offer()
        assert offer is not None
        priors.append(offer.prior)
    assert priors == sorted(priors)


def test_no_copy_is_resumed_at_the_end_of_the_text() -> None:
    lookup = PromptLookup()
    lookup.restart([1, 2, 3, 4, 9, 1, 2, 3, 4])
    lookup.offer()
    for token in (50, 51, 52, 53, 54, 55):
        lookup.accept(token)
        offer = lookup.offer()
        assert offer is None or lookup.propose(3).ids


def test_a_restart_forgets_the_old_text() -> None:
    lookup = PromptLookup()
    lookup.restart([1, 2, 1])
    lookup.offer()
    lookup.restart([1])
    assert lookup.offer() is None


def test_a_text_of_one_token_repeated_is_indexed_in_little_time() -> None:
    lookup = PromptLookup(max_ngram=32)
    lookup.restart([1] * 20_000)
    assert lookup.offer() is not None
    assert len(lookup._last) == 4


# --- draft model ---------------------------------------------------------------------------------


def drafter(model: Any, text: str, **options: Any) -> tuple[ModelDrafter, Any]:
    """A toy as drafter of a text, and its session."""
    session = model.session()
    made = ModelDrafter(session, Sampler(GREEDY, model.n_vocab), ends=frozenset({257}), **options)
    made.restart(model.tokenizer.encode(text))
    return made, session


def test_a_draft_model_says_how_it_would_go_on(make_toy: MakeToy) -> None:
    made, _ = drafter(make_toy(), "abc")
    assert bytes(made.propose(4).ids) == b"defg"


def test_a_draft_ends_behind_an_end(make_toy: MakeToy) -> None:
    made, _ = drafter(make_toy(), "x")
    assert made.propose(9).ids == [ord("y"), ord("z"), 257]


def test_a_refused_draft_is_taken_back_and_only_the_new_token_read(make_toy: MakeToy) -> None:
    model = make_toy()
    made, session = drafter(model, "abc")
    made.propose(4)
    for letter in b"dq":
        made.accept(letter)
    model.fed.clear()
    assert bytes(made.propose(2).ids) == b"rs"
    assert model.fed == [1, 1]
    assert session.tokens == [256, *b"abcdqr"]


def test_after_an_accepted_draft_the_last_two_tokens_are_read_at_once(make_toy: MakeToy) -> None:
    model = make_toy()
    made, _ = drafter(model, "abc")
    made.propose(2)
    for letter in b"def":
        made.accept(letter)
    model.fed.clear()
    made.propose(1)
    assert model.fed == [2]


def test_two_drafts_of_the_same_text_are_the_same(make_toy: MakeToy) -> None:
    made, _ = drafter(make_toy(), "abc")
    assert made.propose(4) == made.propose(4)


def test_a_session_that_holds_a_beginning_is_continued(make_toy: MakeToy) -> None:
    model = make_toy()
    session = model.session()
    session.feed(model.tokenizer.encode("abcdef"))
    made = ModelDrafter(session, Sampler(GREEDY, model.n_vocab))
    made.restart(model.tokenizer.encode("abcx"))
    model.fed.clear()
    assert made.propose(1).ids == [ord("y")]
    assert model.fed == [1]


def test_a_restart_with_another_text_is_followed(make_toy: MakeToy) -> None:
    made, session = drafter(make_toy(), "abcdef")
    made.propose(3)
    made.restart([256, *b"uv"])
    assert bytes(made.propose(2).ids) == b"wx"
    assert session.tokens == [256, *b"uvw"]


def test_a_draft_model_offers_no_more_than_its_context_holds(make_toy: MakeToy) -> None:
    made, session = drafter(make_toy(context_length=6), "abc")
    offer = made.offer()
    assert offer is not None
    assert len(made.propose(offer.longest).ids) == offer.longest == 3
    assert session.position == 6
    for letter in b"def":
        made.accept(letter)
    assert made.offer() is None


def test_the_sampler_is_left_as_it_was(make_toy: MakeToy) -> None:
    model = make_toy()
    params = SamplingParams(seed=3, repeat_penalty=1.3)
    sampler = Sampler(params, model.n_vocab)
    sampler.accept_prompt([1, 2, 3])
    logits = np.random.default_rng(2).normal(0, 1, model.n_vocab).astype(np.float32)
    before = sampler.position, sampler.distribution(logits)
    made = ModelDrafter(model.session(), sampler)
    made.restart(model.tokenizer.encode("dice"))
    made.propose(5)
    after = sampler.position, sampler.distribution(logits)
    assert before[0] == after[0]
    assert np.array_equal(before[1].probs, after[1].probs)


def test_drafts_are_drawn_with_the_target_s_own_numbers(make_toy: MakeToy) -> None:
    model = make_toy()
    sampler = Sampler(SamplingParams(seed=11, temperature=1.0), model.n_vocab)
    made = ModelDrafter(model.session(), sampler)
    text = model.tokenizer.encode("dice")
    made.restart(text)
    drafts = made.propose(6).ids
    session = model.session()
    logits = session.feed(text)
    for token in drafts:
        assert sampler.pick(logits) == token
        sampler.accept(token)
        logits = session.feed([token])


def test_apart_they_come_with_the_distributions_they_were_drawn_from(make_toy: MakeToy) -> None:
    model = make_toy()
    sampler = Sampler(DICE, model.n_vocab)
    together, apart = (ModelDrafter(model.session(), sampler, apart=a) for a in (False, True))
    for made in (together, apart):
        made.restart(model.tokenizer.encode("dice"))
    drafts = apart.propose(6)
    assert [p.ids.size for p in drafts.proposals] == [10] * 6
    assert drafts.ids != together.propose(6).ids


def test_an_unlikely_token_ends_a_draft(make_toy: MakeToy) -> None:
    sure, _ = drafter(make_toy(), "abc", least_probability=0.5)
    unsure, _ = drafter(make_toy(), "dice", least_probability=0.5)
    assert len(sure.propose(4).ids) == 4
    assert unsure.propose(4).ids == []


def test_forced_tokens_are_offered_as_far_as_they_are_forced() -> None:
    drafter = ForcedTokens(lambda: [4, 5, 6])
    offer = drafter.offer()
    assert offer is not None
    assert (offer.longest, offer.free) == (3, True)
    assert drafter.propose(2).ids == [4, 5]


def test_nothing_is_offered_where_nothing_is_forced() -> None:
    assert ForcedTokens(list).offer() is None
