"""The tensors that a spec names, as tables: GGUF name and shape in symbols, slowest first.

Which table of a few alternatives applies (one matrix for queries, keys and values or three, a
router or none) is said by the file's own tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .arch import (
    Arch,
    Dense,
    DenseWidth,
    FeedForward,
    Flow,
    Indexer,
    OutputGate,
    Placement,
    QKNorm,
)
from .hparams import HParams, LayerSpec
from .pooling import Pooling

Shape = tuple[int, ...]
Row = tuple[str, str]
# The shape of one of the file's tensors, None if there is no such tensor.
ShapeOf = Callable[[str], Shape | None]


@dataclass(frozen=True)
class Turns:
    """Rows lie as [groups, parts, ...]: take one part of all groups, or all parts one by one."""

    groups: int
    parts: int
    part: int | None = None


@dataclass(frozen=True)
class Wanted:
    """A tensor that a spec names: its shape (slowest first), and whether it may be absent."""

    name: str
    shape: Shape
    optional: bool = False
    # Numbers for formulas, whatever the shape; else two dimensions are a matrix to multiply with.
    plain: bool = False
    # Plain numbers with their axes in reverse.
    turned: bool = False
    # Its rows take turns.
    turns: Turns | None = None
    # The name it goes by here, if that is not the file's.
    alias: str = ""
    # The file's tensor itself, for `embed`; it may have more rows.
    raw: bool = False


def _linear(name: str, rows: str, columns: str) -> tuple[Row, ...]:
    name, optional = name.rstrip("?"), "?" * name.endswith("?")
    weight = f"{name}.weight{optional}", f"{rows}, {columns}"
    return weight, (f"{name}.scale?", "1"), (f"{name}.bias?", rows)


def _adapted(name: str, rows: str, columns: str) -> tuple[Row, Row]:
    down, up = f"slots, lora, {columns}", f"slots, {rows}, lora"
    return (f"{name}.lora_a=", down), (f"{name}.lora_b=", up)


QKV = (("attn_qkv.weight", "qkv, dim"), ("attn_qkv.bias?", "qkv"))
BIASES = (("attn_q.bias?", "q"), ("attn_k.bias?", "k"), ("attn_v.bias?", "v"))
QKV_APART = (
    *_linear("attn_q", "q", "dim"),
    *_linear("attn_k", "k", "dim"),
    *_linear("attn_v", "v", "dim"),
)
# What a layer has no use for that attends to another's keys.
BORROWED: tuple[str, ...] = ("attn_k", "attn_v", "attn_sinks")
HEADS_OUT = (*_linear("attn_output", "dim", "out"), ("attn_sinks.weight?", "heads"))
ACROSS = (
    ("cross_attn_norm.weight", "dim"),
    *_linear("cross_attn_q", "q", "dim"),
    *_linear("cross_attn_k", "k", "dim"),
    *_linear("cross_attn_v", "v", "dim"),
    *_linear("cross_attn_output", "dim", "out"),
)
QK_NORMS = {
    QKNorm.NONE: (),
    QKNorm.PER_HEAD: (("attn_q_norm.weight", "key"), ("attn_k_norm.weight", "key")),
    QKNorm.EACH_HEAD: (("attn_q_norm.weight?#", "heads, key"), ("attn_k_norm.weight?#", "kv, key")),
    QKNorm.ACROSS: (
        ("attn_q_norm.weight", "q"),
        ("attn_k_norm.weight", "k"),
        ("attn_q_norm.bias?", "q"),
        ("attn_k_norm.bias?", "k"),
    ),
    QKNorm.UNWEIGHTED: (),
    QKNorm.GAIN: (("attn_q_norm.weight#", "heads, 1"),),
}

QUERY_RANK = (
    ("attn_q_a.weight", "query_rank, dim"),
    ("attn_q_a_norm.weight", "query_rank"),
    ("attn_q_b.weight", "latent_q, query_rank"),
)
LATENT = (
    ("attn_kv_a_mqa.weight", "rank+rope, dim"),
    ("attn_kv_a_norm.weight", "rank"),
    ("attn_k_norm.weight?", "rope"),
    ("attn_output.weight", "dim, latent_out"),
    ("attn_sinks.weight?", "heads"),
)
ABSORBED = (
    ("attn_k_b.weight=", "heads, rank, plain"),
    ("attn_v_b.weight=", "heads, latent_v, rank"),
)
EXPANDED = (("attn_kv_b.weight", "latent_kv, rank"),)
INDEXER = (
    ("indexer.attn_q_b.weight", "index_q, query_rank"),
    ("indexer.attn_k.weight", "index, dim"),
    ("indexer.k_norm.weight", "index"),
    ("indexer.k_norm.bias", "index"),
    ("indexer.proj.weight", "index_heads, dim"),
)
POOL_GATES = (
    ("indexer_compressor_gate.weight", "index, dim"),
    ("indexer_compressor_ape.weight#", "pool, index"),
)
BLOCK_INDEXER = (
    ("indexer.q_proj.weight", "index_q, dim"),
    ("indexer.k_proj.weight", "index, dim"),
    ("indexer.q_norm.weight", "index"),
    ("indexer.k_norm.weight", "index"),
)

ADAPTED_ATTENTION = (
    *_adapted("attn_q", "q", "dim"),
    *_adapted("attn_k", "k", "dim"),
    *_adapted("attn_v", "v", "dim"),
    *_adapted("attn_output", "dim", "out"),
)
ADAPTED_DENSE = (
    *_adapted("ffn_gate", "ff", "dim"),
    *_adapted("ffn_up", "ff", "dim"),
    *_adapted("ffn_down", "dim", "ff"),
)

DENSE = {
    FeedForward.GATED: (
        *_linear("ffn_gate", "ff", "dim"),
        *_linear("ffn_up", "ff", "dim"),
        *_linear("ffn_down", "dim", "ff"),
    ),
    FeedForward.FUSED: (*_linear("ffn_up", "2*ff", "dim"), *_linear("ffn_down", "dim", "ff")),
    FeedForward.PLAIN: (
        *_linear("ffn_up", "ff", "dim"),
        *_linear("ffn_down", "dim", "ff"),
        ("ffn.act.scales?", "ff"),
    ),
    FeedForward.BARE: (),
}
TOKEN_ROW = (
    *_linear("inp_gate", "token_row", "dim"),
    *_linear("proj", "dim", "token_row"),
    ("post_norm.weight", "dim"),
)
ROUTED = (
    ("ffn_gate_inp.weight", "experts, dim"),
    ("ffn_gate_inp.bias?", "experts"),
    ("exp_probs_b.bias?", "experts"),
    ("exp_probs_b.weight?", "experts"),
    ("ffn_gate_tid2eid.weight?#", "vocabulary, used"),
    ("ffn_down_exps.weight=", "experts, narrow, expert"),
    ("ffn_down_exps.bias?#", "experts, narrow"),
)
APART = (
    ("ffn_gate_inp.scale", "dim"),
    ("post_ffw_norm_1.weight", "dim"),
    ("pre_ffw_norm_2.weight", "dim"),
    ("post_ffw_norm_2.weight", "dim"),
)
EXPERTS_FUSED = (
    ("ffn_gate_up_exps.weight=", "experts, 2*expert, narrow"),
    ("ffn_gate_up_exps.bias?#", "experts, 2*expert"),
)
EXPERTS_APART = (
    ("ffn_gate_exps.weight?=", "experts, expert, narrow"),
    ("ffn_gate_exps.bias?#", "experts, expert"),
    ("ffn_gate_exps.scale?#", "experts"),
    ("ffn_up_exps.weight=", "experts, expert, narrow"),
    ("ffn_up_exps.bias?#", "experts, expert"),
    ("ffn_up_exps.scale?#", "experts"),
)
SHARED_GATED = (("ffn_gate_shexp.weight", "shared, dim"), ("ffn_up_shexp.weight", "shared, dim"))
SHARED_FUSED = (("ffn_up_shexp.weight", "2*shared, dim"),)
SHARED = (("ffn_down_shexp.weight", "dim, shared"), ("ffn_gate_inp_shexp.weight?", "1, dim"))
# Experts that work on fewer numbers than the model's rows have.
NARROW = (
    ("ffn_routed_down.weight", "narrow, dim"),
    ("ffn_routed_norm.weight?", "narrow"),
    ("ffn_routed_up.weight", "dim, narrow"),
)
CHUNKS = (
    ("ffn_gate_chexps.weight=", "chunks, chunk, dim"),
    ("ffn_up_chexps.weight=", "chunks, chunk, dim"),
    ("ffn_down_chexps.weight=", "chunks, dim, chunk"),
)

# What joins a token's embedding with the row before it, and a head where it is not the model's.
NEXTN = (
    *_linear("nextn.eh_proj", "dim", "2*dim"),
    ("nextn.enorm.weight", "dim"),
    ("nextn.hnorm.weight", "dim"),
    ("nextn.shared_head_norm.weight?", "dim"),
    ("layer_output_norm.weight?", "dim"),
    ("nextn.shared_head_head.weight?", "vocabulary, dim"),
)

RANK = (
    ("cls.weight?#", "dim, dim"),
    ("cls.bias?", "dim"),
    ("cls.norm.weight?", "dim"),
    ("cls.output.weight?#", "labels, dim"),
    ("cls.output.bias?", "labels"),
)


def layer_table(arch: Arch, hparams: HParams, layer: LayerSpec, shape_of: ShapeOf) -> list[Wanted]:
    """The tensors of one layer, without `blk.N.`."""
    sizes = _sizes(arch, hparams, layer)
    rows = [*_attention(arch, layer, sizes, shape_of)] if layer.attends else []
    own = layer.mixer is not None and layer.mixer.own_feed_forward
    rows += [*_feed_forward(arch, layer, shape_of)] if layer.feeds and not own else []
    rows += [*_norms(arch, layer)]
    rows += ACROSS if arch.source else ()
    rows += [*ADAPTED_ATTENTION, *ADAPTED_DENSE] if hparams.adapters else []
    rows += TOKEN_ROW if layer.token_row else ()
    names = {ours: theirs for ours, theirs in arch.names if _has(shape_of, theirs, ours)}
    table = [_wanted(row, sizes, names) for row in rows]
    table = [want for want in table if want.name not in arch.unread]
    if arch.output_gate is OutputGate.WITH_QUERY:
        table = [part for want in table for part in _with_gate(want, layer)]
    for part in (layer.mixer, layer.inlet, hparams.residual, hparams.altup):
        table += part.tensors(hparams.embedding) if part else []
    return table


def nextn_table(arch: Arch, hparams: HParams, layer: LayerSpec, shape_of: ShapeOf) -> list[Wanted]:
    """The tensors of a layer that drafts tokens ahead, without `blk.N.`."""
    sizes = {"dim": hparams.embedding, "vocabulary": hparams.vocabulary}
    rows = (hparams.vocabulary, hparams.embedding)
    own = Wanted("nextn.embed_tokens.weight", rows, optional=True, raw=True)
    joining = [_wanted(row, sizes, {}) for row in NEXTN]
    return [*layer_table(arch, hparams, layer, shape_of), *joining, own]


def _has(shape_of: ShapeOf, theirs: str, ours: str) -> bool:
    """Whether the other name counts: not where the file has ours instead."""
    missing = shape_of(f"{theirs}.weight") is None
    return not (missing and shape_of(f"{ours}.weight") is not None)


def top_table(arch: Arch, hparams: HParams) -> list[Wanted]:
    """The tensors that belong to no layer."""
    sizes = {"dim": hparams.embedding, "vocabulary": hparams.vocabulary}
    sizes["context"] = hparams.context_length
    rows: list[Row] = [("token_embd.weight", "vocabulary, dim")]
    rows += () if arch.embeds else (*_linear("output?", "vocabulary", "dim"),)
    if hparams.pooling.kind is Pooling.RANK:
        sizes["labels"] = hparams.pooling.labels
        rows += RANK
    if arch.token_types:
        sizes["types"] = hparams.token_types
        rows += (("token_types.weight?#", "types, dim"),)
    if arch.norm_weights and arch.placement not in (Placement.BARE, Placement.SUMMED):
        rows += [("output_norm.weight", "dim"), ("output_norm.bias?", "dim")]
    if arch.normed_embedding:
        rows += [("token_embd_norm.weight?", "dim"), ("token_embd_norm.bias?", "dim")]
    if arch.learned_positions:
        sloped = "attention.max_alibi_bias" in dict(arch.reads)
        rows += [(f"position_embd.weight{'?' * sloped}#", "context, dim")]
    if hparams.pooling.dense:
        sizes["dense"] = hparams.pooling.dense
        rows += [("dense_2.weight#", "dense, dim"), ("dense_3.weight#", "dim, dense")]
    rows += (("hrm.z_l_init", "dim"),) if arch.flow is Flow.NESTED else ()
    turning = [layer.rope for layer in hparams.layers if layer.rope]
    if arch.rope_factors and turning:
        sizes["turns"] = max(rope.dim for rope in turning) // 2
        names = ("rope_freqs", "rope_factors_long", "rope_factors_short")
        rows += [(f"{name}.weight?", "turns") for name in names]
    table = [_wanted(row, sizes, dict(arch.names)) for row in rows]
    over: list[Wanted] = []
    for part in (hparams.residual, hparams.altup):
        over += part.model_tensors(hparams.embedding) if part else []
    over += _token_rows(hparams)
    for inlet in (layer.inlet for layer in hparams.layers if layer.inlet):
        over.append(Wanted("per_layer_token_embd.weight", (inlet.table_rows, inlet.dim), raw=True))
    return [want for want in table if want.name not in arch.unread] + over


def _token_rows(hparams: HParams) -> list[Wanted]:
    """What tokens' rows for each layer are made from."""
    spec = hparams.layers[0].token_row
    if spec is None:
        return []
    wide = spec.layers * spec.dim
    return [
        Wanted("per_layer_token_embd.weight", (hparams.vocabulary, wide), raw=True),
        Wanted("per_layer_model_proj.weight", (wide, hparams.embedding)),
        Wanted("per_layer_proj_norm.weight", (spec.dim,)),
    ]


