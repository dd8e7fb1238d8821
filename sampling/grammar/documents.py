"""Schema documents: where `$id`, anchors and references lead, and in which dialect a part speaks.

A place is a schema object with its base URI, JSON pointer, dialect and, where dynamic references
occur, the resources entered on the way. Nothing is fetched: `remotes` holds all other documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from .digits import decimal
from .errors import GrammarError

DRAFTS = {"draft-04": 4, "draft-06": 6, "draft-07": 7, "2019-09": 2019, "2020-12": 2020}
UNDECLARED = 2021  # no `$schema`, or an unknown one: the keywords of every draft are read
_KNOWN = {  # keyword: the first and the last draft that know it; all others are in every draft
    "additionalItems": (4, 2019),
    "const": (6, 2020),
    "contains": (6, 2020),
    "dependencies": (4, 7),
    "dependentRequired": (2019, 2020),
    "dependentSchemas": (2019, 2020),
    "if": (7, 2020),
    "maxContains": (2019, 2020),
    "minContains": (2019, 2020),
    "prefixItems": (2020, 2020),
    "propertyNames": (6, 2020),
    "unevaluatedItems": (2019, 2020),
    "unevaluatedProperties": (2019, 2020),
    "$dynamicRef": (2020, 2020),
    "$recursiveRef": (2019, 2019),
}
_DATA = frozenset({"enum", "const", "default", "examples"})
_DYNAMIC = frozenset({"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"})
MAX_PARTS = 400_000


@dataclass(frozen=True, slots=True)
class Place:
    """One schema and all that its meaning depends on."""

    schema: Any
    base: str
    pointer: str
    dialect: int
    scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    schema: Any
    base: str
    pointer: str
    dialect: int


class Documents:
    """The index of one root schema and its remote documents."""

    def __init__(self, schema: Any, remotes: Mapping[str, Any] | None = None) -> None:
        self._remotes = dict(remotes or {})
        self._resources: dict[str, _Part] = {}
        self._anchors: dict[tuple[str, str], _Part] = {}
        self._dynamic: dict[tuple[str, str], _Part] = {}
        self._parts: dict[int, _Part] = {}
        self._count = 0
        self.notes: list[str] = []
        self.is_dynamic = False
        self._index(schema, "", "", UNDECLARED, True)
        root = self._parts.get(id(schema)) or _Part(schema, "", "", UNDECLARED)
        self.root = self._place(root, ())

    def _index(self, schema: Any, base: str, pointer: str, dialect: int, is_root: bool) -> None:
        stack = [(schema, base, pointer, dialect, is_root)]
        while stack:
            part, base, pointer, dialect, is_root = stack.pop()
            self._count += 1
            if self._count > MAX_PARTS:
                raise GrammarError(f"schema has more than {MAX_PARTS} parts", pointer="")
            if isinstance(part, list):
                stack += [
                    (item, base, f"{pointer}/{i}", dialect, False)
                    for i, item in enumerate(part)
                    if isinstance(item, dict | list)
                ]
            if not isinstance(part, dict) or id(part) in self._parts:
                continue
            base, dialect = self._enter(part, base, pointer, dialect, is_root)
            stack += [
                (value, base, f"{pointer}/{_escape(key)}", dialect, False)
                for key, value in part.items()
                if isinstance(value, dict | list) and key not in _DATA
            ]

    def _enter(
        self, part: dict[str, Any], base: str, pointer: str, dialect: int, is_root: bool
    ) -> tuple[str, int]:
        """File one schema object; its base URI and dialect."""
        dialect = self._dialect(part, dialect)
        key = "id" if dialect == 4 else "$id"
        own = part.get(key)
        if isinstance(part.get("$ref"), str) and dialect <= 7:
            own = None
        starts = is_root
        if isinstance(own, str):
            target, fragment = urldefrag(_join(base, own))
            if own.startswith("#"):
                self._anchors[base, own[1:]] = _Part(part, base, pointer, dialect)
            elif not fragment or own.endswith("#"):
                base, starts = target, True
        filed = _Part(part, base, pointer, dialect)
        self._parts[id(part)] = filed
        if starts:
            self._resources.setdefault(base, filed)
        if isinstance(part.get("$anchor"), str):
            self._anchors[base, part["$anchor"]] = filed
        if isinstance(part.get("$dynamicAnchor"), str):
            self._anchors[base, part["$dynamicAnchor"]] = filed
            self._dynamic[base, part["$dynamicAnchor"]] = filed
        if part.get("$recursiveAnchor") is True and starts:
            self._dynamic[base, ""] = filed
        self.is_dynamic |= not part.keys().isdisjoint(_DYNAMIC)
        return base, dialect

    def _dialect(self, part: dict[str, Any], dialect: int) -> int:
        uri = part.get("$schema")
        if not isinstance(uri, str):
            return dialect
        for mark, number in DRAFTS.items():
            if mark in uri and "json-schema.org" in uri:
                return number
        meta = self._remotes.get(uri.rstrip("#"))
        if isinstance(meta, dict) and not _validates(meta.get("$vocabulary", {})):
            raise GrammarError(f"meta-schema {uri!r} is not supported", pointer="/$schema")
        self.notes.append(f"$schema {uri!r} is unknown: the keywords of every draft are read")
        return UNDECLARED

    def _place(self, part: _Part, scope: tuple[str, ...]) -> Place:
        if self.is_dynamic and part.base not in scope:
            scope = (*scope, part.base)
        return Place(part.schema, part.base, part.pointer, part.dialect, scope)

    def child(self, place: Place, schema: Any, *steps: str) -> Place:
        """The place of a subschema reached by keyword and name."""
        part = self._parts.get(id(schema)) if isinstance(schema, dict) else None
        if part is None:
            pointer = place.pointer + "".join("/" + _escape(step) for step in steps)
            return Place(schema, place.base, pointer, place.dialect, place.scope)
        return self._place(part, place.scope)

    def refer(self, place: Place, reference: str) -> Place:
        """Where `$ref` leads; GrammarError with the pointer of the reference if nowhere."""
        part, _ = self._resolve(place, reference)
        return self._place(part, place.scope)

    def refer_dynamic(self, place: Place, reference: str) -> Place:
        """Where `$dynamicRef` leads: the outermost resource entered that has the dynamic anchor."""
        part, anchor = self._resolve(place, reference)
        if (part.base, anchor) in self._dynamic and self._dynamic[part.base, anchor] is part:
            for base in place.scope:
                if (base, anchor) in self._dynamic:
                    return self._place(self._dynamic[base, anchor], place.scope)
        return self._place(part, place.scope)

    def refer_recursive(self, place: Place) -> Place:
        """Where `$recursiveRef: "#"` leads."""
        part, _ = self._resolve(place, "#")
        if (part.base, "") in self._dynamic:
            for base in place.scope:
                if (base, "") not in self._dynamic:
                    continue
                return self._place(self._dynamic[base, ""], place.scope)
        return self._place(part, place.scope)

    def _resolve(self, place: Place, reference: str) -> tuple[_Part, str]:
        uri, fragment = urldefrag(_join(place.base, reference))
        fragment = unquote(fragment)
        resource = self._resources.get(uri) or self._load(uri, place.dialect)
        if resource is None:
            raise GrammarError(f"$ref {reference!r} leads outside", pointer=place.pointer)
        if not fragment:
            return resource, ""
        if not fragment.startswith("/"):
            found = self._anchors.get((uri, fragment))
            if found is None:
                raise GrammarError(f"$ref {reference!r}: no such anchor", pointer=place.pointer)
            return found, fragment
        return self._follow(resource, fragment, reference, place), ""

    def _load(self, uri: str, dialect: int) -> _Part | None:
        schema = self._remotes.get(uri)
        if schema is None:
            schema = self._remotes.get(uri + "#")
        if schema is None:
            return None
        if isinstance(schema, dict):
            self._index(schema, uri, "", dialect, True)
        found = self._parts.get(id(schema)) or _Part(schema, uri, "", dialect)
        return self._resources.setdefault(uri, found)

    def _follow(self, resource: _Part, fragment: str, reference: str, place: Place) -> _Part:
        here: Any = resource.schema
        part = resource
        for step in fragment[1:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(here, dict) and name in here:
                here = here[name]
            elif isinstance(here, list) and (at := decimal(name)) is not None and at < len(here):
                here = here[at]
            else:
                raise GrammarError(f"$ref {reference!r}: no such place", pointer=place.pointer)
            known = self._parts.get(id(here)) if isinstance(here, dict) else None
            pointer = f"{part.pointer}/{_escape(name)}"
            part = known or _Part(here, part.base, pointer, part.dialect)
        return part


def known_keywords(schema: dict[str, Any], dialect: int) -> dict[str, Any]:
    """The members of a schema object that are not keywords of other drafts alone."""
    return {name: value for name, value in schema.items() if _knows(dialect, name)}


def _knows(dialect: int, name: str) -> bool:
    first, last = _KNOWN.get(name, (4, 2020))
    return dialect == UNDECLARED or first <= dialect <= last


def _validates(vocabulary: dict[str, bool]) -> bool:
    """Whether a meta-schema's vocabularies are known, or optional, and include validation."""
    known = all("json-schema.org/" in uri or not needed for uri, needed in vocabulary.items())
    return known and any(uri.endswith("/vocab/validation") for uri in vocabulary)


def _join(base: str, reference: str) -> str:
    if reference.startswith("#") and not base.startswith(("http:", "https:", "file:")):
        return base + reference
    return urljoin(base, reference) if "://" in base or not base else reference


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
