"""The token loop on the toy model: prefill, stopping, the context, interruption, statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.errors import LMStudioPredictionError, LMStudioValueError
from gnomon.engine.generate import Generation, Limits, dropped, fitted
from gnomon.sampling.params import SamplingParams
from gnomon.sampling.sampler import Sampler

MakeToy = Callable[..., Any]
GREEDY = SamplingParams(temperature=0.0, repeat_penalty=None)


def make(model: Any, prompt: str, *, params: SamplingParams = GREEDY, **options: Any) -> Generation:
    """A generation of the toy; keywords of Limits go there, the others to Generation."""
    names = Limits.__dataclass_fields__.keys()
    given = {name: options.pop(name) for name in list(options) if name in names}
    limits = Limits(**{"context_length": model.context_length, **given})
    ids = fitted(model.tokenizer.encode(prompt, parse_special=True), limits)
    return Generation(
        options.pop("session", None) or model.session(),
        model.tokenizer.stream(),
        Sampler(params, model.n_vocab),
        ids,
        limits,
        end_tokens=model.tokenizer.eog,
        **options,
    )


def text(generation: Generation) -> str:
    return "".join(piece.text for piece in generation)


def test_the_answer_ends_at_an_end_token(make_toy: MakeToy) -> None:
    made = make(make_toy(), "w")
    assert (text(made), made.stop_reason) == ("xyz", "eosFound")


def test_end_tokens_are_not_counted(make_toy: MakeToy) -> None:
    made = make(make_toy(), "w")
    text(made)
    assert (made.prompt_tokens, len(made.predicted)) == (2, 3)


def test_max_tokens_ends_the_answer(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", max_tokens=4)
    assert (text(made), made.stop_reason) == ("bcde", "maxPredictedTokensReached")


def test_a_stop_string_ends_the_answer_and_is_left_out(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", stop_strings=("fgh",))
    assert (text(made), made.stop_reason) == ("bcde", "stopStringFound")


def test_text_held_back_for_a_stop_string_comes_at_the_end(make_toy: MakeToy) -> None:
    made = make(make_toy(), "w", stop_strings=("z!",))
    assert (text(made), made.stop_reason) == ("xyz", "eosFound")


def test_a_tool_call_stop_string_has_its_own_reason(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", tool_call_stop_strings=("d",))
    assert (text(made), made.stop_reason) == ("bc", "toolCalls")


def test_half_a_character_is_never_shown(make_toy: MakeToy) -> None:
    model = make_toy(reply=lambda prompt: "né€😀!")
    made = make(model, "<|im_start|>assistant\n")
    assert [piece.text for piece in made] == ["n", "é", "€", "😀", "!"]


def test_a_piece_counts_the_tokens_of_its_text(make_toy: MakeToy) -> None:
    model = make_toy(reply=lambda prompt: "n€")
    assert [piece.tokens for piece in make(model, "<|im_start|>assistant\n")] == [1, 3]


def test_half_a_character_at_the_end_shows_as_replacement(make_toy: MakeToy) -> None:
    model = make_toy(reply=lambda prompt: "n€")
    assert text(make(model, "<|im_start|>assistant\n", max_tokens=2)) == "n\ufffd"


def test_the_prompt_is_fed_in_pieces(make_toy: MakeToy) -> None:
    model = make_toy()
    text(make(model, "xxxxxxy", batch=3))
    assert model.fed == [3, 3, 2, 1]


def test_progress_rises_from_0_to_1(make_toy: MakeToy) -> None:
    shares: list[float] = []
    text(make(make_toy(), "xxxxxxz", batch=4, on_progress=shares.append))
    assert shares == [0.0, 0.5, 1.0]


def test_a_session_that_holds_a_beginning_is_continued(make_toy: MakeToy) -> None:
    model = make_toy()
    session = model.session()
    session.feed(model.tokenizer.encode("abc"))
    model.fed.clear()
    assert text(make(model, "abcx", session=session)) == "yz"
    assert model.fed[0] == 1


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="no tokens"):
        fitted([], Limits(context_length=8))


def test_a_prompt_beyond_the_context_is_refused_with_what_to_do() -> None:
    with pytest.raises(LMStudioPredictionError, match=r"9 tokens.*holds 8.*contextOverflowPolicy"):
        fitted([1] * 9, Limits(context_length=8))


def test_the_answer_ends_when_the_context_is_full(make_toy: MakeToy) -> None:
    made = make(make_toy(context_length=6), "a")
    assert (text(made), made.stop_reason) == ("bcde", "contextLengthReached")


def test_a_prompt_that_fills_the_context_leaves_no_room(make_toy: MakeToy) -> None:
    made = make(make_toy(context_length=2), "a")
    assert (text(made), made.stop_reason) == ("", "contextLengthReached")


def test_dropping_spares_the_first_tokens_and_leaves_half_of_the_rest_free() -> None:
    limits = Limits(context_length=10, keep=2, overflow="truncateMiddle")
    assert dropped(list(range(20)), limits) == [0, 1, 16, 17, 18, 19]


def test_dropping_never_spares_more_than_half_of_the_context() -> None:
    limits = Limits(context_length=8, keep=20, overflow="truncateMiddle")
    assert dropped(list(range(20)), limits) == [0, 1, 2, 3, 18, 19]


@pytest.mark.parametrize("policy", ["truncateMiddle", "rollingWindow"])
def test_a_full_context_is_shortened_and_the_answer_goes_on(make_toy: MakeToy, policy: str) -> None:
    made = make(make_toy(context_length=8), "a", overflow=policy, keep=1)
    assert (text(made), made.stop_reason) == ("bcdefghijklmnopqrstuvwxyz", "eosFound")


def test_a_long_prompt_is_shortened_by_policy(make_toy: MakeToy) -> None:
    made = make(make_toy(context_length=8), "abcdefghijklmnopqrstuvw", overflow="rollingWindow")
    assert text(made) == "xyz"


def test_a_context_of_one_token_still_works(make_toy: MakeToy) -> None:
    made = make(make_toy(context_length=1), "w", overflow="rollingWindow")
    assert text(made) == "xyz"


def test_the_session_never_holds_more_than_the_context(make_toy: MakeToy) -> None:
    model = make_toy(context_length=8)
    made = make(model, "a", overflow="rollingWindow", keep=1)
    text(made)
    assert made.session.position <= 8


def test_an_interruption_between_prompt_pieces_ends_the_answer(make_toy: MakeToy) -> None:
    model = make_toy()
    made = make(
        model,
        "abcdefg",
        batch=2,
        interrupted=lambda: "userStopped" if len(model.fed) == 2 else None,
    )
    assert (text(made), made.stop_reason, model.fed) == ("", "userStopped", [2, 2])


def test_an_interruption_between_tokens_ends_the_answer(make_toy: MakeToy) -> None:
    model = make_toy()
    made = make(model, "a", interrupted=lambda: "modelUnloaded" if len(model.fed) == 3 else None)
    assert (text(made), made.stop_reason) == ("bcd", "modelUnloaded")


def test_leaving_the_loop_stops_the_answer(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a")
    pieces = iter(made)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert made.stop_reason == "userStopped"


def test_ctrl_c_in_a_step_comes_through(make_toy: MakeToy) -> None:
    model = make_toy()

    def interrupt() -> None:
        if len(model.fed) == 3:
            raise KeyboardInterrupt

    model.on_feed = interrupt
    with pytest.raises(KeyboardInterrupt):
        text(make(model, "a"))


def test_the_same_seed_draws_the_same_answer(make_toy: MakeToy) -> None:
    params = SamplingParams(seed=7, temperature=1.0)
    one, two = (text(make(make_toy(), "dice", params=params, max_tokens=20)) for _ in range(2))
    assert one == two


def test_another_seed_draws_another_answer(make_toy: MakeToy) -> None:
    texts = {
        text(make(make_toy(), "dice", params=SamplingParams(seed=seed), max_tokens=20))
        for seed in (1, 2)
    }
    assert len(texts) == 2


def test_log_probabilities_are_kept_when_asked_for(make_toy: MakeToy) -> None:
    params = SamplingParams(temperature=0.0, repeat_penalty=None, logprobs=2)
    made = make(make_toy(), "x", params=params, logprobs=True)
    text(made)
    assert [entry.token for entry in made.logprobs] == [ord("y"), ord("z")]


def test_statistics_have_no_speed_before_there_are_two_tokens(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", max_tokens=1)
    text(made)
    assert made.tokens_per_second is None


def test_statistics_have_no_first_token_when_there_is_none(make_toy: MakeToy) -> None:
    made = make(make_toy(), "!")
    text(made)
    assert made.time_to_first_token is None


def test_time_the_caller_takes_is_not_counted(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("gnomon.engine.generate.perf_counter", lambda: float(next(clock)))
    made = make(make_toy(), "a", max_tokens=3)
    for _ in made:
        for _ in range(100):
            next(clock)
    assert made.tokens_per_second is not None
    assert made.tokens_per_second > 0.1
