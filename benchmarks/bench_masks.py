"""MaskBench: how many real schemas are handled without a wrong verdict, and what a mask costs.

    python benchmarks/bench_masks.py DATA VOCAB.gguf [--sample 1500] [--seed 1] [--peer 40]

DATA is guidance-ai/jsonschemabench's `maskbench/data`, as a folder or a git directory. Every test
instance is tokenised and fed token by token, the mask being computed before each token, on one
thread; times are that thread's processor time. `--peer N` runs llama-cpp-python's grammar on N of
the same schemas, if it is installed.
"""

import argparse
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gnomon.formats.gguf import open_gguf
from gnomon.formats.tokenizer import Tokenizer, tokenizer_from_metadata
from gnomon.sampling.grammar.compile import GrammarError, compile_json_schema
from gnomon.sampling.grammar.mask import GrammarMask
from gnomon.sampling.grammar.vocabulary import TokenTrie

PUBLISHED = (  # maskbench/README.md, Llama-3 vocabulary, EPYC; passing of 11,306, microseconds
    ("llguidance 0.7.10", 78.8, 0, 46, 533, 1037),
    ("xgrammar 0.1.17", 71.8, 1368, 9, 5687, 919459),
    ("llama.cpp (py 0.3.8)", 57.5, 649, 17021, 60371, 312),
    ("outlines-core 0.2.3", 62.4, 822, 34, 7184, 587900),
)
PREFIX = "maskbench/data/"


def read_data(path: Path) -> dict[str, Callable[[], str]]:
    """File names and readers of a folder or of a git directory's newest commit."""
    if any(path.glob("*.json")):
        return {file.name: file.read_text for file in path.glob("*.json")}
    listing = _git(path, "ls-tree", "-r", "--name-only", "HEAD", PREFIX)
    names = [line.removeprefix(PREFIX) for line in listing.splitlines() if line.endswith(".json")]
    return {name: lambda name=name: _git(path, "show", f"HEAD:{PREFIX}{name}") for name in names}


def _git(path: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(path), *arguments], capture_output=True, check=True)
    return done.stdout.decode()


@dataclass
class Tally:
    """What was counted and timed."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    compiles: list[float] = field(default_factory=list)
    masks: list[float] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)


def check_schema(
    name: str, case: dict, order: str, tokenizer: Tokenizer, trie: TokenTrie, tally: Tally
) -> None:
    """Compile one schema and run its tests."""
    start = time.thread_time()
    try:
        compiled = compile_json_schema(case["schema"], property_order=order)
    except GrammarError as error:
        tally.counts["refused"] += 1
        tally.refusals[error.reason[:60]] += 1
        return
    finally:
        tally.compiles.append(time.thread_time() - start)
        tally.slowest.append((tally.compiles[-1], name))
    mask = GrammarMask(compiled, trie)
    wrong = False
    for test in case["tests"]:
        text = json.dumps(test["data"], ensure_ascii=False)
        accepted = run_text(mask, tokenizer.encode(text, add_special=False), tally)
        if accepted != test["valid"]:
            wrong = True
            verdict = "valid instance refused" if test["valid"] else "invalid instance accepted"
            tally.counts[verdict] += 1
            print(f"  {name}: {verdict}")
        tally.counts["valid" if test["valid"] else "invalid"] += 1
    tally.counts["wrong" if wrong else "handled"] += 1


def run_text(mask: GrammarMask, tokens: list[int], tally: Tally) -> bool:
    """Feed a text, timing each mask; whether it was accepted to its end."""
    mask.reset()
    for token in tokens:
        start = time.thread_time()
        bits = mask.allowed()
        tally.masks.append(time.thread_time() - start)
        if not bits[token >> 5] >> (token & 31) & 1:
            return False
        mask.accept(token)
    return mask.may_end


def run_peer(cases: Iterator[tuple[str, dict]], tokenizer: Tokenizer, model: str) -> None:
    """llama-cpp-python's grammar on the same schemas: verdicts by its parser, mask times."""
    try:
        import llama_cpp
        from llama_cpp.llama_grammar import json_schema_to_gbnf
    except ImportError:
        print("llama-cpp-python is not installed: no peer figures")
        return
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    loaded = llama_cpp.llama_model_load_from_file(model.encode(), params)
    vocab = llama_cpp.llama_model_get_vocab(loaded)
    n_vocab = llama_cpp.llama_vocab_n_tokens(vocab)
    items = (llama_cpp.llama_token_data * n_vocab)()
    counts: Counter[str] = Counter()
    times: list[float] = []
    for _, case in cases:
        try:
            grammar = json_schema_to_gbnf(json.dumps(case["schema"]))
            sampler = llama_cpp.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
        except Exception:
            sampler = None
        if not sampler:
            counts["refused"] += 1
            continue
        wrong = False
        for test in case["tests"]:
            llama_cpp.llama_sampler_reset(sampler)
            text = json.dumps(test["data"], ensure_ascii=False)
            tokens = tokenizer.encode(text, add_special=False)
            verdict = _peer_accepts(llama_cpp, sampler, items, n_vocab, tokens, vocab, times)
            wrong |= verdict != test["valid"]
            counts["invalid accepted"] += verdict and not test["valid"]
        llama_cpp.llama_sampler_free(sampler)
        counts["wrong" if wrong else "handled"] += 1
    us = np.array(times or [0.0]) * 1e6
    print(f"llama-cpp-python on the sub-sample: {dict(counts)}, "
          f"mask us p50 {np.percentile(us, 50):.0f} p99 {np.percentile(us, 99):.0f}")  # fmt: skip


