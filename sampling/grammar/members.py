"""Which names an object may have, and what each name's value must be."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from .dfa import NOTHING, Dfa
from .errors import GrammarError
from .language import any_string, string_language, string_length, string_whole
from .regex import Chars, Choice, Sequence
from .shapes import ANY, NONE, Exists, ObjectSet, Scope
from .strings import StringSet, inside, language_of, with_quote, without_words

if TYPE_CHECKING:
    from .algebra import Algebra

MAX_PATTERNS = 10


def value_of(algebra: "Algebra", scope: Scope, name: str) -> int:
    """The node one scope asks of the value under a name."""
    known = named(scope).get(name)
    if not scope.patterns:
        return scope.rest if known is None else known
    parts = [] if known is None else [known]
    data = inside(name)
    parts += [node for pattern, node in scope.patterns if string_language(pattern).matches(data)]
    return algebra.all_of(parts) if parts else scope.rest


@lru_cache(maxsize=4096)
def named(scope: Scope) -> dict[str, int]:
    """The scope's nodes by name."""
    return dict(scope.named)


def name_allowed(algebra: "Algebra", objects: ObjectSet, name: str) -> bool:
    """Whether `propertyNames` lets a name be."""
    if objects.names == ANY:
        return True
    return any(strings.holds(name) for strings in algebra.shape(objects.names).strings)


def meets(algebra: "Algebra", one: Exists, name: str) -> bool:
    """Whether a member of this name could be the one `one` asks for."""
    data = inside(name)
    if one.name != ANY:
        return any(strings.holds(name) for strings in algebra.shape(one.name).strings)
    if one.pattern is not None:
        return string_language(one.pattern).matches(data)
    if name in one.names:
        return False
    return not any(string_language(pattern).matches(data) for pattern in one.patterns)


def known_names(objects: ObjectSet) -> list[str]:
    """Names the sets speak of, as declared; required ones without a property come last."""
    names: dict[str, None] = {}
    for scope in objects.scopes:
        names.update(dict.fromkeys(name for name, _ in scope.named))
    names.update(dict.fromkeys(objects.required))
    for one in objects.exists:
        names.update(dict.fromkeys(sorted(one.names)))
    return list(names)


@dataclass(frozen=True, slots=True)
class NameClass:
    """Names the sets do not know one by one: their automaton (closing quote included), their
    values' node, and which of the object's `exists` such a member can satisfy (by number)."""

    names: Dfa
    node: int
    claims: tuple[int, ...]


def name_classes(algebra: "Algebra", objects: ObjectSet, known: list[str]) -> Iterator[NameClass]:
    """The classes of all further names: by which patterns they match."""
    exists = sorted(objects.exists, key=repr)
    patterns = list(dict.fromkeys(p for scope in objects.scopes for p, _ in scope.patterns))
    for one in exists:
        asked = {*one.patterns, *([one.pattern] if one.pattern is not None else [])}
        patterns += [pattern for pattern in sorted(asked) if pattern not in patterns]
    if len(patterns) > MAX_PATTERNS:
        raise GrammarError(f"{len(patterns)} patterns for names, at most {MAX_PATTERNS}")
    for language, matched in _by_patterns(algebra, objects, patterns):
        node = algebra.all_of(_class_value(algebra, s, matched) for s in objects.scopes)
        if node == NONE:
            continue
        left = without_words(with_quote(language), known)
        if left.is_empty:
            continue
        claims = [i for i, one in enumerate(exists) if _class_meets(one, matched)]
        named = [i for i, one in enumerate(exists) if one.name != ANY]
        if not named:
            yield NameClass(left, node, tuple(claims))
            continue
        yield from _by_names(algebra, exists, named, left, node, claims)


def _by_names(
    algebra: "Algebra",
    exists: list[Exists],
    named: list[int],
    left: Dfa,
    node: int,
    claims: list[int],
) -> Iterator[NameClass]:
    """Part a class by which `exists` ask for its names."""
    for inside_of in product((False, True), repeat=len(named)):
        part: Dfa = left
        for i, is_in in zip(named, inside_of, strict=True):
            language = with_quote(names_language(algebra, exists[i].name))
            part = part & language if is_in else part - language
        if not part.is_empty:
            more = [i for i, is_in in zip(named, inside_of, strict=True) if is_in]
            yield NameClass(part, node, (*claims, *more))


def names_language(algebra: "Algebra", node: int) -> Dfa:
    """The insides of all strings of a node."""
    found: Dfa | None = None
    for strings in algebra.shape(node).strings:
        part = _inner(strings)
        found = part if found is None else found | part
    return NOTHING if found is None else found


def _listed(words: frozenset[str]) -> Dfa:
    spelled = [Sequence(tuple(Chars(((ord(c), ord(c)),)) for c in word)) for word in sorted(words)]
    return string_whole(Choice(tuple(spelled)))


def _inner(strings: StringSet) -> Dfa:
    if strings.only is not None:
        return _listed(strings.only)
    found = any_string()
    if strings.never:
        found = found - _listed(strings.never)
    for key in strings.languages:
        found = found & language_of(key)
    for key in strings.not_languages:
        found = found - language_of(key)
    if strings.least or strings.most is not None:
        if max(strings.least, strings.most or 0) > 1000:
            raise GrammarError("names with a length bound beyond 1000")
        found = found & string_length(strings.least, strings.most)
    return found


def _by_patterns(
    algebra: "Algebra", objects: ObjectSet, patterns: list[str]
) -> Iterator[tuple[Dfa, frozenset[str]]]:
    base = any_string() if objects.names == ANY else names_language(algebra, objects.names)
    classes = [(base, frozenset[str]())]
    for pattern in patterns:
        language = string_language(pattern)
        parted = []
        for names, matched in classes:
            with_it, without = names & language, names - language
            parted += [] if with_it.is_empty else [(with_it, matched | {pattern})]
            parted += [] if without.is_empty else [(without, matched)]
        classes = parted
    yield from classes


def _class_value(algebra: "Algebra", scope: Scope, matched: frozenset[str]) -> int:
    parts = [node for pattern, node in scope.patterns if pattern in matched]
    return algebra.all_of(parts) if parts else scope.rest


def _class_meets(one: Exists, matched: frozenset[str]) -> bool:
    if one.name != ANY:
        return False
    if one.pattern is not None:
        return one.pattern in matched
    return not (one.patterns & matched)
