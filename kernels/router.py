"""Routers of experts: scores of each row's logits, the best of them, and their weights.

scores = f(logits),   chosen = top(scores + bias),   w = scale * scores[chosen], maybe normed

f is a softmax, a sigmoid, sqrt(softplus), or nothing with a softmax of the chosen. Of equal ones
the first is chosen. Where nothing is added to scores they need no comparing: f keeps the order of
logits, which are exact. Experts may stand in groups of which only the best are open, by a group's
two best (DeepSeek-AI, V3, 2024). A row is handled by itself, so its bits depend on no other.

What is not a number is chosen last, so that ids are always those of experts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .simd import (
    div,
    exceeds,
    iota,
    isplat,
    less,
    load_f32,
    load_f32x16,
    load_first,
    max_lanes,
    select,
    splat,
    sqrt,
    store_f32,
    store_f32x16,
    store_first,
    sum_lanes,
    to_f32,
    vmax,
)
from .tape import Kernel
from .vmath import exp, sigmoid, softplus

F64 = NDArray[np.float64]
LEAST = 6.103515625e-5  # the smallest normal float16: a sum of weights is not taken for less
LOWEST = float(np.finfo(np.float32).min)  # an expert that is closed, or whose rank is no number
TAKEN = -np.inf


@dataclass(frozen=True)
class Routing:
    """How a router chooses `used` experts: `scores` names f; `groups_used` of `groups` are open."""

    scores: str
    used: int
    normed: bool = False
    scale: float = 1.0
    groups: int = 1
    groups_used: int = 1


# --- twins ---------------------------------------------------------------------------------------


def _sum_ref(x: F64) -> F64:
    """Over the last axis, from its first number on, whatever the number of rows."""
    return np.cumsum(x, axis=-1)[..., -1:]


def softmax_ref(x: F64) -> F64:
    """exp(x) / sum of exp(x), over the last axis."""
    p: F64 = np.exp(x - x.max(-1, keepdims=True))
    return p / _sum_ref(p)


def _sigmoid_ref(x: F64) -> F64:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


SCORES_REF: dict[str, Callable[[F64], F64]] = {
    "softmax": softmax_ref,
    "sigmoid": _sigmoid_ref,
    "softmax_of_chosen": lambda x: x,
    "sqrt_softplus": lambda x: np.sqrt(np.logaddexp(0, x)),
}


def choose_ref(rule: Routing, logits: F64, bias: Any = None) -> F64:
    """logits [rows, experts] -> ids of the chosen, best first: [rows, used]."""
    if bias is None and rule.groups == 1:
        ranks = logits
    else:
        scores = SCORES_REF[rule.scores](logits)
        ranks = _open_groups_ref(rule, scores if bias is None else scores + bias)
    return np.argsort(-ranks, axis=-1, kind="stable")[:, : rule.used].astype(np.float64)


def weigh_ref(rule: Routing, logits: F64, ids: F64) -> F64:
    """Weights of experts `ids` [rows, used] by logits [rows, experts]."""
    chosen = np.take_along_axis(SCORES_REF[rule.scores](logits), ids.astype(np.int64), -1)
    weights = softmax_ref(chosen) if rule.scores == "softmax_of_chosen" else chosen
    if rule.normed:
        weights = weights / np.maximum(_sum_ref(weights), LEAST)
    return weights * rule.scale


def route_ref(rule: Routing, logits: F64, bias: Any = None, factors: Any = None) -> tuple[F64, F64]:
    """Ids and weights [rows, used] each; an expert's factor multiplies its weight."""
    ids = choose_ref(rule, logits, bias)
    weights = weigh_ref(rule, logits, ids)
    return ids, weights if factors is None else weights * factors[ids.astype(np.int64)]


def _open_groups_ref(rule: Routing, ranks: F64) -> F64:
    """-inf for experts outside the best groups."""
    if rule.groups == 1:
        return ranks
    grouped = ranks.reshape(len(ranks), rule.groups, -1)
    best = _sum_ref(-np.sort(-grouped, axis=-1)[..., :2])[..., 0]
    order = np.argsort(-best, axis=-1, kind="stable")
    out = np.full_like(grouped, -np.inf)
    for rank in range(rule.groups_used):
        rows, group = np.arange(len(ranks)), order[:, rank]
        out[rows, group] = grouped[rows, group]
    return out.reshape(ranks.shape)


# --- scores: functions (x, out, count) over one row ----------------------------------------------


def _each(function: Any) -> Any:
    @inline
    def scores(x, out, count):
        for i in range(0, count, 16):
            n = min(16, count - i)
            store_first(out + 4 * i, function(load_first(x + 4 * i, n)), n)

    return scores


