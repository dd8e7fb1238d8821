"""`gnomon tokens`: the ids of a text, without loading the weights."""

from __future__ import annotations

import argparse
import json
import sys

from ...formats.gguf import open_gguf
from ...formats.tokenizer import tokenizer_from_metadata
from ..api.catalogue import DEFAULT_MODEL
from ..api.registry import present
from .inputs import read_configs, read_text


def tokens(args: argparse.Namespace) -> None:
    """Write the ids of TEXT on one line, or with their texts as JSON."""
    read_configs(args)  # nothing in them matters here, what is wrong with them does
    text = read_text(args, exact=True)
    with open_gguf(present(args.model or DEFAULT_MODEL).path) as file:
        tokenizer = tokenizer_from_metadata(file.metadata)
    ids = tokenizer.encode(text, add_special=not args.no_special, parse_special=args.parse_special)
    if args.json:
        found = [{"token": token, "text": tokenizer.decode([token], special=True)} for token in ids]
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(*ids)
    if args.stats:
        print(f"{len(ids)} tokens, {len(text)} characters", file=sys.stderr)
