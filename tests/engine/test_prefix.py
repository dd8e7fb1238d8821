"""PrefixCache: which session a prompt starts from, and that sessions stay bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.prefix import PrefixCache, shared_length

MakeToy = Callable[..., Any]


@pytest.mark.parametrize(
    ("a", "b", "length"), [([], [], 0), ([1], [], 0), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 9], 1)]
)
def test_shared_length(a: list[int], b: list[int], length: int) -> None:
    assert shared_length(a, b) == length


def released(cache: PrefixCache[Any], ids: list[int]) -> Any:
    """Run a call that feeds `ids`, and give its session back."""
    session = cache.acquire(ids)
    session.feed(ids[session.position :])
    cache.release(session)
    return session


def test_the_first_prompt_starts_from_nothing(make_toy: MakeToy) -> None:
    assert PrefixCache(make_toy().session).acquire([1, 2]).tokens == []


def test_a_longer_prompt_starts_from_the_kept_beginning(make_toy: MakeToy) -> None:
    cache = PrefixCache(make_toy().session)
    released(cache, [1, 2, 3])
    assert cache.acquire([1, 2, 3, 4]).tokens == [1, 2, 3]


def test_the_same_prompt_again_leaves_its_last_token_to_feed(make_toy: MakeToy) -> None:
    cache = PrefixCache(make_toy().session)
    released(cache, [1, 2, 3])
    assert cache.acquire([1, 2, 3]).tokens == [1, 2]


def test_a_prompt_that_turns_off_starts_where_it_does(make_toy: MakeToy) -> None:
    cache = PrefixCache(make_toy().session)
    released(cache, [1, 2, 3, 4])
    assert cache.acquire([1, 2, 9, 9]).tokens == [1, 2]


def test_the_longest_shared_beginning_is_chosen(make_toy: MakeToy) -> None:
    cache = PrefixCache(make_toy().session)
    released(cache, [1, 2, 3, 4])
    released(cache, [1, 8])
    assert cache.acquire([1, 2, 3, 7]).tokens == [1, 2, 3]


def test_two_callers_may_start_from_one_kept_session(make_toy: MakeToy) -> None:
    cache = PrefixCache(make_toy().session)
    released(cache, [1, 2, 3])
    first, second = cache.acquire([1, 2, 3, 4]), cache.acquire([1, 2, 3, 5])
    assert first is not second
    assert first.tokens == second.tokens == [1, 2, 3]


def test_a_session_that_another_extends_is_closed(make_toy: MakeToy) -> None:
    model = make_toy()
    cache = PrefixCache(model.session)
    released(cache, [1, 2])
    released(cache, [1, 2, 3])
    assert model.live == 1


def test_no_more_than_keep_sessions_stay_open(make_toy: MakeToy) -> None:
    model = make_toy()
    cache = PrefixCache(model.session, keep=2)
    for first in range(5):
        released(cache, [first, 7])
    assert model.live == 2


def test_the_least_recently_used_session_goes_first(make_toy: MakeToy) -> None:
    cache = PrefixCache(make_toy().session, keep=2)
    released(cache, [1, 1])
    released(cache, [2, 2])
    cache.acquire([1, 1, 1]).close()
    released(cache, [3, 3])
    assert cache.acquire([1, 1, 5]).tokens == [1, 1]
    assert cache.acquire([2, 2, 5]).tokens == []


def test_close_closes_every_session_and_those_released_later(make_toy: MakeToy) -> None:
    model = make_toy()
    cache = PrefixCache(model.session)
    released(cache, [1, 2])
    late = cache.acquire([5, 6])
    cache.close()
    cache.release(late)
    assert model.live == 0


def test_rewinding_is_for_as_many_threads_as_the_call_asks(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = make_toy()
    cache = PrefixCache(toy.session)
    released(cache, [1, 2, 3])
    seen: list[Any] = []
    monkeypatch.setattr(type(toy.session()), "rewind", lambda own, at: seen.append(own.threads))
    cache.acquire([1, 2, 9], threads=3)
    assert seen == [3]
