"""Sets of JSON strings: listed, or by languages and length; and the automata of their texts.

A language is named by a key: ("pattern", regex), ("format", name). Automata here read the string
behind its opening quote, closing quote included.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...kernels.grammar import automata
from ...kernels.grammar import opcodes as op
from .dfa import I32, NOTHING, U8, Dfa, tidy
from .errors import MAX_DFA, GrammarError
from .formats import format_language
from .language import any_string, string_language, string_length, text_language

Key = tuple[str, str]

_ESCAPED = (
    r"\\([\"\\/bfnrt]|u([0-9a-cA-CeEfF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
_FREE = rf"([^\"\\\x00-\x1f]|{_ESCAPED})*\""


def language_of(key: Key) -> Dfa:
    """The insides of the strings a key names."""
    kind, text = key
    return string_language(text) if kind == "pattern" else format_language(text)


def inside(text: str) -> bytes:
    """A string as it is written between its quotes; a lone surrogate as its escape."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class StringSet:
    """Strings of `least`..`most` characters in all `languages` and in none of `not_languages`."""

    languages: frozenset[Key] = frozenset()
    not_languages: frozenset[Key] = frozenset()
    least: int = 0
    most: int | None = None
    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    def holds(self, text: str) -> bool:
        """Whether the string is a member."""
        if self.only is not None and text not in self.only:
            return False
        if text in self.never or len(text) < self.least:
            return False
        if self.most is not None and len(text) > self.most:
            return False
        data = inside(text)
        if not all(language_of(key).matches(data) for key in self.languages):
            return False
        return not any(language_of(key).matches(data) for key in self.not_languages)

    def __and__(self, other: "StringSet") -> "StringSet":
        only = self.only if other.only is None else other.only
        if self.only is not None and other.only is not None:
            only = self.only & other.only
        most = self.most if other.most is None else other.most
        if self.most is not None and other.most is not None:
            most = min(self.most, other.most)
        both = StringSet(
            self.languages | other.languages, self.not_languages | other.not_languages,
            max(self.least, other.least), most, only, self.never | other.never,
        )  # fmt: skip
        if only is None:
            return both
        return StringSet(only=frozenset(text for text in only if both.holds(text)))

    def outside(self) -> list["StringSet"]:
        """Sets that together hold every other string."""
        if self.only is not None:
            return [StringSet(never=self.only)]
        parts = [StringSet(not_languages=frozenset((key,))) for key in self.languages]
        parts += [StringSet(languages=frozenset((key,))) for key in self.not_languages]
        if self.least:
            parts.append(StringSet(most=self.least - 1))
        if self.most is not None:
            parts.append(StringSet(least=self.most + 1))
        if self.never:
            parts.append(StringSet(only=self.never))
        return parts

    @property
    def is_empty(self) -> bool:
        """Whether it certainly holds nothing."""
        if self.only is not None:
            return not self.only
        if self.languages & self.not_languages:
            return True
        if self.most is not None and self.most < self.least:
            return True
        if not (self.languages or self.not_languages):
            # `never` lists fewer words than there are characters.
            return self.most == 0 and "" in self.never
        return closed_language(self)[0].is_empty

    @property
    def is_free(self) -> bool:
        """Whether only the length is bounded."""
        return self.only is None and not (self.languages or self.not_languages or self.never)


@lru_cache(maxsize=1)
def free_string() -> tuple[Dfa, I32, I32]:
    """Any string in any spelling, as a counted automaton: (automaton, needs, edges)."""
    dfa = text_language(_FREE)
    edges = dfa.trans.copy()
    quote = int(dfa.classes[34])
    counted = edges[0] >= 0
    edges[0, counted] |= op.EDGE_COUNTS
    edges[0, quote] = dfa.trans[0, quote] | op.EDGE_CLOSES
    return dfa, np.zeros(dfa.states, np.int32), edges


def with_quote(dfa: Dfa) -> Dfa:
    """The language with a closing quote behind every word."""
    groups, states = dfa.trans.shape[1], dfa.states
    if dfa.is_empty:
        return NOTHING
    trans = np.full((states + 1, groups + 1), -1, np.int32)
    trans[:states, :groups] = dfa.trans
    trans[:states, groups] = np.where(dfa.accept != 0, states, dfa.trans[:, dfa.classes[34]])
    classes = dfa.classes.copy()
    classes[34] = groups
    accept = np.zeros(states + 1, np.uint8)
    accept[states] = 1
    return Dfa(trans, accept, classes)


@lru_cache(maxsize=1)
def _any_quoted() -> Dfa:
    return with_quote(any_string())


def without_words(dfa: Dfa, words: Iterable[str]) -> Dfa:
    """A language with closing quotes less some strings."""
    kept = sorted(inside(word) + b'"' for word in words if dfa.matches(inside(word) + b'"'))
    if not kept:
        return dfa
    text = np.frombuffer(b"".join(kept), np.uint8)
    ends = np.cumsum([len(word) for word in kept])
    classes = _part_bytes(dfa.classes, text)
    bound = dfa.states + len(text) + 1
    if bound > MAX_DFA:
        raise GrammarError(f"names of {len(text)} bytes need more than {MAX_DFA} states")
    trans = np.empty((bound, int(classes.max()) + 1), np.int32)
    state_of = np.empty(bound, np.int32)
    states = automata.exclude_words(text, ends, dfa.trans, dfa.classes, classes, trans, state_of)
    if states < 0:
        raise GrammarError("names cannot be taken out of this language")
    return _start_last(trans[:states], dfa.accept[state_of[:states]], classes, dfa.states)