def _attention(
    arch: Arch, layer: LayerSpec, sizes: dict[str, int], shape_of: ShapeOf
) -> Iterator[Row]:
    if arch.output_gate in (OutputGate.SIGMOID, OutputGate.SOFTPLUS):
        found = math.prod(shape_of("attn_gate.weight") or (0,))
        out = "latent_out" if layer.latent else "out"
        per_head = found == sizes["heads"] * sizes["dim"]
        yield "attn_gate.weight", f"{'heads' if per_head else out}, dim"
    if layer.latent is not None:
        yield from QUERY_RANK if layer.latent.query_rank else ()
        yield from () if layer.latent.query_rank else (("attn_q.weight", "latent_q, dim"),)
        yield from LATENT
        yield from ABSORBED if layer.latent.absorbed else EXPANDED
    else:
        rows = (*QKV, *BIASES) if shape_of("attn_qkv.weight") else QKV_APART
        rows = (*rows, *HEADS_OUT, *QK_NORMS[arch.qk_norm])
        unkept = BORROWED if layer.borrows_keys else ()
        unkept += ("attn_v",) if _keys_as_values(arch, layer, shape_of) else ()
        yield from (row for row in rows if not row[0].startswith(unkept))
        yield from (("attn_sub_norm.weight", "out"),) if arch.inner_norms else ()
        yield from (("attn_rel_b.weight?#", "buckets, heads"),) if arch.relative_bias else ()
    if layer.indexer is not None and layer.indexer.owner:
        yield from INDEXER if layer.latent else BLOCK_INDEXER
        yield from POOL_GATES if arch.indexer is Indexer.GATED_POOLS else ()


