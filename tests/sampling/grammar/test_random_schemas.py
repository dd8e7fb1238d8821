"""Random schemas: what is generated validates with `jsonschema`, what validates is accepted."""

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gnomon.sampling.grammar.compile import compile_json_schema
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.mask import GrammarMask
from gnomon.sampling.grammar.vocabulary import TokenTrie

NAMES = ["a", "b", "ab", "c"]
PIECES = [
    b'"', b'":', b'",', b'{"', b"[", b"]", b"{", b"}", b'a"', b"ab", b"a", b"b", b"c", b"1", b"2",
    b"0",     b"-", b".", b".5", b"12", b",", b":", b"true", b"false", b"null",
    b"},", b"],", b'"a"', b'"b":',
    b"\xc3", b"\xa9", "\u00e9".encode(), b"\\", b"n", b"u", b"5",
]  # fmt: skip
VOCABULARY = [*PIECES, *(bytes([i]) for i in range(256))]
EOG = len(VOCABULARY)
TRIE = TokenTrie.build([*VOCABULARY, b""], [EOG])

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.sampled_from([0.5, -1.25])
    | st.sampled_from(["", "a", "ab", "abc", "\u00e9", "b"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip

simple = st.sampled_from(
    [
        {"type": "integer"}, {"type": "string"}, {"type": "null"}, {"type": "boolean"},
        {"type": "integer", "minimum": 1, "maximum": 12}, {"multipleOf": 3}, {"minimum": 2.5},
        {"type": "string", "maxLength": 2}, {"minLength": 2}, {"pattern": "^a"}, {"enum": ["a", 1]},
        {"type": ["string", "integer"]}, {"exclusiveMaximum": 5}, {"const": "ab"}, True, False,
    ]
)  # fmt: skip


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    required = st.lists(st.sampled_from(NAMES), unique=True, max_size=2)
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": members},
            optional={
                "required": required,
                "additionalProperties": inner,
                "maxProperties": st.just(2),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 2), "maxItems": st.integers(1, 3)},
        ),
        st.fixed_dictionaries({"prefixItems": several}, optional={"contains": inner}),
        st.fixed_dictionaries({"anyOf": several}),
        st.fixed_dictionaries({"allOf": several}),
        st.fixed_dictionaries({"oneOf": several}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"patternProperties": st.just({"^a": {"type": "integer"}})}),
        st.fixed_dictionaries({"dependentRequired": st.just({"a": ["b"]})}),
    )


schemas = st.recursive(simple, containers, max_leaves=6)
QUIET = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def mask_of(schema: Any) -> GrammarMask:
    try:
        return GrammarMask(compile_json_schema(schema, property_order="free"), TRIE)
    except GrammarError:
        assume(False)
        raise


def generate(mask: GrammarMask, seed: int) -> bytes | None:
    """A text drawn with random logits; None if it does not end in 200 tokens."""
    rng = np.random.default_rng(seed)
    text = b""
    for i in range(200):
        logits = rng.normal(size=TRIE.n_vocab).astype(np.float32)
        logits[: len(PIECES)] += 4
        logits[EOG] += 4 + 0.05 * i
        mask.apply(logits)
        token = int(logits.argmax())
        mask.accept(token)
        if token == EOG:
            return text
        text += VOCABULARY[token]
    return None


@QUIET
@given(schema=schemas, seed=st.integers(0, 1000))
def test_what_is_generated_is_valid(schema: Any, seed: int) -> None:
    text = generate(mask_of(schema), seed)
    assume(text is not None)
    assert text is not None
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))


@QUIET
@given(schema=schemas, value=values)
def test_a_value_is_accepted_exactly_if_it_is_valid(schema: Any, value: Any) -> None:
    mask = mask_of(schema)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    valid = jsonschema.Draft202012Validator(schema).is_valid(value)
    for i in range(len(text)):
        token = VOCABULARY.index(text[i : i + 1])
        if not mask.allows(token):
            assert not valid
            return
        mask.accept(token)
    assert mask.may_end == valid


@pytest.mark.parametrize("seed", range(10))
def test_an_unended_text_can_always_go_on(seed: int) -> None:
    schema = {
        "properties": {"a": {"maxLength": 3}, "b": {"items": {"minimum": 5}}},
        "maxProperties": 2,
    }
    mask = mask_of(schema)
    rng = np.random.default_rng(seed)
    for _ in range(60):
        logits = rng.normal(size=TRIE.n_vocab).astype(np.float32)
        logits[EOG] = -10
        mask.apply(logits)
        assert np.isfinite(logits).any()
        mask.accept(int(logits.argmax()))
