"""A chain's steps over few candidates, and the probabilities of those they keep, in one call.

    top-p         the fewest of the best whose weights e ** (logit - best logit) reach p of the sum
    min-p         logit >= best logit + ln p
    temperature   logit / t

`sampling/filters.py` has them one by one, with NumPy. After a step of a model no cache holds
NumPy's functions: on an Emerald Rapids core the three and the softmax of 40 candidates take 98 us
then, in one call 38.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ._jit import DISABLED, inline
from .exp64 import exp_of, exp_ref
from .simd import load_f64, load_i64, store_f64, store_i64
from .tape import kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
TOP_P, MIN_P, TEMPERATURE = range(3)
STEPS = {"topP": TOP_P, "minP": MIN_P, "temperature": TEMPERATURE}
Steps = tuple[I64, F64]  # which, and each one's p, ln p or t


def chain_of_few_ref(ids: I64, values: F64, steps: Steps) -> tuple[I64, F64]:
    """ids [count], ascending, and their logits -> the ids kept and the probability of each."""
    for step, number in zip(*(part.tolist() for part in steps), strict=True):
        if step == TEMPERATURE:
            values = values / number
            continue
        kept = values >= values.max() + number if step == MIN_P else _top_p(values, number)
        ids, values = ids[kept], values[kept]
    weights = exp_ref(values - values.max())
    return ids, weights / np.cumsum(weights)[-1]


def _top_p(values: F64, p: float) -> NDArray[np.bool_]:
    weights = exp_ref(values - values.max())
    order = np.argsort(-values, kind="stable")
    reached = np.cumsum(weights[order]) >= p * np.cumsum(weights)[-1]
    kept = np.ones(values.size, np.bool_)
    if reached.any():
        kept[order[int(reached.argmax()) + 1 :]] = False
    return kept


@inline
def greatest_of(values, count):
    best = load_f64(values)
    for i in range(1, count):
        best = max(best, load_f64(values + 8 * i))
    return best


@inline
def weigh(values, weights, count):
    """e ** (logit - best) of each; returns their sum, from left to right."""
    best, total = greatest_of(values, count), 0.0
    for i in range(count):
        weight = exp_of(load_f64(values + 8 * i) - best)
        store_f64(weights + 8 * i, weight)
        total += weight
    return total


@inline
def keep_marked(ids, values, marks, count):
    """Move what has a mark to the front; returns how many those are."""
    held = 0
    for i in range(count):
        if load_i64(marks + 8 * i):
            store_i64(ids + 8 * held, load_i64(ids + 8 * i))
            store_f64(values + 8 * held, load_f64(values + 8 * i))
            held += 1
    return held


@inline
def mark_best(values, marks, count):
    """Mark the greatest without a mark, of equal ones the first; returns its place."""
    best = -1
    for i in range(count):
        if load_i64(marks + 8 * i):
            continue
        if best < 0 or load_f64(values + 8 * i) > load_f64(values + 8 * best):
            best = i
    store_i64(marks + 8 * best, 1)
    return best


@inline
def mark_top_p(values, weights, marks, count, p):
    mass, reached = p * weigh(values, weights, count), 0.0
    for i in range(count):
        store_i64(marks + 8 * i, 0)
    for _ in range(count):
        reached += load_f64(weights + 8 * mark_best(values, marks, count))
        if reached >= mass:
            break


@inline
def mark_min_p(values, marks, count, logarithm):
    least = greatest_of(values, count) + logarithm
    for i in range(count):
        store_i64(marks + 8 * i, 1 if load_f64(values + 8 * i) >= least else 0)


@kernel("chain_of_few")
def chain_of_few(part, parts, thread, ids, values, marks, weights, count, steps, numbers, n, left):
    """ids and logits [count], at least one, become those kept, `left` of them; weights their
    probabilities.
    """
    for at in range(n):
        step, number = load_i64(steps + 8 * at), load_f64(numbers + 8 * at)
        if step == TEMPERATURE:
            for i in range(count):
                store_f64(values + 8 * i, load_f64(values + 8 * i) / number)
            continue
        if step == MIN_P:
            mark_min_p(values, marks, count, number)
        else:
            mark_top_p(values, weights, marks, count, number)
        count = keep_marked(ids, values, marks, count)
    total = weigh(values, weights, count)
    for i in range(count):
        store_f64(weights + 8 * i, load_f64(weights + 8 * i) / total)
    store_i64(left, count)


def steps_of(given: Sequence[tuple[str, float]]) -> Steps:
    """Steps in order, by their names in configs, each with its number."""
    which = np.array([STEPS[name] for name, _ in given], np.int64)
    return which, np.array([number for _, number in given], np.float64)


def few_left(ids: I64, values: F64, steps: Steps) -> tuple[I64, F64]:
    """ids [count], ascending, and their logits, one at least above -inf -> the ids that the steps
    keep, and the probability of each.
    """
    if DISABLED:
        return chain_of_few_ref(ids, values, steps)
    ids, values, left = ids.copy(), values.copy(), np.zeros(1, np.int64)
    marks, weights = np.empty_like(ids), np.empty_like(values)
    chain_of_few.run(0, 1, ids, values, marks, weights, ids.size, *steps, steps[0].size, left)
    return ids[: left[0]], weights[: left[0]]
