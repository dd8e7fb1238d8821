"""LLM: the handle of a loaded language model, with LM Studio's methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import LMStudioPresetNotFoundError, LMStudioValueError
from .act import Act, ActOptions
from .chat import Chat, ChatInput
from .config import LlmPredictionConfig, parse_prediction_config
from .handle import SyncModelHandle
from .options import CallOptions, PredictionOptions
from .prediction import MakePrompt, Prediction, Prompt
from .prompt import template_messages
from .results import ActResult, PredictionResult
from .stream import PredictionStream
from .structs import camel_keys
from .structured import structured_setting
from .templating import chat_prompt, chat_text, text_prompt
from .texts import checked_text, text_errors
from .tools import ToolDefinition, checked_definitions, raw_tools

if TYPE_CHECKING:
    from ..session import Session


class LLM(SyncModelHandle):
    """A loaded language model: `gnomon.llm("smollm2-135m-instruct").respond("Hi")`.

    Any number of threads may call one handle; each call has a session of its own. Predictions take
    the options `response_format`, `config`, `preset` and the callbacks `on_message`,
    `on_first_token`, `on_prediction_fragment`, `on_prompt_processing_progress`.
    """

    def respond(self, history: ChatInput, **options: Unpack[PredictionOptions]) -> PredictionResult:
        """Answer a chat, a dict with `messages`, or a user's text."""
        return self.respond_stream(history, **options).wait_for_result()

    def respond_stream(
        self, history: ChatInput, **options: Unpack[PredictionOptions]
    ) -> PredictionStream:
        """Answer like `respond`, piece by piece: iterate what this returns."""
        call = CallOptions(**options)
        tools = raw_tools(parse_prediction_config(call.config))
        return self._answer(Chat.from_history(history), tools, call)

    def complete(self, prompt: str, **options: Unpack[PredictionOptions]) -> PredictionResult:
        """Continue a text, without any template."""
        return self.complete_stream(prompt, **options).wait_for_result()

    def complete_stream(
        self, prompt: str, **options: Unpack[PredictionOptions]
    ) -> PredictionStream:
        """Continue a text like `complete`, piece by piece: iterate what this returns."""
        text = checked_text(prompt, "complete")
        model = self._instance.model

        def make_prompt(config: LlmPredictionConfig) -> Prompt:
            return text_prompt(model, text, config)

        return self._stream(make_prompt, CallOptions(**options))

    def act(
        self,
        chat: ChatInput,
        tools: Iterable[ToolDefinition],
        **options: Unpack[ActOptions],
    ) -> ActResult:
        """Answer with the help of tools: Python functions the model may call, round by round.

        The chat given is not changed: pass `on_message=chat.append` to extend it. Options:
        `config`, `max_prediction_rounds` (the last round offers no tools),
        `max_parallel_tool_calls`, `handle_invalid_tool_request`, and callbacks that take the
        round's number last.
        """
        return Act(**options).run(self._open_round, Chat.from_history(chat), tools)

    def apply_prompt_template(
        self, history: ChatInput, opts: Mapping[str, Any] | None = None
    ) -> str:
        """The text that the model reads for a chat.

        `opts`: `omitBosToken` and `omitEosToken` leave them off at the ends, `toolDefinitions`.
        """
        options = camel_keys(opts or {})
        if unknown := options.keys() - {"omitBosToken", "omitEosToken", "toolDefinitions"}:
            raise LMStudioValueError(
                f"apply_prompt_template: unknown options {sorted(unknown)}, expected omitBosToken, "
                "omitEosToken, toolDefinitions"
            )
        tools = checked_definitions(
            options.get("toolDefinitions"), "apply_prompt_template: toolDefinitions"
        )
        messages = template_messages(Chat.from_history(history))
        with self._instance.in_use() as model:
            omitted = [name for name in ("bos", "eos") if options.get(f"omit{name.title()}Token")]
            return chat_text(model, messages, tools, omitted)

    def session(self, context_length: int | None = None) -> Session:
        """A session of your own: feed ids, read logits, rewind, fork. Close it, or use `with`."""
        with self._instance.in_use() as model:
            session: Session = model.session(context_length)
            return session

    def _open_round(
        self, chat: Chat, offered: list[dict[str, Any]] | None, call: CallOptions
    ) -> PredictionStream:
        """One round of `act`; the chat must not change afterwards."""
        return self._answer(chat, offered, call, expects_tools=True)

    def _answer(
        self,
        chat: Chat,
        tools: list[dict[str, Any]] | None,
        call: CallOptions,
        *,
        expects_tools: bool = False,
    ) -> PredictionStream:
        model = self._instance.model

        def make_prompt(config: LlmPredictionConfig) -> Prompt:
            return chat_prompt(model, chat, config, tools)

        return self._stream(make_prompt, call, expects_tools=expects_tools)

    def _stream(
        self, make_prompt: MakePrompt, call: CallOptions, *, expects_tools: bool = False
    ) -> PredictionStream:
        if call.preset is not None:
            raise LMStudioPresetNotFoundError(
                f"no preset {call.preset!r}: presets belong to the LM Studio app, use config"
            )
        config = parse_prediction_config(call.config)
        structured = structured_setting(call.response_format, config.structured)
        with self._instance.in_use(), text_errors():
            prediction = Prediction(
                self._instance, make_prompt, config, structured, expects_tools=expects_tools
            )
        return PredictionStream(prediction, call)
