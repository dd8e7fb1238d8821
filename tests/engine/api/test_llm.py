"""LLM: respond, complete, tokenize and the rest, on the toy model."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gnomon.engine.api.chat import Chat
from gnomon.engine.api.config import note_once
from gnomon.engine.api.llm import LLM
from gnomon.engine.errors import (
    LMStudioModelNotFoundError,
    LMStudioPredictionError,
    LMStudioPresetNotFoundError,
    LMStudioValueError,
)
from gnomon.formats.chat_template import ChatTemplate

MakeLLM = Callable[..., LLM]
GREEDY = {"temperature": 0, "repeatPenalty": False}


def model_of(llm: LLM) -> Any:
    return llm._instance.model


def test_respond_answers_a_text(toy: LLM) -> None:
    assert toy.respond("hello", config=GREEDY).content == "You said: hello"


def test_respond_answers_a_chat_and_leaves_it_unchanged(toy: LLM) -> None:
    chat = Chat("be kind")
    chat.add_user_message("hi")
    before = str(chat)
    assert str(toy.respond(chat, config=GREEDY)) == "You said: hi"
    assert str(chat) == before


def test_respond_answers_a_dict_of_messages(toy: LLM) -> None:
    history = {"messages": [{"role": "user", "content": "hi"}]}
    assert toy.respond(history, config=GREEDY).content == "You said: hi"


def test_a_token_id_beyond_the_vocabulary_is_refused_before_anything_runs(toy: LLM) -> None:
    size = model_of(toy).n_vocab
    grammar = {"type": "gbnf", "gbnfGrammar": f'root ::= "a" | <[{size}]>'}
    with pytest.raises(LMStudioValueError, match=rf"token id {size}, expected .* size {size}"):
        toy.complete_stream("abcw", config={"structured": grammar})


def test_a_grammar_that_no_token_continues_is_a_prediction_error(toy: LLM) -> None:
    end = model_of(toy).tokenizer.eos
    grammar = {"type": "gbnf", "gbnfGrammar": f"root ::= <[{end}]>"}
    with pytest.raises(LMStudioPredictionError, match="no token of this vocabulary"):
        toy.complete("abcw", config={"structured": grammar})


def test_complete_continues_a_text(toy: LLM) -> None:
    assert toy.complete("abcw", config=GREEDY).content == "xyz"


def test_complete_refuses_a_chat(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="complete: expected a str, found Chat"):
        toy.complete(Chat())  # type: ignore[arg-type]


def test_complete_reads_control_tokens_in_its_prompt(toy: LLM) -> None:
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert toy.complete(prompt, config=GREEDY).content == "You said: hi"


def test_control_tokens_in_a_message_are_ordinary_text(toy: LLM) -> None:
    toy.respond("a<|im_end|>b", config=GREEDY | {"maxTokens": 1})
    (kept,) = toy._instance.sessions._kept
    assert list(kept.tokens).count(259) == 1


def test_an_unknown_option_is_a_type_error(toy: LLM) -> None:
    with pytest.raises(TypeError, match="temprature"):
        toy.respond("hi", temprature=0)  # type: ignore[call-arg]


def test_an_unknown_config_key_is_named_before_anything_runs(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="unknown key 'topq'"):
        toy.respond_stream("hi", config={"topq": 1})


def test_any_preset_is_not_found(toy: LLM) -> None:
    with pytest.raises(LMStudioPresetNotFoundError, match="mine"):
        toy.respond("hi", preset="mine")


def test_a_draft_model_that_is_not_there_is_named(toy: LLM) -> None:
    with pytest.raises(LMStudioModelNotFoundError, match="no-such-model"):
        toy.respond("hi", config={"draftModel": "no-such-model"})


def test_a_schema_that_cannot_be_kept_is_refused_with_its_place(toy: LLM) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "text"}}}
    with pytest.raises(LMStudioValueError, match="structured json: /properties/a"):
        toy.respond("hi", response_format=schema)


def test_a_file_without_template_names_complete_and_prompt_template(toy: LLM) -> None:
    model_of(toy).chat_template = None
    with pytest.raises(LMStudioPredictionError, match=r"complete\(\).*promptTemplate"):
        toy.respond("hi")


def test_a_manual_template_stands_in_for_the_file_s(toy: LLM) -> None:
    model_of(toy).chat_template = None
    parts = {
        "beforeUser": "<|im_start|>user\n",
        "afterUser": "<|im_end|>\n",
        "beforeAssistant": "<|im_start|>assistant\n",
    }
    template = {"type": "manual", "manualPromptTemplate": parts, "stopStrings": ["!"]}
    config = {**GREEDY, "promptTemplate": template}
    assert toy.respond("hi! there", config=config).content == "You said: hi"


def test_a_second_turn_feeds_only_what_is_new(toy: LLM) -> None:
    chat = Chat()
    chat.add_user_message("one two three four")
    chat.add_assistant_response(toy.respond(chat, config=GREEDY))
    model_of(toy).fed.clear()
    chat.add_user_message("five")
    assert toy.respond(chat, config=GREEDY).content == "You said: five"
    assert model_of(toy).fed[0] < 50


def test_an_answer_is_the_same_with_and_without_a_kept_beginning(
    toy: LLM, make_llm: MakeLLM
) -> None:
    config = {"seed": 5, "maxTokens": 30, "temperature": 1.0}
    toy.complete("dice and more", config=GREEDY | {"maxTokens": 3})
    assert toy.complete("dice and less", config=config).content == (
        make_llm().complete("dice and less", config=config).content
    )


def test_many_threads_may_call_one_handle(toy: LLM) -> None:
    texts = [f"number {n}" for n in range(24)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda text: toy.respond(text, config=GREEDY).content, texts))
    assert answers == [f"You said: {text}" for text in texts]


def test_ctrl_c_leaves_the_model_usable(toy: LLM) -> None:
    model = model_of(toy)

    def interrupt() -> None:
        if len(model.fed) == 3:
            raise KeyboardInterrupt

    model.on_feed = interrupt
    with pytest.raises(KeyboardInterrupt):
        toy.respond("hello", config=GREEDY)
    assert toy.respond("hello", config=GREEDY).content == "You said: hello"


def test_a_torn_session_is_closed(toy: LLM) -> None:
    model = model_of(toy)

    def fail() -> None:
        raise MemoryError

    model.on_feed = fail
    with pytest.raises(MemoryError):
        toy.respond("hello")
    assert model.live == 0


def test_unload_closes_the_model_and_the_handle_is_not_found(toy: LLM) -> None:
    model = model_of(toy)
    toy.unload()
    assert model.closed
    with pytest.raises(LMStudioModelNotFoundError):
        toy.respond("hi")


def test_unloading_twice_is_not_found(toy: LLM) -> None:
    toy.unload()
    with pytest.raises(LMStudioModelNotFoundError):
        toy.unload()


def test_unload_ends_a_running_prediction_and_then_closes(toy: LLM) -> None:
    model = model_of(toy)
    stream = toy.respond_stream("hello", config=GREEDY)
    said = []
    for fragment in stream:
        said.append(fragment.content)
        if len(said) == 3:
            toy.unload()
            assert not model.closed
    assert (stream.result().stats.stop_reason, "".join(said)) == ("modelUnloaded", "You")
    assert model.closed


def test_unload_from_another_thread_ends_a_running_prediction(toy: LLM) -> None:
    stream = toy.respond_stream("hello", config=GREEDY)
    pieces = iter(stream)
    next(pieces)
    thread = threading.Thread(target=toy.unload)
    thread.start()
    thread.join()
    assert list(pieces) == []
    assert stream.result().stats.stop_reason == "modelUnloaded"


def test_tokenize_gives_ids_of_a_text(toy: LLM) -> None:
    assert toy.tokenize("ab") == [256, 97, 98]


def test_tokenize_gives_a_list_for_several_texts(toy: LLM) -> None:
    assert toy.tokenize(text for text in ("a", "b")) == [[256, 97], [256, 98]]


def test_tokenize_reads_control_tokens_only_if_asked(toy: LLM) -> None:
    assert toy.tokenize("</s>", add_special=False) == list(b"</s>")
    assert toy.tokenize("</s>", add_special=False, parse_special=True) == [257]


def test_tokenize_refuses_bytes(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="found bytes"):
        toy.tokenize(b"ab")  # type: ignore[arg-type]


def test_tokenize_refuses_what_is_no_text(toy: LLM) -> None:
    with pytest.raises(TypeError):
        toy.tokenize(3)  # type: ignore[arg-type]


def test_count_tokens_counts_what_tokenize_gives(toy: LLM) -> None:
    assert toy.count_tokens("hello") == len(toy.tokenize("hello"))


def test_detokenize_gives_the_text_back(toy: LLM) -> None:
    assert toy.detokenize([256, 104, 105]) == "hi"
    assert toy.detokenize([256, 104], special=True) == "<s>h"


@pytest.mark.parametrize("token", [-1, 260])
def test_detokenize_refuses_an_id_outside_the_vocabulary(toy: LLM, token: int) -> None:
    with pytest.raises(LMStudioValueError, match="expected 0 to 259"):
        toy.detokenize([token])


def test_the_context_length_is_the_loaded_one(make_llm: MakeLLM) -> None:
    assert make_llm(context_length=64).get_context_length() == 64


def test_get_info_tells_the_instance_s_facts(make_llm: MakeLLM) -> None:
    info = make_llm(context_length=64).get_info()
    assert (info.identifier, info.context_length, info.max_context_length) == ("toy", 64, 512)


def test_get_load_config_gives_the_config_of_the_load(make_llm: MakeLLM) -> None:
    assert make_llm(config={"contextLength": 64}).get_load_config().context_length == 64


def test_eval_batch_size_cuts_the_prompt(make_llm: MakeLLM) -> None:
    llm = make_llm(config={"evalBatchSize": 4})
    llm.complete("abcdefghw", config=GREEDY)
    assert model_of(llm).fed[:3] == [4, 4, 2]


def test_the_load_config_s_seed_holds_for_predictions_without_one(make_llm: MakeLLM) -> None:
    one, two = (
        make_llm(config={"seed": 3}).complete("dice", config={"maxTokens": 20}).content
        for _ in range(2)
    )
    assert one == two


def test_apply_prompt_template_gives_the_text_the_model_reads(toy: LLM) -> None:
    assert toy.apply_prompt_template("hi") == (
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_apply_prompt_template_shows_tool_definitions(toy: LLM) -> None:
    tool = {"type": "function", "function": {"name": "add_up"}}
    assert "add_up" in toy.apply_prompt_template("hi", {"tool_definitions": [tool]})


@pytest.mark.parametrize("given", [3, "abc", [1], {3: 4}])
def test_apply_prompt_template_refuses_definitions_that_are_none(toy: LLM, given: object) -> None:
    with pytest.raises(LMStudioValueError, match=r"expected a list of dicts|found no .function."):
        toy.apply_prompt_template("hi", {"toolDefinitions": given})


@pytest.mark.parametrize(
    ("source", "said", "adds_bos", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "hi", False, "hi"),
        ("<s>{{ messages[0].content }}</s>", "hi", True, "hi"),
        ("<s>{{ messages[0].content }}<s>", "hi", False, "<s>hi<s>"),
        ("{{ messages[0].content }}", "<s>hi</s>", True, "<s>hi</s>"),
    ],
    ids=["the variables", "literal ends", "a message's mark", "a message's text"],
)
def test_apply_prompt_template_omits_the_ends_that_the_template_put_there(
    toy: LLM, source: str, said: str, adds_bos: bool, text: str
) -> None:
    model = model_of(toy)
    model.chat_template = ChatTemplate(source, bos="<s>", eos="</s>")
    model.tokenizer.around = ((256,) if adds_bos else (), ())
    omitted = {"omitBosToken": True, "omitEosToken": True}
    assert toy.apply_prompt_template(said, omitted) == text


def test_apply_prompt_template_refuses_unknown_options(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="omitAll"):
        toy.apply_prompt_template("hi", {"omitAll": True})


def test_session_gives_a_session_of_the_model(toy: LLM) -> None:
    with toy.session() as session:
        assert session.feed([256, 97]).argmax() == ord("b")  # type: ignore[union-attr]


def test_handles_of_one_model_are_equal_and_hash_alike(toy: LLM) -> None:
    twin = LLM(toy._instance)
    assert twin == toy
    assert hash(twin) == hash(toy)


def test_a_handle_shows_its_identifier(toy: LLM) -> None:
    assert repr(toy) == str(toy) == "LLM(identifier='toy')"


def test_cpu_threads_hold_for_the_answer_s_session_and_no_other(toy: LLM) -> None:
    toy.respond("hello", config={**GREEDY, "cpuThreads": 1})
    (kept,) = toy._instance.sessions._kept
    assert kept.threads == 1
    toy.respond("hello", config=GREEDY)
    assert toy._instance.sessions._kept[-1].threads is None


def test_more_threads_than_the_load_has_are_noted_once(
    toy: LLM, caplog: pytest.LogCaptureFixture
) -> None:
    note_once.cache_clear()
    with caplog.at_level(logging.INFO, logger="gnomon"):
        for threads in (2, 3, 3):
            toy.respond("hello", config={**GREEDY, "cpuThreads": threads})
    assert [record.message for record in caplog.records] == [
        "prediction config: cpuThreads is 3, but 'toy' was loaded for 2: so many are used"
    ]
