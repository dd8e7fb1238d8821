"""The numbers of a model, from its metadata, per layer where layers differ.

Keys are those of the GGUF specification, `{architecture}.` in front (ggml docs/gguf.md); what
llama.cpp takes for absent keys is the default here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..formats.errors import MetadataError
from ..formats.metadata import Metadata
from .arch import Arch, AttentionScale, Flow, Gate, Layers, Norm, Rope, RopeLayers
from .expert_spec import ExpertSpec, read_experts
from .flow_spec import FlowSpec, read_flow
from .indexer_spec import IndexerSpec, check_choosers, read_indexers
from .keys import Keys as Keys
from .latent_spec import LatentSpec, read_latent
from .pooling import PoolingSpec, read_pooling
from .rope_spec import RopeSpec, read_ropes
from .shared_keys import share_keys
from .temperature import Temperature, read_temperature
from .token_row_spec import TokenRowSpec, read_token_rows
from .windows import read_windows

if TYPE_CHECKING:
    from .blocks.adapters import Adapters
    from .blocks.altup import AltUp
    from .blocks.mixer import Mixer
    from .blocks.ngrams import Ngrams
    from .blocks.residuals import Residual

MAX_LAYERS = 2048
TAILS, TWENTIETH = 10, 1.6448533535003662  # 95 % of a normal lie below so many deviations
BUCKETS, MOST_BUCKETS = "attention.relative_buckets_count", 255


@dataclass(frozen=True)
class LayerSpec:
    """One layer's sizes; `window` 0 means all keys; whether it attends, mixes and feeds."""

    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    feed_forward: int
    window: int
    rope: RopeSpec | None
    experts: ExpertSpec | None = None
    latent: LatentSpec | None = None
    indexer: IndexerSpec | None = None
    attends: bool = True
    mixer: Mixer | None = None
    inlet: Ngrams | None = None
    feeds: bool = True
    # The activation's numbers, where it has any: alpha_n, alpha_p, beta, eps.
    xielu: tuple[float, float, float, float] | None = None
    # Its activation sees what lies so many deviations above the mean; None: all.
    tail: float | None = None
    # It attends to the keys and values of the last layer of its window that keeps any.
    borrows_keys: bool = False
    # Where its part of each token's rows lies.
    token_row: TokenRowSpec | None = None


@dataclass(frozen=True)
class HParams:
    """A model's sizes; `layers` holds one LayerSpec each."""

    context_length: int
    embedding: int
    vocabulary: int
    epsilon: float
    layers: tuple[LayerSpec, ...]
    attention_scale: float
    final_soft_cap: float
    # The numbers that the spec reads beyond these, by key.
    given: dict[str, float]
    flow: FlowSpec
    # What a block's parts are multiplied with; 0: nothing.
    residual_scale: float = 0.0
    residual: Residual | None = None
    altup: AltUp | None = None
    adapters: Adapters | None = None
    temperature: Temperature | None = None
    pooling: PoolingSpec = field(default_factory=PoolingSpec)
    # Kinds of token, of which the first is every token's.
    token_types: int = 0
    # Of the stack that reads a source, and the token that answers to it begin with.
    source: HParams | None = None
    start: int | None = None


def read_hparams(metadata: Metadata, arch: Arch, vocabulary: int) -> HParams:
    """Read and check the numbers. Raises one MetadataError that names every key that is wrong."""
    keys = Keys(metadata, arch.name)
    try:
        hparams = _read(keys, arch, vocabulary)
    except MetadataError as error:
        keys.note(error)
        keys.check()
        raise
    keys.check()
    return hparams


def _read(keys: Keys, arch: Arch, vocabulary: int) -> HParams:
    count = keys.integer("block_count", 1, MAX_LAYERS)
    if arch.source is not None:
        count = keys.integer("decoder_block_count", 1, MAX_LAYERS, count)
    # Layers at the end that only draft tokens ahead take no part.
    count -= keys.integer("nextn_predict_layers", 0, max(0, count - 1), 0)
    flow = read_flow(keys, arch, count)
    layers = share_keys(keys, arch, _layers(keys, arch, count))
    layers = layers * (flow.passes if arch.flow is Flow.LOOPS else 1)
    made = make_layers(keys, arch, layers)
    check_choosers(keys, [layer.indexer for layer in made if layer.indexer])
    given = {key: keys.number(key, default) for key, default in arch.reads}
    if arch.relative_bias:
        keys.integer(BUCKETS, 4, MOST_BUCKETS, 32)
    return HParams(
        context_length=keys.integer("context_length", 1, 1 << 40),
        embedding=keys.integer("embedding_length", 1, 1 << 20),
        vocabulary=vocabulary,
        epsilon=_epsilon(keys, arch),
        layers=made,
        attention_scale=_scale(keys, arch, layers[0], given),
        final_soft_cap=given.get("final_logit_softcapping", 0.0),
        given=given,
        flow=flow,
        residual_scale=_residual_scale(arch, given, count),
        residual=arch.residual(keys) if arch.residual else None,
        altup=arch.altup(keys) if arch.altup else None,
        adapters=arch.adapters(keys, vocabulary) if arch.adapters else None,
        temperature=read_temperature(keys, arch),
        pooling=read_pooling(keys),
        token_types=_token_types(keys.metadata) if arch.token_types else 0,
        source=_read(keys, arch.source, vocabulary) if arch.source else None,
        start=_start(keys, vocabulary) if arch.source else None,
    )


