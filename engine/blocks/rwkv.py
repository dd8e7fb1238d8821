"""RWKV's time mix and channel mix: rows are blended with the row before them, then projected.

    blend(x, m) = x + m (x_before - x)        time mix: r, w, k, v, g from blends of their own
    time mix(x) = out(g * norm(wkv(r, w, k, v)))        channel mix(x) = value(relu(key(blend))^2)

The recurrences are in kernels/wkv.py. Files of models made from Qwen have Qwen's feed-forward part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.wkv import GATED, SHIFT, WKV6, WKV7
from ..keys import Keys
from ..tables import Wanted
from .layer import Array, Layer
from .mixer import Mixer

F64 = NDArray[np.float64]
GROUP_EPSILON = 64e-5
DECAY = -0.606531  # -exp(-1/2), as models are trained with it


def _sigmoid(x: F64) -> F64:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Rwkv(Mixer):
    """What both generations share; `feed` 0: the feed-forward part is not of this kind."""

    dim: int
    head: int
    feed: int
    last: float

    @property
    def heads(self) -> int:
        return self.dim // self.head

    @property
    def own_feed_forward(self) -> bool:
        """Whether `feed_forward` stands for the layer's."""
        return self.feed > 0

    @property
    def after(self) -> float:
        """What the layer's result is multiplied with."""
        return self.last

    def states(self) -> dict[str, tuple[int, ...]]:
        """The row before, for each part, and a matrix per head."""
        shifts = {"shift": (self.dim,)} | ({"feed_shift": (self.dim,)} if self.feed else {})
        return shifts | {"wkv": (self.heads, self.head, self.head)}

    def _vectors(self, *names: str, optional: bool = False) -> list[Wanted]:
        return [Wanted(f"{name}.weight", (self.dim,), optional) for name in names]

    def _change(self, layer: Layer, name: str, h: Array) -> Array:
        """The row before minus this one."""
        ops = layer.ops
        before = ops.recur(SHIFT, h.shape, layer.states[name], [h], [])
        return ops.add(before, ops.scale(h, -1.0))

    def _per_head(self, x: Array) -> Array:
        return x.reshape(len(x), self.heads, self.head)

    def _group_normed(self, layer: Layer, y: Array) -> Array:
        """Each head normed by itself, if the file has the norm's weights and biases."""
        w, ops = layer.w, layer.ops
        if w.time_mix_ln is None or w.time_mix_ln_bias is None:
            return y.reshape(len(y), -1)
        y = ops.layer_norm(y, None, None, GROUP_EPSILON).reshape(len(y), -1)
        return ops.add(ops.multiply(y, w.time_mix_ln), w.time_mix_ln_bias)


def _feed(keys: Keys, fed: bool, layer: int) -> int:
    blocks = keys.integer("block_count", 1, 1 << 12)
    return keys.per_layer("feed_forward_length", blocks, None, 1 << 22)[layer] if fed else 0