def _peer_accepts(llama_cpp, sampler, items, n_vocab, tokens, vocab, times) -> bool:  # type: ignore[no-untyped-def]
    end = llama_cpp.llama_vocab_eos(vocab)
    view = np.frombuffer(items, np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")]))
    ids = np.arange(n_vocab)
    for token in [*tokens, end]:
        view["id"], view["logit"], view["p"] = ids, 0.0, 0.0
        array = llama_cpp.llama_token_data_array(items, n_vocab, -1, False)
        start = time.thread_time()
        llama_cpp.llama_sampler_apply(sampler, array)
        times.append(time.thread_time() - start)
        if items[token].logit < -1e30:
            return False
        if token != end:
            llama_cpp.llama_sampler_accept(sampler, token)
    return True


def percentiles(seconds: list[float]) -> str:
    """p50 to max in microseconds."""
    us = np.array(seconds or [0.0]) * 1e6
    points = ", ".join(f"p{p:g} {np.percentile(us, p):.1f}" for p in (50, 75, 90, 95, 99, 99.9))
    return f"{points}, max {us.max():.0f}, mean {us.mean():.1f} us ({len(us)})"


def report(tally: Tally, schemas: int) -> None:
    """Print the table next to the published figures."""
    counts = tally.counts
    handled = 100 * counts["handled"] / schemas
    print(f"schemas {schemas}: handled {counts['handled']} ({handled:.1f} %), refused", end=" ")
    print(f"{counts['refused']}, with a wrong verdict {counts['wrong']}")
    print(f"invalid accepted {counts['invalid instance accepted']} of {counts['invalid']}, "
          f"valid refused {counts['valid instance refused']} of {counts['valid']}")  # fmt: skip
    print("compile", percentiles(tally.compiles))
    print("mask   ", percentiles(tally.masks))
    print("slowest compiles", [(f"{s:.2f} s", n) for s, n in sorted(tally.slowest)[-5:]])
    for reason, count in tally.refusals.most_common(12):
        print(f"  {count:4} {reason}")
    print("engine                 passing % wrong accepts     p50     p99 compile p50  (us)")
    us, ms = np.array(tally.masks) * 1e6, np.array(tally.compiles) * 1e6
    ours = (
        "gnomon (this run)", 100 * counts["handled"] / schemas, counts["invalid instance accepted"],
        np.percentile(us, 50), np.percentile(us, 99), np.percentile(ms, 50),
    )  # fmt: skip
    for row in (ours, *PUBLISHED):
        print("{:22} {:9.1f} {:13} {:7.0f} {:7.0f} {:11.0f}".format(*row))


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", type=Path)
    arguments.add_argument("vocab")
    arguments.add_argument("--sample", type=int, default=1500)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--order", choices=("free", "declared"), default="free")
    arguments.add_argument("--peer", type=int, default=0)
    options = arguments.parse_args()
    with open_gguf(options.vocab) as file:
        tokenizer = tokenizer_from_metadata(file.metadata)
    text = [tokenizer.token_bytes(i) for i in range(tokenizer.n_vocab)]
    trie = TokenTrie.build(text, tokenizer.eog)
    print(f"{tokenizer.n_vocab} tokens, {len(trie.nodes)} trie nodes, {len(trie.slices)} slices")
    data = read_data(options.data)
    names = random.Random(options.seed).sample(sorted(data), min(options.sample, len(data)))
    warm_up(tokenizer, trie)
    tally = Tally()
    for name in names:
        check_schema(name, json.loads(data[name]()), options.order, tokenizer, trie, tally)
    report(tally, len(names))
    if options.peer:
        cases = ((name, json.loads(data[name]())) for name in names[: options.peer])
        run_peer(cases, tokenizer, options.vocab)


def warm_up(tokenizer: Tokenizer, trie: TokenTrie) -> None:
    """Compile the kernels outside the timed part."""
    formats = ("date-time", "email", "uri", "ipv4", "uuid", "hostname", "date", "time", "ipv6")
    parts = [{"type": "string", "format": name} for name in formats]
    limits = {"a": {"minimum": 2, "maxLength": 3}, "b": {"pattern": "^x+$", "minLength": 2}}
    schema = {"properties": limits, "items": {"anyOf": parts}, "additionalProperties": {"not": {}}}
    mask = GrammarMask(compile_json_schema(schema, property_order="free"), trie)
    run_text(mask, tokenizer.encode('{"a": "xx", "b": "xx"}', add_special=False), Tally())


if __name__ == "__main__":
    main()