def _keys_as_values(arch: Arch, layer: LayerSpec, shape_of: ShapeOf) -> bool:
    """Whether the file leaves values out; not if they cannot be the keys."""
    made = shape_of("attn_v.weight") or shape_of("attn_qkv.weight")
    return arch.keys_as_values and made is None and layer.key_dim == layer.value_dim


def _feed_forward(arch: Arch, layer: LayerSpec, shape_of: ShapeOf) -> Iterator[Row]:
    routed = layer.experts is not None and shape_of("ffn_gate_inp.weight") is not None
    routed = routed and arch.feed_forward is not FeedForward.BARE
    optional = arch.dense is Dense.BESIDE and shape_of("ffn_up.weight") is None
    if not routed or (arch.dense is not Dense.INSTEAD and not optional):
        yield from DENSE[arch.feed_forward]
        yield from (("ffn_sub_norm.weight", "ff"),) if arch.inner_norms else ()
    if not routed:
        return
    if arch.dense is Dense.BEFORE:
        yield "ffn_norm_exps.weight", "dim"
    yield from APART if arch.dense is Dense.APART else ()
    yield "ffn_down_exps.scale?#", "experts"
    yield from ROUTED
    yield from EXPERTS_FUSED if shape_of("ffn_gate_up_exps.weight") else EXPERTS_APART
    if shape_of("ffn_up_shexp.weight") or (layer.experts and layer.experts.shares):
        fused = arch.feed_forward is FeedForward.FUSED or not shape_of("ffn_gate_shexp.weight")
        yield from SHARED_FUSED if fused else SHARED_GATED
        yield from SHARED
    if layer.experts and layer.experts.chunk:
        yield from CHUNKS
    if shape_of(f"{dict(arch.names).get('ffn_routed_down', 'ffn_routed_down')}.weight"):
        yield from NARROW


