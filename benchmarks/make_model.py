"""Write a model of random weights in any type or mix: for speed and memory, not for text.

    python -m benchmarks.make_model PATH [--type q4_0] [--width 2048] [--layers 16] ...
    python -m benchmarks.make_model PATH --experts 64 --used 8 --expert-feed-forward 768 ...

A llama, or with experts a qwen3moe. The defaults are the 1.07 billion weights of the benchmarks.
Blocks are random codes with finite scales, norms are ones, so activations stay finite; a router's
logits are about normal, so that rows differ in their experts. The tokenizer has one token per byte
and fillers. Tensors are drawn and written one after the other. Needs the `gguf` package.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from numpy.typing import NDArray

from gnomon.formats.ggml_types import BY_NAME
from gnomon.kernels.quants.random_blocks import SMALLEST, random_blocks

from .mixes import BASES, type_of

SEED = 1
DRAW = 1 << 24  # weights drawn at a time


@dataclass(frozen=True)
class Size:
    """The dimensions; output is tied to the embedding. Without experts it is a llama."""

    width: int = 2048
    layers: int = 16
    heads: int = 32
    kv_heads: int = 8
    feed_forward: int = 8192
    vocabulary: int = 49152
    context: int = 8192
    experts: int = 0
    used: int = 8
    expert_feed_forward: int = 768


def matrices(size: Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes [rows, columns], or [experts, rows, columns], in file order."""
    width, kv = size.width, size.width // size.heads * size.kv_heads
    yield "token_embd", (size.vocabulary, width)
    for layer in range(size.layers):
        yield f"blk.{layer}.attn_q", (width, width)
        yield f"blk.{layer}.attn_k", (kv, width)
        yield f"blk.{layer}.attn_v", (kv, width)
        yield f"blk.{layer}.attn_output", (width, width)
        inner, suffix, stack = size.feed_forward, "", ()
        if size.experts:
            inner, suffix, stack = size.expert_feed_forward, "_exps", (size.experts,)
        yield f"blk.{layer}.ffn_gate{suffix}", (*stack, inner, width)
        yield f"blk.{layer}.ffn_up{suffix}", (*stack, inner, width)
        yield f"blk.{layer}.ffn_down{suffix}", (*stack, width, inner)


def floats(size: Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of what is float32 in every type: norms [n], routers [experts, width]."""
    width, head = size.width, size.width // size.heads
    yield "output_norm", (width,)
    for layer in range(size.layers):
        yield f"blk.{layer}.attn_norm", (width,)
        yield f"blk.{layer}.ffn_norm", (width,)
        if size.experts:
            yield f"blk.{layer}.attn_q_norm", (head,)
            yield f"blk.{layer}.attn_k_norm", (head,)
            yield f"blk.{layer}.ffn_gate_inp", (size.experts, width)


def byte_characters() -> list[str]:
    """GPT-2's character for each byte; printable ones stand for themselves."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in shown else next(others)) for byte in range(256)]


def add_tokenizer(writer: GGUFWriter, vocabulary: int) -> None:
    """256 bytes, one merge (readers ask for some), an end token, and fillers."""
    characters = byte_characters()
    tokens = [*characters, characters[32] + "t", "<|end|>"]
    kinds = [TokenType.NORMAL] * 257 + [TokenType.CONTROL]
    fill = vocabulary - len(tokens)
    if fill < 0:
        raise SystemExit(f"vocabulary: {vocabulary}, expected at least {len(tokens)}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens + [f"<|{i}|>" for i in range(fill)])
    writer.add_token_types(kinds + [TokenType.UNUSED] * fill)
    writer.add_token_merges([f"{characters[32]} t"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)


def add_sizes(writer: GGUFWriter, size: Size) -> None:
    """The architecture's keys."""
    writer.add_context_length(size.context)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.layers)
    writer.add_feed_forward_length(size.feed_forward)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.kv_heads)
    writer.add_rope_dimension_count(size.width // size.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(size.vocabulary)
    if size.experts:
        writer.add_expert_count(size.experts)
        writer.add_expert_used_count(size.used)
        writer.add_expert_feed_forward_length(size.expert_feed_forward)


def make_model(path: Path, kind: str, size: Size) -> None:
    """Write the model. Exits with a message if rows are not whole blocks of `kind`."""
    kinds = {name: type_in(kind, name, size) for name, _ in matrices(size)}
    for name, shape in matrices(size):
        if shape[-1] % (elements := BY_NAME[kinds[name]].elements):
            raise SystemExit(f"{kind}: rows must be multiples of {elements} weights")
    writer = GGUFWriter(path, "qwen3moe" if size.experts else "llama")
    add_sizes(writer, size)
    add_tokenizer(writer, size.vocabulary)
    for name, shape in matrices(size):
        block, raw = BY_NAME[kinds[name]], GGMLQuantizationType[kinds[name].upper()]
        stored = (*shape[:-1], shape[-1] // block.elements * block.bytes)
        number = np.dtype(np.uint8)
        writer.add_tensor_info(f"{name}.weight", stored, number, math.prod(stored), raw_dtype=raw)
    for name, shape in floats(size):
        number = np.dtype(np.float32)
        writer.add_tensor_info(f"{name}.weight", shape, number, 4 * math.prod(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(SEED)
    for name, shape in matrices(size):
        drawn = draw(kinds[name], math.prod(shape), rng)
        writer.write_tensor_data(drawn.reshape(shape[0], -1))
    for _, shape in floats(size):
        writer.write_tensor_data(draw_floats(shape, rng))
    writer.close()


def type_in(kind: str, name: str, size: Size) -> str:
    """The type of a matrix, given by its full name, in a model of `kind`."""
    *_, layer, short = "0", *name.removeprefix("blk.").split(".")
    return type_of(kind, short.removesuffix("_exps"), int(layer), size.layers)


def draw_floats(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Ones for a norm; for a router rows of about unit length."""
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    return rng.standard_normal(shape, dtype=np.float32) / np.float32(math.sqrt(shape[1]))


def draw(kind: str, weights: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random blocks of `weights` weights, each of at most 1/64 or so."""
    block = BY_NAME[kind]
    out = np.empty((weights // block.elements, block.bytes), np.uint8)
    step = DRAW // block.elements
    for start in range(0, len(out), step):
        part = out[start : start + step]
        part[...] = random_blocks(block, len(part), rng, largest=SMALLEST)
    return out


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path)
    parser.add_argument(
        "--type", default="q4_0", choices=sorted({*BY_NAME, *BASES}), metavar="TYPE"
    )
    for name, default in vars(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    given = vars(parser.parse_args())
    path, kind = given.pop("path"), given.pop("type")
    make_model(path, kind, Size(**given))
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB of {kind}")


if __name__ == "__main__":
    main()
