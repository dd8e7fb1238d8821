"""One function per grammar kind: text in, program out."""

from collections.abc import Sequence

from .errors import GrammarError, budget
from .gbnf import compile_gbnf
from .json_schema import compile_json_schema
from .language import text_language
from .program import Assembler, CompiledGrammar

MAX_CHOICE_BYTES = 2_000_000


def compile_regex(pattern: str) -> CompiledGrammar:
    """Texts that match the pattern from start to end; GrammarError with line and column."""
    assembler = Assembler()
    rule = assembler.rule()
    assembler.enter(rule)
    with budget():
        assembler.automaton(text_language(pattern))
    assembler.end()
    return assembler.finish(rule, "regex")


def compile_choice(choices: Sequence[str]) -> CompiledGrammar:
    """Exactly one of the given texts."""
    if isinstance(choices, str) or not all(isinstance(choice, str) for choice in choices):
        raise GrammarError("choices: expected a list of strings")
    if not choices:
        raise GrammarError("choices: expected at least one, found none")
    if sum(map(len, choices)) > MAX_CHOICE_BYTES:
        raise GrammarError(f"choices: longer than {MAX_CHOICE_BYTES} characters together")
    assembler = Assembler()
    rule = assembler.rule()
    assembler.enter(rule)
    assembler.words([choice.encode() for choice in choices])
    assembler.end()
    return assembler.finish(rule, "choice")


__all__ = ["GrammarError", "compile_choice", "compile_gbnf", "compile_json_schema", "compile_regex"]
