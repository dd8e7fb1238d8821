"""The official JSON-Schema-Test-Suite: no wrong verdict, at least 85 % agreement, refusals listed.

Instances are written with plain decimals and in their own member order; order is free, formats are
annotations in the required tests and assertions in `formats`.
"""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from gnomon.sampling.grammar.compile import compile_json_schema
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.numbers import decimal, exact
from gnomon.sampling.grammar.program import CompiledGrammar

GOLDEN = Path(__file__).parents[2] / "golden" / "grammar"
SUITE = json.loads((GOLDEN / "schema_suite.json").read_text("utf-8"))
REFUSED = json.loads((GOLDEN / "schema_suite_refused.json").read_text("utf-8"))
DRAFTS = sorted(SUITE["drafts"])
LEAP_SECOND = "leap second"  # with an offset other than zero: valid, yet not producible


def write(value: object) -> str:
    """JSON text with numbers as plain decimals."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return decimal(exact(value) if isinstance(value, float) else Fraction(value))
    if isinstance(value, list):
        return "[" + ", ".join(map(write, value)) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{write(name)}: {write(item)}" for name, item in value.items()) + "}"


def groups(draft: str, part: str) -> Iterator[tuple[str, object, list[dict]]]:
    """(name, schema, tests) of every group, `$schema` filled in."""
    for file, found in SUITE["drafts"][draft][part].items():
        for group in found:
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": SUITE["drafts"][draft]["$schema"], **schema}
            yield f"{file}: {group['description']}", schema, group["tests"]


def check(
    draft: str, part: str, accepts: Callable[[CompiledGrammar, str], bool]
) -> tuple[int, int, list[str], dict[str, str]]:
    """(agreeing, all, wrong verdicts, refusals by group)."""
    agreed, total = 0, 0
    wrong: list[str] = []
    refused: dict[str, str] = {}
    for name, schema, tests in groups(draft, part):
        total += len(tests)
        try:
            compiled = compile_json_schema(
                schema,
                property_order="free",
                assert_formats=part == "formats",
                remotes=SUITE["remotes"],
            )
        except GrammarError as error:
            if error.reason != "nothing matches this grammar":
                refused[name] = str(error)
                continue
            compiled = None
        for test in tests:
            accepted = compiled is not None and accepts(compiled, write(test["data"]))
            if accepted == test["valid"]:
                agreed += 1
            elif part == "formats" and test["valid"] and LEAP_SECOND in test["description"]:
                continue
            else:
                wrong.append(f"{name}: {test['description']}: {json.dumps(test['data'])[:80]}")
    return agreed, total, wrong, refused


@pytest.mark.parametrize("part", ["required", "formats"])
@pytest.mark.parametrize("draft", DRAFTS)
def test_suite_has_no_wrong_verdict_and_refuses_only_what_is_listed(
    draft: str, part: str, accepts: Callable[[CompiledGrammar, str], bool]
) -> None:
    agreed, total, wrong, refused = check(draft, part, accepts)
    assert wrong == []
    assert refused == REFUSED[draft][part]
    if part == "required":
        assert agreed >= 0.85 * total, f"{agreed} of {total}"