def _start(keys: Keys, vocabulary: int) -> int | None:
    """The file's first token of an answer, else what begins a text, else what fills one up."""
    text = "tokenizer.ggml"
    places = ((keys.prefix, "decoder_start"), (text, "bos"), (text, "padding"))
    for prefix, name in places:
        if f"{prefix}.{name}_token_id" in keys.metadata:
            here = Keys(keys.metadata, prefix)
            found = here.integer(f"{name}_token_id", 0, vocabulary - 1)
            here.check()
            return found
    return None


def read_nextn(metadata: Metadata, arch: Arch) -> tuple[LayerSpec, ...]:
    """The layers behind the last, which draft tokens ahead: they attend to all keys they may.

    Raises MetadataError as `read_hparams` does.
    """
    keys = Keys(metadata, arch.name)
    count = keys.integer("block_count", 1, MAX_LAYERS)
    ahead = keys.integer("nextn_predict_layers", 0, max(0, count - 1), 0)
    found = _layers(keys, arch, count)[count - ahead :] if ahead else []
    keys.check()
    for layer in found:
        _check_heads(arch, layer)
    return tuple(replace(layer, indexer=None) for layer in found)


def _token_types(metadata: Metadata) -> int:
    key = "tokenizer.ggml.token_type_count"
    count = metadata.integer(key, 0)
    if not 0 <= count <= 1 << 16:
        raise MetadataError(key, None, str(count), "a whole number from 0 to 65536")
    return count


def _layers(keys: Keys, arch: Arch, count: int) -> list[LayerSpec]:
    """Each layer's sizes, before it is said which of them attend."""
    heads = keys.per_layer("attention.head_count", count, None, 1 << 14)
    kv_heads = keys.per_layer("attention.head_count_kv", count, heads[0], 1 << 14)
    feed_forward = keys.per_layer("feed_forward_length", count, None, 1 << 22)
    windows = read_windows(keys, arch, count)
    dims = _head_dims(keys, max(*heads, 1))
    ropes = read_ropes(keys, arch, (dims[0][0], dims[1][0]))
    dense = keys.integer("leading_dense_block_count", 0, count, 0)
    indexers = read_indexers(keys, arch, windows, dense)
    token_rows = read_token_rows(keys, arch, count)
    layers = []
    for i, window in enumerate(windows):
        local = bool(window)
        turns = _turns(keys, arch, i, windows, dense)
        sizes = heads[i], kv_heads[i], *dims[local], feed_forward[i]
        layer = LayerSpec(*sizes, window, ropes[local])
        latent = read_latent(keys, arch, dims[local], layer.rope, local)
        layers.append(
            replace(
                _latent_sizes(layer, latent),
                rope=ropes[local] if turns else None,
                indexer=indexers[i],
                experts=read_experts(keys, arch, i, count, layer),
                xielu=read_xielu(keys, count)[i] if arch.gate is Gate.XIELU else None,
                tail=read_tails(keys, count)[i] if arch.gate is Gate.GELU_OF_TAIL else None,
                token_row=token_rows[i],
            )
        )
    return layers


def read_xielu(keys: Keys, count: int) -> list[tuple[float, float, float, float]]:
    """Each layer's numbers of xIELU, whose keys have no architecture in front."""
    bare = Keys(keys.metadata, "xielu")
    names = ("alpha_n", "alpha_p", "beta", "eps")
    found = [bare.numbers(name, count, 0.0) for name in names]
    return list(zip(*found, strict=True))


def read_tails(keys: Keys, count: int) -> list[float | None]:
    """How many deviations above the mean each layer's activation begins; minus infinity: it sees
    all. Without the key the first layers let a twentieth of a normal through.
    """
    key = "activation_sparsity_scale"
    found = [TWENTIETH] * min(TAILS, count) + [-math.inf] * max(0, count - TAILS)
    if f"{keys.prefix}.{key}" in keys.metadata:
        found = keys.numbers(key, count, 0.0)
    if not all(tail < math.inf for tail in found):
        keys.note(MetadataError(f"{keys.prefix}.{key}", None, str(found[:8]), "numbers"))
    return [tail if math.isfinite(tail) else None for tail in found]


