"""Tokens that are more than text: which they are, which end a generation, where a text has them.

The texts are those by which llama.cpp (src/llama-vocab.cpp) recognises tokens that their file does
not describe. Where two special tokens overlap in a text, the one that starts first wins, then the
longer one (llama.cpp: the longest first; no known vocabulary can tell the difference).
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import TokenizerError

I8 = NDArray[np.int8]
# Start and end of a stretch of text, in characters.
Span = tuple[int, int]


class Kind(IntEnum):
    """`tokenizer.ggml.token_type`."""

    UNDEFINED = 0
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


END_TEXTS: Final = (
    *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>"),
    *("<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]"),
    *("<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "[e~["),
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)
# Fill-in-the-middle tokens under the names of their metadata keys; the first text found is the one.
FIM_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "fim_pre": (
        *("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uff5cfim\u2581begin\uff5c>"),
        *("<PRE>", "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>"),
    ),
    "fim_suf": (
        *("<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uff5cfim\u2581hole\uff5c>"),
        *("<SUF>", "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>"),
    ),
    "fim_mid": (
        *("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uff5cfim\u2581end\uff5c>"),
        *("<MID>", "\u2581<MID>", "<|code_middle|>", "<|middle|>"),
    ),
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}
# gpt-oss writes these into its answers, where they are text.
CHANNEL_TEXTS: Final = ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>")

# Characters; a limit keeps the search linear in the text.
MAX_SPECIAL: Final = 1000
_SPACES: Final = " \t\n\v\f\r"


def end_of_generation(
    ids: Mapping[str, int], kinds: I8, named: Mapping[str, int | None]
) -> frozenset[int]:
    """The ids that end a generation; `kinds` is corrected in place where a text tells better.

    `ids` gives the id of a text; `named` the ids that the metadata name: eos, eot, eom, fim_pre,
    fim_suf, fim_mid, fim_pad, fim_rep, fim_sep, None for each that it does not.
    """
    fim = {name: named[name] for name in FIM_TEXTS}
    for name, texts in FIM_TEXTS.items():
        found = next((ids[text] for text in texts if text in ids), None)
        if fim[name] is None and found is not None:
            fim[name] = found
            kinds[found] = Kind.CONTROL
    ends = {fim["fim_pad"], fim["fim_rep"], fim["fim_sep"]}
    for text in END_TEXTS:
        if text in ids:
            ends.add(ids[text])
            kinds[ids[text]] = Kind.CONTROL
    for text in CHANNEL_TEXTS:
        if text in ids:
            kinds[ids[text]] = Kind.USER_DEFINED
    ends |= {named["eos"], named["eot"], named["eom"]}
    ends -= _harmless(ids, kinds, ends)
    return frozenset(id for id in ends if id is not None)


def _harmless(ids: Mapping[str, int], kinds: I8, ends: set[int | None]) -> set[int]:
    """Ids of end texts that other tokens show to end something smaller, or nothing, here."""

    def ending(*texts: str) -> bool:
        return any(ids.get(text, -1) in ends for text in texts)

    harmless = set()
    if ending("<|end|>") and ending("<|call|>", "<|calls|>") and ending("<|return|>", "<|flush|>"):
        harmless.add(ids["<|end|>"])
        kinds[ids["<|end|>"]] = Kind.USER_DEFINED
    if ending("</s>") and ending("<|tool_response>", "<|plamo:eos|>"):
        harmless.add(ids["</s>"])
        kinds[ids["</s>"]] = Kind.NORMAL
    return harmless


class SpecialTokens:
    """Cuts a text at its special tokens.

    User-defined tokens are always found; control and unknown ones only inside trusted text.
    `lstrip` and `rstrip` are ids that swallow the spaces before or after them.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        kinds: I8,
        lstrip: frozenset[int] = frozenset(),
        rstrip: frozenset[int] = frozenset(),
    ) -> None:
        user_defined = np.flatnonzero(kinds == Kind.USER_DEFINED).tolist()
        controls = np.flatnonzero(np.isin(kinds, (Kind.CONTROL, Kind.UNKNOWN))).tolist()
        self._user_defined = _Finder(tokens, user_defined, ())
        self._all = _Finder(tokens, user_defined, controls)
        self._lstrip = lstrip
        self._rstrip = rstrip

    def cut(self, text: str, trusted: Sequence[Span]) -> Iterator[str | int]:
        """Yield the special tokens' ids and the texts between them, none empty, in order.

        `trusted` are the spans in which control tokens count, ascending and not touching.
        """
        finder = self._all if trusted else self._user_defined
        start = 0
        while found := finder.next(text, start, trusted):
            at, end, id = found
            before = text[start:at]
            if id in self._lstrip:
                before = before.rstrip(_SPACES)
            if before:
                yield before
            yield id
            start = end
            while id in self._rstrip and text[start : start + 1] in _SPACES and start < len(text):
                start += 1
        if start < len(text):
            yield text[start:]


class _Finder:
    """Finds the first of a set of texts: by a first character, then by the lengths that follow."""

    def __init__(
        self, tokens: Sequence[str], user_defined: Iterable[int], controls: Iterable[int]
    ) -> None:
        self._controls = frozenset(controls)
        self._ids = {tokens[id]: id for id in (*user_defined, *self._controls)}
        longest = max(map(len, self._ids), default=0)
        if longest > MAX_SPECIAL:
            raise TokenizerError(
                f"tokenizer.ggml.tokens: found a special one of {longest} characters, expected at "
                f"most {MAX_SPECIAL}"
            )
        lengths: dict[str, set[int]] = {}
        for text in self._ids:
            lengths.setdefault(text[:2], set()).add(len(text))
        self._lengths = {head: sorted(found, reverse=True) for head, found in lengths.items()}
        heads = "".join(sorted({text[0] for text in self._ids}))
        self._head = re.compile(f"[{re.escape(heads)}]" if heads else r"(?!)")

    def next(self, text: str, start: int, trusted: Sequence[Span]) -> tuple[int, int, int] | None:
        """Start, end and id of the first token at or after `start`."""
        for match in self._head.finditer(text, start):
            at = match.start()
            for head in (text[at : at + 2], text[at]):
                for length in self._lengths.get(head, ()):
                    token = text[at : at + length]
                    id = self._ids.get(token)
                    if id is not None and self._counts(id, at, at + len(token), trusted):
                        return at, at + len(token), id
        return None

    def _counts(self, id: int, at: int, end: int, trusted: Sequence[Span]) -> bool:
        if id not in self._controls:
            return True
        index = bisect_right(trusted, at, key=lambda span: span[0]) - 1
        return index >= 0 and end <= trusted[index][1]
