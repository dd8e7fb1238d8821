"""Labeller: pieces of text become fragments, without tool calls, reasoning told from the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .results import LlmPredictionFragment, ReasoningType
from .tags import Kind, Part, TagSplitter

REASONING_TYPES: dict[Kind, ReasoningType] = {
    "outside": "none",
    "start": "reasoningStartTag",
    "inside": "reasoning",
    "end": "reasoningEndTag",
}
TOOL_TAGS = {"[TOOL_REQUEST]": "[END_TOOL_REQUEST]", "<tool_call>": "</tool_call>"}


class Labeller:
    """Push pieces, take fragments; `tool_calls` holds the text between each pair of tool tags.

    The last of them may be unfinished, if the answer ended inside.
    """

    def __init__(
        self, reasoning_tags: Mapping[str, str], open_tag: str | None, *, expects_tools: bool
    ) -> None:
        self._tools = TagSplitter(TOOL_TAGS if expects_tools else {})
        self._reasoning = TagSplitter(reasoning_tags, open_tag)
        self._tokens = 0
        self._drafted = False
        self.tool_calls: list[str] = []

    def push(
        self, text: str, tokens: int, drafted: bool = False
    ) -> Iterator[LlmPredictionFragment]:
        """Take a piece, its tokens, whether one was drafted; yield what can be shown."""
        self._tokens += tokens
        self._drafted |= drafted
        yield from self._answer(self._tools.push(text))

    def flush(self) -> Iterator[LlmPredictionFragment]:
        """Yield what was held back: the answer is over."""
        yield from self._answer(self._tools.flush())
        yield from self._fragments(self._reasoning.flush())

    def _answer(self, parts: Iterable[Part]) -> Iterator[LlmPredictionFragment]:
        for kind, text in parts:
            if kind == "outside":
                yield from self._fragments(self._reasoning.push(text))
            elif kind == "start":
                self.tool_calls.append("")
            elif kind == "inside":
                self.tool_calls[-1] += text

    def _fragments(self, parts: Iterable[Part]) -> Iterator[LlmPredictionFragment]:
        for kind, text in parts:
            fragment = LlmPredictionFragment(
                content=text,
                tokens_count=self._tokens,
                contains_drafted=self._drafted,
                reasoning_type=REASONING_TYPES[kind],
            )
            self._tokens, self._drafted = 0, False
            yield fragment
