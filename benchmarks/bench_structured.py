"""Answers held to a schema: how many end and are valid, and what the mask costs per token.

    python -m benchmarks.bench_structured [MODEL] [--runs 200]

Each seed makes one answer bound by SCHEMA and one free answer of as many tokens. Prints how many
bound answers ended within MAX_TOKENS, how many of these `jsonschema` accepts, and the ratio of
tokens per second.
"""

from __future__ import annotations

import argparse
import statistics

import gnomon as lms

MAX_TOKENS = 160
PROMPT = "Invent a person. Answer with one JSON object."
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 30},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "job": {"enum": ["baker", "pilot", "nurse", "farmer"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 16}, "maxItems": 3},
    },
    "required": ["name", "age", "job"],
    "additionalProperties": False,
}


def main() -> None:
    """Run the comparison and print it."""
    from jsonschema import Draft202012Validator

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="smollm2-135m-instruct")
    parser.add_argument("--runs", type=int, default=200)
    args = parser.parse_args()
    model = lms.llm(args.model)
    validator = Draft202012Validator(SCHEMA)
    ended, valid, ratios = 0, 0, []
    for seed in range(args.runs):
        config = {"maxTokens": MAX_TOKENS, "seed": seed}
        bound = model.respond(PROMPT, response_format=SCHEMA, config=config)
        length = bound.stats.predicted_tokens_count or 1
        free = model.respond(PROMPT, config={"maxTokens": max(8, length), "seed": seed})
        speeds = bound.stats.tokens_per_second, free.stats.tokens_per_second
        if all(speeds) and seed:  # the first answer compiles
            ratios.append(speeds[0] / speeds[1])
        if bound.stats.stop_reason == "eosFound":
            ended += 1
            valid += bound.structured and validator.is_valid(bound.parsed)
    ratio = statistics.median(ratios)
    print(f"{args.runs} runs: {ended} ended, {valid} of these valid; {ratio:.3f}x the free speed")


if __name__ == "__main__":
    main()
