"""Render a conversation by the chat template in a GGUF file (`tokenizer.chat_template`, Jinja).

The output is what transformers gives for the same template, in segments that are the template's own
text or not: control tokens count in the former only, so no message can speak for another role. A
template that is wrong, refuses the messages or costs too much raises TemplateError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from .errors import TemplateError, shown

if TYPE_CHECKING:
    from jinja2 import Template

    from .template_sandbox import ChatEnvironment

# Characters; the longest templates known have some 20,000.
MAX_SOURCE: Final = 1 << 18
SHOWN_REASON: Final = 300


@dataclass(frozen=True)
class Rendered:
    """A rendered conversation: `text`, and the same cut in (text, whether the template's own)."""

    text: str
    segments: list[tuple[str, bool]]


class ChatTemplate:
    """A chat template, compiled when it is first rendered. Threads may share it.

    `bos` and `eos` are the texts of the vocabulary's begin and end tokens, or empty.
    """

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        if len(source) > MAX_SOURCE:
            raise TemplateError(
                f"chat template: found {len(source)} characters, expected at most {MAX_SOURCE}"
            )
        self.source = source
        self._bos = bos
        self._eos = eos
        self._template: Template | None = None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> Rendered:
        """The prompt for these messages; `variables` are others that a template may ask for.

        A role that is one word counts as the template's own text: some templates make control
        tokens of it.
        """
        from .template_budget import metered
        from .template_text import own

        given = {
            "documents": None,
            **variables,
            "messages": [_with_own_role(message) for message in messages],
            "tools": tools,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": own(self._bos),
            "eos_token": own(self._eos),
        }
        try:
            if self._template is None:
                self._template = _environment().compile_chat(self.source)
            with metered():
                context = self._template.new_context(given)
                text = self._template.environment.concat(self._template.root_render_func(context))
        except Exception as error:
            raise TemplateError(f"chat template: {_reason(error)}") from error
        return Rendered(str.__str__(text), _segments(text))


@cache
def _environment() -> "ChatEnvironment":
    from .template_sandbox import ChatEnvironment

    return ChatEnvironment()


def _with_own_role(message: Mapping[str, Any]) -> Mapping[str, Any]:
    from .template_text import own

    if not isinstance(message, Mapping):
        raise TemplateError(f"chat message: found {shown(message)}, expected a mapping")
    role = message.get("role")
    if isinstance(role, str) and role.isidentifier():
        return {**message, "role": own(role)}
    return message


def _segments(text: str) -> list[tuple[str, bool]]:
    """Cut a text at the ends of its spans."""
    from .template_text import spans_of

    plain = str.__str__(text)
    segments = []
    end = 0
    for start, stop in spans_of(text):
        segments += [(plain[end:start], False), (plain[start:stop], True)]
        end = stop
    segments.append((plain[end:], False))
    return [segment for segment in segments if segment[0]]


def _reason(error: Exception) -> str:
    """What is wrong, with its line if it is known; not longer than an error message should be."""
    text = str(error) or type(error).__name__
    if isinstance(error, RecursionError):
        text = "it is nested too deeply"
    line = getattr(error, "lineno", None)
    reason = f"line {line}: {text}" if line else text
    return reason if len(reason) <= SHOWN_REASON else f"{reason[:SHOWN_REASON]}..."