def _head_dims(keys: Keys, heads: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Key and value dims of a head, in layers that see everything and in local ones."""
    default = max(1, keys.integer("embedding_length", 1, 1 << 20) // heads)
    key = keys.integer("attention.key_length", 1, 1 << 14, default)
    value = keys.integer("attention.value_length", 1, 1 << 14, default)
    local_key = keys.integer("attention.key_length_swa", 1, 1 << 14, key)
    return (key, value), (local_key, keys.integer("attention.value_length_swa", 1, 1 << 14, value))


def _latent_sizes(layer: LayerSpec, latent: LatentSpec | None) -> LayerSpec:
    """What latent attention keeps of a position: one row for all heads, or every head's."""
    if latent is None or not layer.kv_heads:
        return layer
    if latent.absorbed:
        row = latent.rank + latent.rope_dim
        return replace(layer, kv_heads=1, key_dim=row, value_dim=latent.rank, latent=latent)
    return replace(layer, kv_heads=layer.heads, latent=latent)


def make_layers(keys: Keys, arch: Arch, layers: list[LayerSpec]) -> tuple[LayerSpec, ...]:
    """Say of each layer whether it attends, mixes and feeds; without attention no keys are kept."""
    listed = _listed(keys, arch, len(layers)) if arch.layers is Layers.LISTED else []
    made = []
    for i, layer in enumerate(layers):
        one_of_three = arch.layers is Layers.ONE_OF_THREE
        mixes = {
            Layers.ATTENTION: False,
            Layers.MIXER: True,
            Layers.MIXER_FED: True,
            Layers.BESIDE: True,
            Layers.BY_HEADS: layer.kv_heads == 0,
            Layers.LISTED: bool(listed and listed[i]),
            Layers.ONE_OF_THREE: layer.kv_heads == 0 and layer.feed_forward == 0,
        }[arch.layers]
        feeds = layer.feed_forward > 0 if one_of_three else arch.layers is not Layers.MIXER
        attends = arch.layers is Layers.BESIDE or not (mixes or (one_of_three and feeds))
        if attends:
            _check_heads(arch, layer)
        else:
            layer = replace(layer, heads=0, kv_heads=0, indexer=None)
        made.append(
            replace(
                layer,
                attends=attends,
                mixer=arch.mixer(keys, i) if arch.mixer and mixes else None,
                inlet=arch.inlet(keys, i) if arch.inlet else None,
                feeds=feeds,
            )
        )
    return tuple(made)


def _listed(keys: Keys, arch: Arch, count: int) -> list[int]:
    if f"{keys.prefix}.attention.recurrent_layers" in keys.metadata:
        return keys.per_layer("attention.recurrent_layers", count, None, 1)
    period = keys.integer("full_attention_interval", 1, 1 << 20, arch.attention_period)
    return [int(layer % period != period - 1) for layer in range(count)]


def _check_heads(arch: Arch, layer: LayerSpec) -> None:
    if layer.heads < 1 or layer.kv_heads < 1 or layer.heads % layer.kv_heads:
        name = f"{arch.name}.attention.head_count_kv"
        wanted = f"a divisor of head_count, which is {layer.heads}"
        raise MetadataError(name, None, str(layer.kv_heads), wanted)


def _epsilon(keys: Keys, arch: Arch) -> float:
    key = f"attention.layer_norm{'_rms' * (arch.norm is Norm.RMS)}_epsilon"
    epsilon = keys.number(key, dict(arch.reads).get(key))
    if not 0 <= epsilon <= 1:
        keys.note(MetadataError(f"{keys.prefix}.{key}", None, str(epsilon), "a number from 0 to 1"))
    return epsilon


def _scale(keys: Keys, arch: Arch, layer: LayerSpec, given: dict[str, float]) -> float:
    width = max(1, keys.integer("embedding_length", 1, 1 << 20) // max(1, layer.heads))
    natural = {
        AttentionScale.ROOT: 1 / layer.key_dim**0.5,
        AttentionScale.LINEAR: 1 / layer.key_dim,
        AttentionScale.ROOT_WIDTH: 1 / width**0.5,
        AttentionScale.ONE: 1.0,
    }[arch.attention_scale]
    return given.get("attention.scale", 0.0) or given.get("attention.output_scale", 0.0) or natural


def _residual_scale(arch: Arch, given: dict[str, float], layers: int) -> float:
    return given.get("residual_scale", 0.0) or arch.depth_scale / layers**0.5


def _turns(keys: Keys, arch: Arch, layer: int, windows: list[int], dense: int) -> bool:
    """Whether a layer turns queries and keys."""
    local, any_local, listed = bool(windows[layer]), any(windows), [1] * len(windows)
    if arch.rope_layers is RopeLayers.LISTED:
        listed = keys.per_layer("attention.rope_pattern", len(windows), 1, 1)
    if arch.rope is Rope.NONE:
        return False
    return {
        RopeLayers.ALL: True,
        RopeLayers.LOCAL: local,
        RopeLayers.LOCAL_AND_DENSE: local or layer < dense,
        RopeLayers.LISTED: bool(listed[layer]),
        RopeLayers.SKIP_FOURTH: layer % 4 != 3,
        RopeLayers.SKIP_FIRST: not any_local or layer % 4 != 0,
    }[arch.rope_layers]
