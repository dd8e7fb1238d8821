"""AsyncLLM and AsyncEmbeddingModel: the answers and errors of the handles that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from gnomon.engine.api.async_models import AsyncEmbeddingModel, AsyncLLM
from gnomon.engine.api.chat import Chat
from gnomon.engine.api.embedding import EmbeddingModel
from gnomon.engine.api.llm import LLM
from gnomon.engine.errors import (
    LMStudioModelNotFoundError,
    LMStudioPresetNotFoundError,
    LMStudioValueError,
)

GREEDY = {"temperature": 0, "repeatPenalty": False}


@pytest.fixture
def model(toy: LLM) -> AsyncLLM:
    return AsyncLLM(toy)


def slow(llm: LLM, fed: threading.Event) -> threading.Event:
    """Every step sets `fed` and waits for the event returned."""
    go = threading.Event()
    toy_model: Any = llm._instance.model

    def wait() -> None:
        fed.set()
        assert go.wait(60)

    toy_model.on_feed = wait
    return go


def test_respond_answers(model: AsyncLLM) -> None:
    assert asyncio.run(model.respond("hi", config=GREEDY)).content == "You said: hi"


def test_complete_continues_a_text(model: AsyncLLM) -> None:
    assert asyncio.run(model.complete("uvw", config=GREEDY)).content == "xyz"


def test_the_answer_is_that_of_the_handle_that_waits(model: AsyncLLM, toy: LLM) -> None:
    config = {"seed": 7, "maxTokens": 8}
    answer = asyncio.run(model.complete("dice", config=config))
    assert answer.content == toy.complete("dice", config=config).content


@pytest.mark.parametrize("count", [2, 40])
def test_concurrent_answers_are_each_its_own(model: AsyncLLM, count: int) -> None:
    async def all_of_them() -> list[str]:
        asked = [model.respond(f"number {n}", config=GREEDY) for n in range(count)]
        return [answer.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(all_of_them()) == [f"You said: number {n}" for n in range(count)]


def test_the_event_loop_runs_while_an_answer_is_made(toy: LLM) -> None:
    fed = threading.Event()
    go = slow(toy, fed)

    async def ask() -> tuple[bool, str]:
        answer = asyncio.create_task(AsyncLLM(toy).respond("hi", config=GREEDY))
        while not fed.is_set():
            await asyncio.sleep(0.001)
        running = not answer.done()
        go.set()
        return running, (await answer).content

    assert asyncio.run(ask()) == (True, "You said: hi")


def test_short_calls_do_not_wait_for_long_answers(toy: LLM) -> None:
    fed = threading.Event()
    go = slow(toy, fed)
    model = AsyncLLM(toy)

    async def count_among_answers() -> int:
        answers = [asyncio.create_task(model.respond("hi", config=GREEDY)) for _ in range(64)]
        await asyncio.to_thread(fed.wait, 60)
        try:
            return await asyncio.wait_for(model.count_tokens("ab"), 60)
        finally:
            go.set()
            await asyncio.gather(*answers)

    assert asyncio.run(count_among_answers()) == 3


def test_a_cancelled_task_is_let_go_while_its_step_runs(toy: LLM) -> None:
    fed = threading.Event()
    go = slow(toy, fed)

    async def cancel() -> bool:
        answer = asyncio.create_task(AsyncLLM(toy).respond("hi", config=GREEDY))
        await asyncio.to_thread(fed.wait, 60)
        answer.cancel()
        await asyncio.wait([answer])
        go.set()
        return answer.cancelled()

    assert asyncio.run(cancel())


def test_a_cancelled_answer_makes_no_further_step(toy: LLM) -> None:
    toy_model: Any = toy._instance.model
    fed = threading.Event()
    go = slow(toy, fed)

    async def cancel() -> None:
        answer = asyncio.create_task(AsyncLLM(toy).respond("hi", config=GREEDY))
        await asyncio.to_thread(fed.wait, 60)
        answer.cancel()
        await asyncio.wait([answer])
        go.set()
        while toy._instance._users:
            await asyncio.sleep(0.001)

    asyncio.run(cancel())
    assert len(toy_model.fed) == 1


def test_the_next_answer_is_right_after_a_cancelled_one(toy: LLM) -> None:
    fed = threading.Event()
    go = slow(toy, fed)
    model = AsyncLLM(toy)

    async def cancel_and_ask() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.respond("hi", config=GREEDY), 0.02)
        go.set()
        return (await model.respond("you", config=GREEDY)).content

    assert asyncio.run(cancel_and_ask()) == "You said: you"


def test_a_cancelled_answer_calls_back_no_more(toy: LLM) -> None:
    fed = threading.Event()
    go = slow(toy, fed)
    heard: list[object] = []

    async def cancel() -> None:
        asked = AsyncLLM(toy).respond(
            "hi", on_prediction_fragment=heard.append, on_message=heard.append
        )
        answer = asyncio.create_task(asked)
        await asyncio.to_thread(fed.wait, 60)
        answer.cancel()
        await asyncio.wait([answer])
        go.set()
        while toy._instance._users:
            await asyncio.sleep(0.001)

    asyncio.run(cancel())
    assert heard == []


def test_callbacks_run_on_the_event_loop_in_order(model: AsyncLLM) -> None:
    heard: list[str] = []

    def note(text: str) -> None:
        asyncio.get_running_loop()
        heard.append(text)

    asyncio.run(
        model.respond(
            "hi",
            config={**GREEDY, "maxTokens": 2},
            on_prompt_processing_progress=lambda share: note(f"{share:.0f}"),
            on_first_token=lambda: note("first"),
            on_prediction_fragment=lambda fragment: note(fragment.content),
            on_message=lambda message: note("message"),
        )
    )
    assert heard == ["0", "1", "first", "Y", "o", "message"]


def test_callbacks_see_the_caller_s_context(model: AsyncLLM) -> None:
    user = ContextVar("user", default="nobody")
    heard: list[str] = []

    async def ask() -> None:
        user.set("me")
        await model.respond("hi", on_first_token=lambda: heard.append(user.get()))

    asyncio.run(ask())
    assert heard == ["me"]


def test_an_error_in_a_callback_is_logged_and_the_answer_goes_on(
    model: AsyncLLM, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("broken callback")

    answer = asyncio.run(model.respond("hi", config=GREEDY, on_first_token=broken))
    assert (answer.content, "broken callback" in caplog.text) == ("You said: hi", True)


def test_a_chat_may_change_once_it_is_asked(model: AsyncLLM) -> None:
    async def ask() -> str:
        chat = Chat.from_history("hi")
        stream = await model.respond_stream(chat, config=GREEDY)
        chat.add_assistant_response("no")
        return (await stream.wait_for_result()).content

    assert asyncio.run(ask()) == "You said: hi"


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (lambda m: m.respond("hi", config={"topQ": 1}), LMStudioValueError, "topQ"),
        (lambda m: m.respond(3), LMStudioValueError, "expected a str, a Chat"),
        (lambda m: m.complete(3), LMStudioValueError, "complete: expected a str, found int"),
        (lambda m: m.respond("hi", preset="x"), LMStudioPresetNotFoundError, "no preset 'x'"),
        (lambda m: m.respond("hi", on_message=1, temperature=1), TypeError, "temperature"),
    ],
)
def test_errors_are_those_of_the_handle_that_waits(
    ask: Callable[[Any], Any], error: type[Exception], text: str, model: AsyncLLM, toy: LLM
) -> None:
    with pytest.raises(error, match=text) as waited:
        ask(toy)
    with pytest.raises(error) as awaited:
        asyncio.run(ask(model))
    assert str(awaited.value) == str(waited.value)


def test_the_small_methods_are_coroutines_of_the_same_results(model: AsyncLLM, toy: LLM) -> None:
    async def ask() -> list[object]:
        return [
            await model.tokenize(["a", "b"], add_special=False),
            await model.count_tokens("abc"),
            await model.detokenize([97, 98]),
            await model.get_context_length(),
            await model.get_load_config(),
            await model.get_info(),
            await model.apply_prompt_template("hi", {"omitBosToken": True}),
        ]

    assert asyncio.run(ask()) == [
        toy.tokenize(["a", "b"], add_special=False),
        toy.count_tokens("abc"),
        toy.detokenize([97, 98]),
        toy.get_context_length(),
        toy.get_load_config(),
        toy.get_info(),
        toy.apply_prompt_template("hi", {"omitBosToken": True}),
    ]


def test_every_method_of_the_handles_that_wait_has_its_twin() -> None:
    for waiting, own in ((LLM, AsyncLLM), (EmbeddingModel, AsyncEmbeddingModel)):
        names = {name for name in dir(waiting) if not name.startswith("_")}
        assert names - set(dir(own)) <= {"session"}


def test_after_unload_the_model_is_not_found(model: AsyncLLM) -> None:
    async def unload_and_ask() -> None:
        await model.unload()
        await model.respond("hi")

    with pytest.raises(LMStudioModelNotFoundError):
        asyncio.run(unload_and_ask())


def test_unloading_ends_an_answer(toy: LLM) -> None:
    fed = threading.Event()
    go = slow(toy, fed)
    model = AsyncLLM(toy)

    async def unload() -> str:
        answer = asyncio.create_task(model.respond("hi", config=GREEDY))
        await asyncio.to_thread(fed.wait, 60)
        await model.unload()
        go.set()
        return (await answer).stats.stop_reason

    assert asyncio.run(unload()) == "modelUnloaded"


def test_handles_of_one_model_are_equal(model: AsyncLLM, toy: LLM) -> None:
    assert (model, hash(model)) == (AsyncLLM(toy), hash(AsyncLLM(toy)))


def test_a_handle_shows_its_identifier(model: AsyncLLM) -> None:
    assert repr(model) == "AsyncLLM(identifier='toy')"


def test_one_handle_serves_one_loop_after_another(model: AsyncLLM) -> None:
    answers = [asyncio.run(model.respond("hi", config=GREEDY)).content for _ in range(2)]
    assert answers == ["You said: hi"] * 2