@inline
def softmax(x, out, count):
    """Over one row; sums in 16 lanes, then as a tree."""
    top = splat(load_f32(x))
    for i in range(0, count, 16):
        n = min(16, count - i)
        top = vmax(select(less(iota(), isplat(n)), load_first(x + 4 * i, n), top), top)
    top = splat(max_lanes(top))
    total = splat(0.0)
    for i in range(0, count, 16):
        n = min(16, count - i)
        power = exp(load_first(x + 4 * i, n) - top)
        total = total + select(less(iota(), isplat(n)), power, splat(0.0))
        store_first(out + 4 * i, power, n)
    total = splat(sum_lanes(total))
    for i in range(0, count, 16):
        n = min(16, count - i)
        store_first(out + 4 * i, div(load_first(out + 4 * i, n), total), n)


_softplus_each = _each(softplus)


@inline
def _sqrt_softplus(x, out, count):
    _softplus_each(x, out, count)
    for i in range(count):
        store_f32(out + 4 * i, sqrt(load_f32(out + 4 * i)))


SCORES: dict[str, Any] = {
    "softmax": softmax,
    "sigmoid": _each(sigmoid),
    "softmax_of_chosen": _each(inline(lambda x: x)),
    "sqrt_softplus": _sqrt_softplus,
}


# --- choosing ------------------------------------------------------------------------------------


@inline
def rank(values, bias, ranks, count):
    """ranks = values, plus bias if given: all above TAKEN, but for what fills 16 lanes up."""
    for i in range(0, count, 16):
        n = min(16, count - i)
        value = load_first(values + 4 * i, n)
        if bias:
            value = value + load_first(bias + 4 * i, n)
        value = vmax(value, splat(LOWEST))
        store_f32x16(ranks + 4 * i, select(less(iota(), isplat(n)), value, splat(TAKEN)))


@inline
def take_best(ranks, count):
    """The place of the highest rank, the first of equal ones; it is marked as taken."""
    best, places = splat(TAKEN), splat(0.0)
    place = to_f32(iota())
    for i in range(0, count, 16):
        value = load_f32x16(ranks + 4 * i)
        better = exceeds(value, best)
        best, places = select(better, value, best), select(better, place, places)
        place = place + splat(16.0)
    others = exceeds(splat(max_lanes(best)), best)
    first = int(-max_lanes(select(others, splat(TAKEN), splat(0.0) - places)))
    store_f32(ranks + 4 * first, TAKEN)
    return first


@inline
def close_groups(ranks, sums, count, groups, used):
    """Experts outside the `used` best groups get the lowest rank; sums [groups] is scratch."""
    size = count // groups
    for group in range(groups):
        first = second = np.float32(TAKEN)
        for i in range(group * size, (group + 1) * size):
            value = load_f32(ranks + 4 * i)
            if value > first:
                first, second = value, first
            elif value > second:
                second = value
        if size > 1:
            first = first + second if second > LOWEST else np.float32(LOWEST)
        store_f32(sums + 4 * group, first)
    rank(sums, 0, sums, groups)
    for _ in range(used):
        take_best(sums, groups)
    for i in range(count):
        if load_f32(sums + 4 * (i // size)) > TAKEN:
            store_f32(ranks + 4 * i, LOWEST)


@inline
def norm(weights, count):
    """Weights over their sum, which is not taken for less than LEAST."""
    total = splat(0.0)
    for i in range(0, count, 16):
        total = total + load_first(weights + 4 * i, min(16, count - i))
    whole = sum_lanes(total)
    divisor = splat(np.float32(LEAST) if whole < LEAST else whole)
    for i in range(0, count, 16):
        n = min(16, count - i)
        store_first(weights + 4 * i, div(load_first(weights + 4 * i, n), divisor), n)


@functools.cache
def router(scores: str) -> Kernel:
    """The kernel that routes rows by the scores of this name."""
    score, of_chosen = SCORES[scores], scores == "softmax_of_chosen"

    def body(
        part, parts, thread, logits, bias, factors, ids, weights, scratch, rows, count, stride,
        room, used, groups, groups_used, normed, scale: float,
    ):  # fmt: skip
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            x, to, shares = logits + row * stride, ids + 4 * row * used, weights + 4 * row * used
            values = scratch + thread * 12 * room
            ranks, sums = values + 4 * room, values + 8 * room
            score(x, values, count)
            rank(values if bias or groups > 1 else x, bias, ranks, count)
            if groups > 1:
                close_groups(ranks, sums, count, groups, groups_used)
            for slot in range(used):
                expert = take_best(ranks, count)
                store_f32(to + 4 * slot, np.float32(expert))
                store_f32(shares + 4 * slot, load_f32(values + 4 * expert))
            if of_chosen:
                softmax(shares, shares, used)
            if normed:
                norm(shares, used)
            for slot in range(used):
                share = load_f32(shares + 4 * slot) * scale
                if factors:
                    share = share * load_f32(factors + 4 * int(load_f32(to + 4 * slot)))
                store_f32(shares + 4 * slot, share)

    return Kernel(f"router_{scores}", body)


def scratch_room(count: int) -> int:
    """Numbers in each of the three rows that a thread needs: a multiple of 16."""
    return -(-count // 16) * 16
