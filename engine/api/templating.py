"""Prompts: which template renders a chat, what it tells of the answer, and what must be kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...formats.errors import TemplateError
from ..errors import LMStudioPredictionError, LMStudioValueError
from ..prefix import shared_length
from .chat import Chat
from .config import LlmPredictionConfig
from .prediction import Prompt
from .prompt import ManualTemplate, PlainTemplate, RenderedLike, TemplateLike, template_messages
from .texts import text_errors
from .tools import default_format

if TYPE_CHECKING:
    from ...formats.chat_template import ChatTemplate
    from ..model import Model

THINK_TAGS = {"<think>": "</think>"}
Messages = list[dict[str, Any]]
Tools = list[dict[str, Any]] | None


def chat_prompt(model: Model, chat: Chat, config: LlmPredictionConfig, tools: Tools) -> Prompt:
    """Render and tokenize a chat for an answer."""
    template = choose_template(model, config)
    messages = template_messages(chat)
    rendered = render(template, messages, tools)
    with text_errors():
        ids = model.tokenizer.encode_segments(rendered.segments)
    if model.arch.source is not None:
        ids += model.tokenizer.around[1]  # a source is whole: no answer follows in it
    tags = reasoning_tags(model, config)
    own_stops = (config.prompt_template or {}).get("stopStrings", ())
    return Prompt(
        ids=ids,
        keep=_keep(model, template, messages, tools, ids, config),
        stop_strings=tuple(own_stops),
        reasoning_tags=tags,
        open_tag=next((tag for tag in tags if rendered.text.rstrip().endswith(tag)), None),
    )


def text_prompt(model: Model, text: str, config: LlmPredictionConfig) -> Prompt:
    """Tokenize a text to continue; control tokens written in it are read as such."""
    with text_errors():
        ids = model.tokenizer.encode(text, add_special=True, parse_special=True)
    keep = len(ids) if config.context_overflow_policy == "truncateMiddle" else _bos(model, ids)
    return Prompt(ids=ids, keep=keep, reasoning_tags=reasoning_tags(model, config))


def choose_template(model: Model, config: LlmPredictionConfig) -> TemplateLike:
    """The config's template, else the file's; without any, an error that says what to do."""
    chosen = config.prompt_template
    if chosen is None:
        return _own_template(model)
    if chosen.get("type") == "jinja":
        return _jinja(model, chosen.get("jinjaPromptTemplate", {}).get("template"))
    if chosen.get("type") == "manual" and chosen.get("manualPromptTemplate"):
        return ManualTemplate(chosen["manualPromptTemplate"])
    raise LMStudioValueError(
        "prediction config: promptTemplate needs type 'jinja' with jinjaPromptTemplate.template, "
        f"or 'manual' with manualPromptTemplate, found {chosen!r}"
    )


def chat_text(model: Model, messages: Messages, tools: Tools, omitted: Sequence[str] = ()) -> str:
    """The file's own template applied to messages, as text.

    Without the `omitted` ends, "bos" or "eos", if the template put them there.
    """
    template = choose_template(model, LlmPredictionConfig())
    segments = render(template, messages, tools).segments
    # What begins each message may be the token, too: it stays where nobody asks for a begin token.
    begins = model.tokenizer.around[0] or "bos_token" in getattr(template, "source", "")
    if "bos" in omitted and begins and segments and segments[0][1]:
        segments[0] = segments[0][0].removeprefix(_token_text(model, "bos")), True
    if "eos" in omitted and segments and segments[-1][1]:
        segments[-1] = segments[-1][0].removesuffix(_token_text(model, "eos")), True
    return "".join(text for text, _ in segments)


def render(
    template: TemplateLike, messages: Messages, tools: Tools, *, for_answer: bool = True
) -> RenderedLike:
    """Render; what the template itself refuses is a prediction error."""
    if "tools" not in getattr(template, "source", ""):
        messages, tools = default_format(messages, tools), None
    try:
        return template.render(messages, tools=tools, add_generation_prompt=for_answer)
    except TemplateError as error:
        raise LMStudioPredictionError(f"the chat template failed: {error}") from error


def reasoning_tags(model: Model, config: LlmPredictionConfig) -> dict[str, str]:
    """Opening tag -> closing tag: the config's, else <think> if the file's template knows it."""
    chosen = config.reasoning_parsing
    if chosen is None:
        source = str(model.metadata.get("tokenizer.chat_template", ""))
        return THINK_TAGS if all(tag in source for tag in ("<think>", "</think>")) else {}
    if not chosen.get("enabled"):
        return {}
    start, end = chosen.get("startString"), chosen.get("endString")
    if not start or not end:
        raise LMStudioValueError(
            f"prediction config: reasoningParsing needs startString and endString, found {chosen!r}"
        )
    return {start: end}


def _own_template(model: Model) -> TemplateLike:
    try:
        own: TemplateLike | None = model.chat_template
    except TemplateError as error:
        raise LMStudioPredictionError(f"the file's chat template: {error}") from error
    if own is not None:
        return own
    if model.arch.source is not None:
        return PlainTemplate()
    raise LMStudioPredictionError(
        "this model file has no chat template: use complete() with a plain text, or set "
        "promptTemplate in the config"
    )


def _jinja(model: Model, source: str | None) -> ChatTemplate:
    from ...formats.chat_template import ChatTemplate

    if not source:
        raise LMStudioValueError(
            "prediction config: promptTemplate of type 'jinja' needs jinjaPromptTemplate.template"
        )
    try:
        return ChatTemplate(source, bos=_token_text(model, "bos"), eos=_token_text(model, "eos"))
    except TemplateError as error:
        raise LMStudioValueError(f"prediction config: promptTemplate: {error}") from error


def _token_text(model: Model, name: str) -> str:
    token = getattr(model.tokenizer, name)
    return "" if token is None else model.tokenizer.token_text(token)


def _keep(
    model: Model,
    template: TemplateLike,
    messages: Messages,
    tools: Tools,
    ids: Sequence[int],
    config: LlmPredictionConfig,
) -> int:
    """How many leading ids survive a full context: system prompt and first user message."""
    users = [at for at, message in enumerate(messages) if message["role"] == "user"]
    if config.context_overflow_policy != "truncateMiddle" or not users:
        return _bos(model, ids)
    head = render(template, messages[: users[0] + 1], tools, for_answer=False)
    return shared_length(model.tokenizer.encode_segments(head.segments), ids)


def _bos(model: Model, ids: Sequence[int]) -> int:
    return int(len(ids) > 0 and ids[0] == model.tokenizer.bos)
