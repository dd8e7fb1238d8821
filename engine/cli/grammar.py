"""`gnomon grammar check GRAMMAR FILE...`: which texts a grammar accepts, and where the others fail.

The kind follows the grammar file's name: .gbnf, .json (a JSON Schema), .regex; `--kind` overrides
it. Each FILE is one text; `-` reads one text a line from standard input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...sampling.grammar.mask import GrammarMask
    from ...sampling.grammar.program import CompiledGrammar


KINDS = {".gbnf": "gbnf", ".json": "json", ".regex": "regex"}
SHOWN = 40  # bytes around a failure


def add_parser(subparsers: Any) -> None:
    """Add the `grammar` command to the command line."""
    parser = subparsers.add_parser("grammar", help="check texts against a grammar")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="tell which texts a grammar accepts")
    check.add_argument("grammar", type=Path, metavar="GRAMMAR")
    check.add_argument("files", nargs="+", metavar="FILE", help="a text each; -: one a line")
    check.add_argument("--kind", choices=sorted(set(KINDS.values())))
    check.add_argument("--order", choices=("declared", "free"), default="declared")


def run(args: argparse.Namespace) -> int:
    """Print a line for each text; 0 if all are accepted, else 1. GrammarError for a bad grammar."""
    from ...sampling.grammar.mask import GrammarMask
    from ...sampling.grammar.vocabulary import TokenTrie

    compiled = compile_file(args.grammar, args.kind, args.order)
    for note in compiled.notes:
        print(f"note: {note}", file=sys.stderr)
    mask = GrammarMask(compiled, TokenTrie.build([bytes([i]) for i in range(256)], []))
    refused = 0
    for name, text in _texts(args.files):
        verdict = check_text(mask, text)
        refused += verdict is not None
        print(f"{name}: {verdict or 'accepted'}")
    return 1 if refused else 0


def compile_file(path: Path, kind: str | None, order: str) -> CompiledGrammar:
    """Compile a grammar file; ValueError if its name does not tell the kind."""
    from ...sampling.grammar.compile import compile_gbnf, compile_json_schema, compile_regex

    kind = kind or KINDS.get(path.suffix)
    if kind is None:
        known = ", ".join(sorted(KINDS))
        raise ValueError(f"{path}: suffix {path.suffix!r}, expected one of {known}, or --kind")
    text = path.read_text("utf-8")
    if kind == "gbnf":
        return compile_gbnf(text, n_vocab=0)  # bytes are no tokens
    if kind == "regex":
        return compile_regex(text.rstrip("\n"))
    return compile_json_schema(json.loads(text), property_order=order)


def check_text(mask: GrammarMask, text: bytes) -> str | None:
    """What is wrong with a text, or None."""
    mask.reset()
    for i, byte in enumerate(text):
        if not mask.allows(byte):
            return f"fails at {_place(text, i)}: expected {_expected(mask)}"
        mask.accept(byte)
    if mask.may_end:
        return None
    return f"ends too early at {_place(text, len(text))}: expected {_expected(mask)}"


def _place(text: bytes, at: int) -> str:
    line = text.count(b"\n", 0, at) + 1
    column = at - (text.rfind(b"\n", 0, at) + 1) + 1
    around = text[max(0, at - SHOWN // 2) : at + SHOWN // 2].decode("utf-8", "replace")
    return f"line {line}, column {column} (byte {at}, near {around!r})"


def _expected(mask: GrammarMask) -> str:
    allowed = [byte for byte in range(256) if mask.allows(byte)]
    shown = "".join(chr(byte) if 32 < byte < 127 else "" for byte in allowed)
    end = "the end" if mask.may_end else ""
    more = f"one of {shown!r}" if len(allowed) <= 20 and shown else f"{len(allowed)} bytes"
    return " or ".join(part for part in (more if allowed else "", end) if part)


def _texts(files: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in files:
        if name != "-":
            yield name, Path(name).read_bytes()
            continue
        for i, line in enumerate(sys.stdin.buffer):
            yield f"line {i + 1}", line.rstrip(b"\r\n")
