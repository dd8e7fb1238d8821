"""llama.cpp's grammar-integration strings give llama.cpp's verdicts."""

import json
from pathlib import Path

import pytest

from gnomon.sampling.grammar.compile import compile_gbnf, compile_json_schema
from gnomon.sampling.grammar.mask import GrammarMask
from gnomon.sampling.grammar.program import CompiledGrammar
from gnomon.sampling.grammar.vocabulary import TokenTrie

GOLDEN = Path(__file__).parents[2] / "golden" / "grammar" / "llama_grammars.json"
CASES = json.loads(GOLDEN.read_text("utf-8"))
PRIVATE = 0xF0000  # a character from here on is a token id
SPECIAL = 100  # ids below it have no text
REFUSED = {"required props": "uniqueItems over free strings cannot be enforced exactly"}
OTHERWISE = {  # (name, text): why the verdict differs
    ("min 0", "1" + "0" * 32): "llama.cpp stops at 16 digits",
    ("min 2", "12345678900000000"): "llama.cpp stops at 16 digits",
    ("min+max items", "1"): "the schema has no `type`: a number is valid",
}


def compiled_of(case: dict) -> CompiledGrammar:
    if case["kind"] == "gbnf":
        return compile_gbnf(case["grammar"])
    return compile_json_schema(case["grammar"], closed_objects=True)


def mask_of(case: dict) -> tuple[GrammarMask, dict[str, int]]:
    """A mask over the characters that occur, one token each."""
    texts = case["passing"] + case["failing"]
    chars = sorted({char for text in texts for char in text if ord(char) < PRIVATE})
    vocabulary = [b""] * SPECIAL + [char.encode() for char in chars]
    ids = {char: SPECIAL + i for i, char in enumerate(chars)}
    return GrammarMask(compiled_of(case), TokenTrie.build(vocabulary, [])), ids


def accepted(mask: GrammarMask, ids: dict[str, int], text: str) -> bool:
    mask.reset()
    for char in text:
        token = ids.get(char, ord(char) - PRIVATE)
        if not mask.allows(token):
            return False
        mask.accept(token)
    return mask.may_end


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["name"] not in REFUSED], ids=lambda case: case["name"]
)
def test_verdicts_are_those_of_llama_cpp(case: dict) -> None:
    mask, ids = mask_of(case)
    for text in case["passing"]:
        assert accepted(mask, ids, text), text
    for text in case["failing"]:
        differs = (case["name"], text) in OTHERWISE
        assert accepted(mask, ids, text) == differs, text


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused(name: str) -> None:
    case = next(case for case in CASES if case["name"] == name)
    with pytest.raises(ValueError, match="cannot enforce"):
        compiled_of(case)