def _start_last(trans: I32, accept: U8, classes: U8, root: int) -> Dfa:
    """Swap states so that `root` comes first."""
    names = np.arange(len(trans), dtype=np.int32)
    names[0], names[root] = root, 0
    trans, accept = trans[names], accept[names]
    # Behind what began nothing but a word taken out there is no way on: `tidy` cuts it.
    return tidy(np.where(trans >= 0, names[trans], -1).astype(np.int32), accept, classes)


def _part_bytes(base: U8, text: U8) -> U8:
    """Byte classes that keep base's and give each byte of the text its own."""
    used = np.zeros(256, np.int32)
    used[np.unique(text)] = 1
    marks = base.astype(np.int32) * 512 + used * (np.arange(256) + 1)
    return np.unique(marks, return_inverse=True)[1].astype(np.uint8)


@lru_cache(maxsize=1024)
def closed_language(strings: StringSet) -> tuple[Dfa, tuple[int, int | None]]:
    """The automaton of a set that is not listed, and the length bounds left to be counted."""
    found: Dfa | None = None
    for key in sorted(strings.languages):
        found = language_of(key) if found is None else found & language_of(key)
    for key in sorted(strings.not_languages):
        found = (found or any_string()) - language_of(key)
    quoted = _any_quoted() if found is None else with_quote(found)
    quoted = without_words(quoted, strings.never) if strings.never else quoted
    least, most = strings.least, strings.most
    return _bounded(quoted, least, most) if least or most is not None else (quoted, (0, None))


def _bounded(quoted: Dfa, least: int, most: int | None) -> tuple[Dfa, tuple[int, int | None]]:
    """Work length bounds into an automaton where counting alone would not be exact."""
    needs, _, steady = lengths(quoted)
    if most is not None and most < needs[0]:
        return NOTHING, (0, None)
    if least <= needs[0]:
        least = 0
    if least and not steady:
        if max(least, most or 0) > 5000:
            raise GrammarError(f"pattern with a length bound of {max(least, most or 0)}")
        return quoted & with_quote(string_length(least, most)), (0, None)
    return quoted, (least, most)


def lengths(dfa: Dfa) -> tuple[I32, I32, bool]:
    """Of a language with closing quotes: characters each state needs, counted edges, and whether
    from every state all greater lengths can be reached too."""
    boundary = _boundaries(dfa)
    quote = int(dfa.classes[34])
    far = 1 << 20
    padded = np.append(np.zeros(dfa.states, np.int64) + far, far)
    padded[:-1][dfa.accept != 0] = 0
    cost = boundary[:, None].astype(np.int64) * (np.arange(dfa.trans.shape[1]) != quote)
    while True:
        best = np.minimum((padded[dfa.trans] + cost).min(axis=1), padded[:-1])
        if (best == padded[:-1]).all():
            break
        padded[:-1] = best
    needs = padded[:-1].astype(np.int32)
    rest = np.append(np.where(boundary, needs, far), far)
    for _ in range(14):
        rest[:-1] = np.where(boundary, needs, rest[dfa.trans].min(axis=1))
    open_edges = rest[dfa.trans].copy()
    open_edges[:, quote] = far
    ends = boundary & (dfa.trans[:, quote] >= 0)
    steady = bool((open_edges.min(axis=1)[ends] == 0).all())
    edges = np.where((cost > 0) & (dfa.trans >= 0), dfa.trans | op.EDGE_COUNTS, dfa.trans)
    closing = dfa.trans[:, quote]
    edges[:, quote] = np.where(boundary & (closing >= 0), closing | op.EDGE_CLOSES, closing)
    return needs, edges.astype(np.int32), steady


def _boundaries(dfa: Dfa) -> NDArray[np.bool_]:
    """Which states stand between two characters."""
    base = _any_quoted()
    first = {int(c): b for b, c in reversed(list(enumerate(_joint(dfa, base))))}
    pairs = [(int(dfa.classes[b]), int(base.classes[b])) for b in first.values()]
    stands = np.full(dfa.states, -1, np.int32)
    stands[0] = 0
    stack = [0]
    while stack:
        state = stack.pop()
        for mine, theirs in pairs:
            to = int(dfa.trans[state, mine])
            if to >= 0 and stands[to] < 0:
                stands[to] = base.trans[stands[state], theirs]
                stack.append(to)
    between: NDArray[np.bool_] = stands == 0
    return between


def _joint(a: Dfa, b: Dfa) -> list[int]:
    marks = a.classes.astype(np.int32) * 256 + b.classes
    return [int(c) for c in np.unique(marks, return_inverse=True)[1]]