@dataclass(frozen=True)
class Rwkv7(Rwkv):
    """Ranks of decay, rate, the value's way from the first layer, and gate (0: none)."""

    ranks: tuple[int, int, int, int]

    @staticmethod
    def read(keys: Keys, layer: int, fed: bool = True) -> Rwkv7:
        """From `wkv.head_size` and `attention.*_lora_rank`."""
        dim = keys.integer("embedding_length", 1, 1 << 20)
        names = ("decay", "iclr", "value_residual_mix")
        ranks = [keys.integer(f"attention.{name}_lora_rank", 1, dim) for name in names]
        ranks.append(keys.integer("attention.gate_lora_rank", 0, dim, 0))
        if layer == 0:
            ranks[2] = ranks[1]  # not used, but there
        head = _divisor(keys, dim)
        a, b, c, d = ranks
        return Rwkv7(dim, head, _feed(keys, fed, layer), 1.0, (a, b, c, d))

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        dim, square = self.dim, (self.dim, self.dim)
        table = self._vectors(*(f"time_mix_{x}" for x in ("w0", "a0", "v0", "k_k", "k_a")))
        table += [Wanted("time_mix_r_k.weight", (dim,))]
        for name, rank in zip("wavg", self.ranks, strict=True):
            if rank:
                table += [
                    Wanted(f"time_mix_{name}1.weight", (rank, dim)),
                    Wanted(f"time_mix_{name}2.weight", (dim, rank)),
                ]
        blends = 6 if self.ranks[3] else 5
        table += [Wanted("time_mix_lerp_fused.weight", (blends, 1, 1, dim), plain=True)]
        table += [
            Wanted(f"time_mix_{name}.weight", square)
            for name in ("key", "value", "receptance", "output")
        ]
        table += self._vectors("time_mix_ln", optional=not self.feed)
        table += [Wanted("time_mix_ln.bias", (dim,), optional=not self.feed)]
        if self.feed:
            table += self._vectors("channel_mix_lerp_k")
            table += [
                Wanted("channel_mix_key.weight", (self.feed, dim)),
                Wanted("channel_mix_value.weight", (dim, self.feed)),
            ]
        return table

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, ops = layer.w, layer.ops
        change = self._change(layer, "shift", h)
        weights = w.time_mix_lerp_fused.reshape(-1, self.dim)
        blends = [ops.add(h, ops.multiply(change, np.ascontiguousarray(m))) for m in weights]
        xr, xw, xk, xv, xa = blends[:5]
        r, k = ops.matmul(w.time_mix_receptance, xr), ops.matmul(w.time_mix_key, xk)
        v = self._value(layer, xv)
        low = ops.soft_cap(ops.matmul(w.time_mix_w1, xw), 1.0)
        decay = self._decay(layer, ops.matmul(w.time_mix_w2, low))
        rate = ops.matmul(w.time_mix_a2, ops.matmul(w.time_mix_a1, xa))
        rate = ops.twin(lambda x, x0: _sigmoid(x + x0), h.shape, rate, w.time_mix_a0)
        removed, added, k = self._keys(layer, k, rate)
        parts = [self._per_head(x) for x in (r, k, v, decay, removed, added)]
        y = ops.recur(WKV7, parts[0].shape, layer.states["wkv"], parts, [])
        y = ops.add(self._group_normed(layer, y), self._bonus(layer, r, k, v))
        if self.ranks[3]:
            y = ops.multiply(y, self._gate(layer, blends[5]))
        return ops.matmul(w.time_mix_output, y)

    def _decay(self, layer: Layer, x: Array) -> Array:
        def decay(x: F64, x0: F64) -> F64:
            return np.exp(DECAY * _sigmoid(x + x0))

        return layer.ops.twin(decay, x.shape, x, layer.w.time_mix_w0)

    def _value(self, layer: Layer, xv: Array) -> Array:
        """The first layer's value, and in later layers a blend with it."""
        w, ops = layer.w, layer.ops
        v = ops.matmul(w.time_mix_value, xv)
        first = layer.passed_on.setdefault("value", v)
        if first is v:
            return v
        share = ops.matmul(w.time_mix_v2, ops.matmul(w.time_mix_v1, xv))

        def blend(v: F64, first: F64, x: F64, x0: F64) -> F64:
            return v + (first - v) * _sigmoid(x + x0)

        return ops.twin(blend, v.shape, v, first, share, w.time_mix_v0)

    def _keys(self, layer: Layer, k: Array, rate: Array) -> tuple[Array, Array, Array]:
        """What is looked up and removed, what is written instead, and the key."""
        w, ops, heads = layer.w, layer.ops, self.heads

        def removed(k: F64, k_k: F64) -> F64:
            x = (k * k_k).reshape(len(k), heads, -1)
            length = np.sqrt(np.add.reduce(x * x, axis=-1, keepdims=True))
            return -x / np.maximum(length, 1e-12)

        def key(k: F64, rate: F64, k_a: F64) -> F64:
            return k + k * k_a * (rate - 1)

        a = ops.twin(removed, k.shape, k, w.time_mix_k_k)
        b = ops.scale(ops.multiply(a, rate), -1.0)
        return a, b, ops.twin(key, k.shape, k, rate, w.time_mix_k_a)

    def _bonus(self, layer: Layer, r: Array, k: Array, v: Array) -> Array:
        """The row's own value, by how well its key answers."""
        heads = self.heads

        def bonus(r: F64, k: F64, v: F64, r_k: F64) -> F64:
            x = (r * k * r_k).reshape(len(r), heads, -1)
            return v.reshape(x.shape) * np.add.reduce(x, axis=-1, keepdims=True)

        return layer.ops.twin(bonus, v.shape, r, k, v, layer.w.time_mix_r_k)

    def _gate(self, layer: Layer, xg: Array) -> Array:
        w, ops = layer.w, layer.ops
        low = ops.matmul(w.time_mix_g1, xg)
        return ops.matmul(w.time_mix_g2, ops.twin(_sigmoid, low.shape, low))

    def feed_forward(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, ops = layer.w, layer.ops
        change = self._change(layer, "feed_shift", h)
        x = ops.add(h, ops.multiply(change, w.channel_mix_lerp_k))
        k = ops.activate("relu_squared", ops.matmul(w.channel_mix_key, x))
        return ops.matmul(w.channel_mix_value, k)


@dataclass(frozen=True)
class Rwkv6(Rwkv):
    """Ranks of the blends and of the decay; how many of the heads have keys."""

    blend: int
    decay: int
    kv_heads: int

    @staticmethod
    def read(keys: Keys, layer: int, fed: bool = True) -> Rwkv6:
        """From `wkv.head_size`, `time_mix_extra_dim` and `time_decay_extra_dim`."""
        dim = keys.integer("embedding_length", 1, 1 << 20)
        head, blocks = _divisor(keys, dim), keys.integer("block_count", 1, 1 << 12)
        period = keys.integer("rescale_every_n_layers", 0, 1 << 12, 0)
        last = 0.5 if fed and period and (layer + 1) % period == 0 else 1.0
        kv_heads = 0 if fed else keys.per_layer("attention.head_count_kv", blocks, 0, dim)[layer]
        return Rwkv6(
            dim, head, _feed(keys, fed, layer), last,
            keys.integer("time_mix_extra_dim", 1, dim),
            keys.integer("time_decay_extra_dim", 1, dim),
            kv_heads or dim // head,
        )  # fmt: skip

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        dim, square, keys = self.dim, (self.dim, self.dim), self.kv_heads * self.head
        table = self._vectors("time_mix_lerp_x", "time_mix_decay")
        table += self._vectors(*(f"time_mix_lerp_{x}" for x in "wkvrg"), optional=True)
        table += [
            Wanted("time_mix_lerp_fused.weight", (5, 1, 1, dim), optional=True, plain=True),
            Wanted("time_mix_w1.weight", (5 * self.blend, dim)),
            Wanted("time_mix_w2.weight", (5, dim, self.blend), plain=True),
            Wanted("time_mix_first.weight", (self.heads, self.head), not self.feed, plain=True),
            Wanted("time_mix_decay_w1.weight", (self.decay, dim)),
            Wanted("time_mix_decay_w2.weight", (dim, self.decay)),
            Wanted("time_mix_ln.bias", (dim,), optional=not self.feed),
        ]
        table += self._vectors("time_mix_ln", optional=not self.feed)
        for name, rows in (("key", keys), ("value", keys), ("receptance", dim)):
            table += [Wanted(f"time_mix_{name}.weight", (rows, dim))]
            table += [Wanted(f"time_mix_{name}.bias", (rows,), optional=True)]
        table += [Wanted(f"time_mix_{name}.weight", square) for name in ("gate", "output")]
        if self.feed:
            table += self._vectors("channel_mix_lerp_k", "channel_mix_lerp_r")
            table += [
                Wanted("channel_mix_key.weight", (self.feed, dim)),
                Wanted("channel_mix_value.weight", (dim, self.feed)),
                Wanted("channel_mix_receptance.weight", square),
            ]
        return table

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, ops = layer.w, layer.ops
        gated = w.time_mix_first is None
        xw, xk, xv, xr, xg = self._blends(layer, h)
        r = layer.linear("time_mix_receptance", xr)
        k, v = layer.linear("time_mix_key", xk), layer.linear("time_mix_value", xv)
        low = ops.soft_cap(ops.matmul(w.time_mix_decay_w1, xw), 1.0)
        decay = ops.matmul(w.time_mix_decay_w2, low)
        decay = ops.twin(lambda x, x0: np.exp(-np.exp(x + x0)), h.shape, decay, w.time_mix_decay)
        k, v = self._repeated(layer, k), self._repeated(layer, v)
        if gated:
            k = ops.twin(lambda k, w: k - k * w, k.shape, k, decay)
            r = ops.scale(r, self.head**-0.5)
        parts = [self._per_head(x) for x in (r, k, v, decay)]
        recurrence, weights = (GATED, []) if gated else (WKV6, [w.time_mix_first])
        y = ops.recur(recurrence, parts[0].shape, layer.states["wkv"], parts, weights)
        y, g = self._group_normed(layer, y), ops.matmul(w.time_mix_gate, xg)
        y = ops.gate("sigmoid" if gated else "silu", g, y)
        return ops.matmul(w.time_mix_output, y)

    def _blends(self, layer: Layer, h: Array) -> list[Array]:
        """Blends for w, k, v, r, g; how much of the row before is itself read from a blend."""
        w, ops, rank = layer.w, layer.ops, self.blend
        change = self._change(layer, "shift", h)
        x = ops.add(h, ops.multiply(change, w.time_mix_lerp_x))
        low = ops.soft_cap(ops.matmul(w.time_mix_w1, x), 1.0)
        if w.time_mix_lerp_fused is None:
            lerps = np.stack([getattr(w, f"time_mix_lerp_{x}") for x in "wkvrg"])
        else:
            lerps = w.time_mix_lerp_fused.reshape(5, -1)
        blends = []
        for i in range(5):

            def blend(h: F64, change: F64, low: F64, w2: F64, lerp: F64, i: int = i) -> F64:
                part = low[:, i * rank : (i + 1) * rank]
                share = np.stack([np.einsum("dk,k->d", w2, row) for row in part])
                return h + change * (share + lerp)

            blends.append(ops.twin(blend, h.shape, h, change, low, w.time_mix_w2[i], lerps[i]))
        return blends

    def _repeated(self, layer: Layer, x: Array) -> Array:
        """Keys or values for every head."""
        group = self.heads // self.kv_heads
        if group == 1:
            return x

        def repeated(x: F64) -> F64:
            return np.repeat(x.reshape(len(x), self.kv_heads, -1), group, axis=1)

        return layer.ops.twin(repeated, (len(x), self.dim), x)

    def feed_forward(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, ops = layer.w, layer.ops
        change = self._change(layer, "feed_shift", h)
        xk = ops.add(h, ops.multiply(change, w.channel_mix_lerp_k))
        xr = ops.add(h, ops.multiply(change, w.channel_mix_lerp_r))
        k = ops.activate("relu_squared", ops.matmul(w.channel_mix_key, xk))
        r = ops.matmul(w.channel_mix_receptance, xr)
        return ops.gate("sigmoid", r, ops.matmul(w.channel_mix_value, k))


def _divisor(keys: Keys, dim: int) -> int:
    return keys.divisor("wkv.head_size", dim)
