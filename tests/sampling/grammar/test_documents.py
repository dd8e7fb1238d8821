"""Where references lead."""

import pytest

from gnomon.sampling.grammar.documents import UNDECLARED, Documents
from gnomon.sampling.grammar.errors import GrammarError

SCHEMA = {
    "$id": "http://x.org/root",
    "allOf": [True],
    "$defs": {
        "a b": {"const": 1},
        "c~d": {"$anchor": "here", "const": 2},
        "sub": {"$id": "sub", "$defs": {"e": {"const": 3}}, "items": {"$ref": "#/$defs/e"}},
    },
}


@pytest.mark.parametrize(
    ("reference", "const"),
    [
        ("#/$defs/a%20b", 1),
        ("#/$defs/c~0d", 2),
        ("#here", 2),
        ("sub#/$defs/e", 3),
        ("http://x.org/sub#/$defs/e", 3),
    ],
)
def test_reference_leads_to_its_schema(reference: str, const: int) -> None:
    documents = Documents(SCHEMA)
    assert documents.refer(documents.root, reference).schema["const"] == const


def test_a_relative_reference_is_taken_from_the_nearest_id() -> None:
    documents = Documents(SCHEMA)
    sub = documents.refer(documents.root, "sub")
    items = documents.child(sub, sub.schema["items"], "items")
    assert documents.refer(items, "#/$defs/e").schema == {"const": 3}


@pytest.mark.parametrize(
    "reference", ["#nowhere", "#/$defs/none", "http://y.org/z", "#/allOf/1", "#/allOf/\u00b2"]
)
def test_a_reference_to_nowhere_names_its_place(reference: str) -> None:
    documents = Documents(SCHEMA)
    with pytest.raises(GrammarError, match=r"\$ref"):
        documents.refer(documents.root, reference)


def test_ids_in_data_are_not_ids() -> None:
    documents = Documents({"enum": [{"$id": "http://x.org/e"}]})
    with pytest.raises(GrammarError, match="outside"):
        documents.refer(documents.root, "http://x.org/e")


@pytest.mark.parametrize(
    ("uri", "dialect"),
    [
        ("http://json-schema.org/draft-04/schema#", 4),
        ("https://json-schema.org/draft/2019-09/schema", 2019),
        ("http://example.org/mine", UNDECLARED),
    ],
)
def test_the_dialect_is_that_of_schema(uri: str, dialect: int) -> None:
    assert Documents({"$schema": uri}).root.dialect == dialect