def _with_gate(want: Wanted, layer: LayerSpec) -> tuple[Wanted, ...]:
    """attn_q's rows are each head's query and then its gate: take them as two."""
    stem, _, suffix = want.alias.partition(".")
    if stem != "attn_q":
        return (want,)
    both = replace(want, shape=(2 * want.shape[0], *want.shape[1:]))
    queries, gates = (Turns(layer.heads, 2, part) for part in (0, 1))
    return replace(both, turns=queries), replace(both, turns=gates, alias=f"attn_gate.{suffix}")


def _norms(arch: Arch, layer: LayerSpec) -> Iterator[Row]:
    if arch.skip_embedding or arch.scaled_layers:
        yield f"layer_output_scale.weight{'?' * arch.scaled_layers}", "1"
    if not arch.norm_weights or arch.placement is Placement.BARE:
        return
    parallel = arch.placement is Placement.PARALLEL
    if arch.placement is Placement.SUMMED:
        yield from (*_norm("post_attention_norm"), *_norm("post_ffw_norm"))
        yield from _norm("attn_norm_2", "?")
        return
    if arch.placement is not Placement.POST:
        yield from _norm("attn_norm", "?" * arch.normed_embedding)
    if parallel:
        yield from (*_norm("attn_norm_2", "?"), *_norm("ffn_norm", "?"))
    elif arch.placement is not Placement.POST and _feeds_too(layer):
        yield from _norm("ffn_norm")
    if arch.placement in (Placement.POST, Placement.SANDWICH):
        yield from (*_norm("post_attention_norm"), *_norm("post_ffw_norm"))


