"""Restate the strings of llama.cpp's tests/test-grammar-integration.cpp as data.

    python make_llama_grammars.py test-grammar-integration.cpp > llama_grammars.json

Each entry: kind (gbnf or schema), name, grammar, strings that pass and fail. A `token(n)` of
the source is written as the character U+F0000 + n (a private-use one).
"""

import json
import re
import sys

PIECE = re.compile(
    r'R"""\((?P<raw>.*?)\)"""|"(?P<plain>(?:[^"\\\n]|\\.)*)"|token\((?P<token>\d+)\)'
    r"|(?P<comment>//[^\n]*)|(?P<mark>[{},+();])",
    re.DOTALL,
)
PRIVATE = 0xF0000


def pieces(source: str, start: int):
    """Tokens from `start` on: (kind, text)."""
    for match in PIECE.finditer(source, start):
        if match["raw"] is not None:
            yield "text", match["raw"]
        elif match["plain"] is not None:
            plain = re.sub(
                r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), match["plain"]
            )
            yield "text", plain
        elif match["token"] is not None:
            yield "text", chr(PRIVATE + int(match["token"]))
        elif match["mark"]:
            yield "mark", match["mark"]


def arguments(source: str, start: int) -> list:
    """The arguments of one call: strings, and lists of strings."""
    found: list = []
    current = ""
    has_text = False
    group: list | None = None
    stream = pieces(source, start)
    next(stream)  # the opening parenthesis
    for kind, text in stream:
        if kind == "text":
            current, has_text = current + text, True
        elif text == "{":
            group = []
        elif text in ",});":
            if has_text:
                (found if group is None else group).append(current)
            current, has_text = "", False
            if text == "}":
                found.append(group)
                group = None
            if text == ")" and group is None:
                return found
    raise ValueError("call does not end")


def main() -> None:
    """Write the JSON."""
    with open(sys.argv[1], encoding="utf-8") as file:
        source = file.read()
    cases = []
    for call in re.finditer(r"^    test_(grammar|schema)\(", source, re.MULTILINE):
        name, grammar, passing, failing = arguments(source, call.end() - 1)
        kind = "gbnf" if call[1] == "grammar" else "schema"
        body = json.loads(grammar) if kind == "schema" else grammar
        cases.append(
            {"kind": kind, "name": name, "grammar": body, "passing": passing, "failing": failing}
        )
    json.dump(cases, sys.stdout, ensure_ascii=True, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