def _feeds_too(layer: LayerSpec) -> bool:
    return layer.feeds and (layer.attends or layer.mixer is not None)


def _norm(name: str, optional: str = "") -> tuple[Row, Row]:
    return (f"{name}.weight{optional}", "dim"), (f"{name}.bias?", "dim")


def _wanted(row: Row, sizes: dict[str, int], names: dict[str, str]) -> Wanted:
    """A row with numbers for symbols. Marks: `?` optional, `#` plain numbers, `=` matrices."""
    name, symbols = row
    plain, optional = name.endswith("#"), "?" in name
    ours = name.rstrip("?#=")
    stem, _, suffix = ours.partition(".")
    theirs = f"{names[stem]}.{suffix}" if stem in names else ours
    shape = tuple(_size(text, sizes) for text in symbols.split(", "))
    return Wanted(theirs, shape, optional, plain, alias=ours)


def _size(text: str, sizes: dict[str, int]) -> int:
    """`a*b` or `a+b` of names and numbers."""
    if "+" in text:
        return sum(_size(part, sizes) for part in text.split("+"))
    # Words are symbols, digits numbers.
    return math.prod(int(p) if p.isdigit() else sizes[p] for p in text.split("*"))


def _sizes(arch: Arch, hparams: HParams, layer: LayerSpec) -> dict[str, int]:
    """What the symbols of shapes stand for in a layer."""
    heads, kv = layer.heads, layer.kv_heads
    sizes = {"dim": hparams.embedding, "heads": heads, "kv": kv, "key": layer.key_dim}
    sizes["buckets"] = int(hparams.given.get("attention.relative_buckets_count", 0))
    sizes |= {"q": heads * layer.key_dim, "k": kv * layer.key_dim, "v": kv * layer.value_dim}
    sizes |= {"out": heads * layer.value_dim, "qkv": sizes["q"] + sizes["k"] + sizes["v"]}
    sizes["ff"] = {
        DenseWidth.GIVEN: layer.feed_forward,
        DenseWidth.HALF: layer.feed_forward // 2,
        DenseWidth.EMBEDDING: hparams.embedding,
    }[arch.dense_width]
    if layer.experts:
        e = layer.experts
        sizes |= {"vocabulary": hparams.vocabulary, "used": e.used}
        sizes |= {"experts": e.count, "expert": e.feed_forward, "shared": e.shared}
        sizes["narrow"] = e.narrow or hparams.embedding
        sizes |= {"chunk": e.chunk, "chunks": e.count // e.per_chunk}
    if hparams.adapters:
        sizes |= {"slots": hparams.adapters.slots, "lora": hparams.adapters.rank}
    if layer.token_row:
        sizes["token_row"] = layer.token_row.dim
    if layer.latent:
        m = layer.latent
        sizes |= {"query_rank": m.query_rank, "rank": m.rank, "rope": m.rope_dim}
        sizes |= {"plain": m.plain_dim, "latent_v": m.value_dim, "latent_q": heads * m.key_dim}
        sizes |= {"latent_out": heads * m.value_dim}
        sizes |= {"latent_kv": heads * (m.plain_dim + m.value_dim)}
    if layer.indexer:
        i = layer.indexer
        sizes["pool"] = i.pool
        sizes |= {"index": i.dim, "index_heads": i.heads, "index_q": i.heads * i.dim}
    return sizes
