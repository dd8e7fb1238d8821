"""Embed: one vector per text, from the rows of its tokens; many texts share a step.

    vector = pool(rows),   vector / |vector|

A text is computed in one step, because an encoder's rows see all of it. A step takes as many texts
as fit in eval_batch_size rows, of like length, and is filled up with rows that nobody reads, so
that few tapes serve all sizes. A text's bits depend on its own tokens alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import LMStudioValueError
from .pooling import Pooling

if TYPE_CHECKING:
    from .cache import Sequence
    from .model import Model

F64 = NDArray[np.float64]
FILL = 8  # unread rows in a row; every context has room for them
# Rows of a step; each is at most a half more than the one before.
SIZES = (8, 16, *(rows << more for more in range(28) for rows in (24, 32)))


def embed(model: Model, texts: list[list[int]], normalize: bool = True) -> list[F64]:
    """A vector [embedding] per text's token ids, or [tokens, embedding] where the file says no
    pooling.

    Vectors have length 1 if `normalize`. Raises LMStudioValueError for a text that is empty, longer
    than the context, or has ids outside the vocabulary; nothing is computed then.
    """
    if model.hparams.pooling.kind is Pooling.RANK:
        raise LMStudioValueError("this model scores pairs of texts: use rank")
    check(model, texts)
    vectors: list[F64] = [np.empty(0)] * len(texts)
    for places in batches([len(ids) for ids in texts], model.config.eval_batch_size):
        rows = _rows(model, [texts[place] for place in places])
        for place, own in zip(places, rows, strict=True):
            vectors[place] = _finished(model, pooled(own, model.hparams.pooling.kind), normalize)
    return vectors


def _finished(model: Model, vector: F64, normalize: bool) -> F64:
    """Through the file's last matrices, and to length 1; rows not pooled stay as they are."""
    if vector.ndim > 1:
        return vector
    if model.hparams.pooling.dense:
        for weight in (model.closing.dense_2, model.closing.dense_3):
            vector = np.einsum("nk,k->n", weight.astype(np.float64), vector)
    length = math.sqrt(math.fsum(vector * vector)) if normalize else 1.0
    return vector / length if length else vector


def hidden_rows(model: Model, texts: list[list[int]]) -> list[F64]:
    """The last layer's rows of each text, [tokens, embedding]."""
    check(model, texts)
    found: list[F64] = [np.empty(0)] * len(texts)
    for places in batches([len(ids) for ids in texts], model.config.eval_batch_size):
        for place, own in zip(places, _rows(model, [texts[p] for p in places]), strict=True):
            found[place] = own.astype(np.float64)
    return found


def check(model: Model, texts: list[list[int]]) -> None:
    """Refuse what cannot be embedded."""
    longest = model.context_length
    for number, ids in enumerate(texts):
        if not ids:
            raise LMStudioValueError(f"text {number}: found no tokens, expected at least one")
        if len(ids) > longest:
            raise LMStudioValueError(
                f"text {number}: found {len(ids)} tokens, the context holds {longest}"
            )
        wrong = next((id_ for id_ in ids if not 0 <= id_ < model.n_vocab), None)
        if wrong is not None:
            raise LMStudioValueError(
                f"text {number}: found token id {wrong}, expected 0 to {model.n_vocab - 1}"
            )


def batches(lengths: list[int], most: int) -> Iterator[list[int]]:
    """Places of texts that go together: long ones first, at most `most` rows unless one alone has
    more.
    """
    batch: list[int] = []
    rows = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and rows + lengths[place] > most:
            yield batch
            batch, rows = [], 0
        batch.append(place)
        rows += lengths[place]
    if batch:
        yield batch


def _rows(model: Model, texts: list[list[int]]) -> list[NDArray[Any]]:
    """Each text's rows, out of one shared step unless there are more than a step takes."""
    count = sum(map(len, texts))
    room = min(next(size for size in SIZES if size >= count), model.max_rows) - count
    unread = [[0] * min(FILL, room - start) for start in range(0, room, FILL)]
    pieces = [(model.sequence(len(ids)), ids) for ids in (*texts, *unread)]
    try:
        if room < 0:
            return [_in_parts(model, *pieces[0])]
        rows = model.hidden(pieces)
    finally:
        for sequence, _ in pieces:
            sequence.release()
    ends = np.cumsum([len(ids) for ids in texts])
    return [rows[end - len(ids) : end] for end, ids in zip(ends, texts, strict=True)]


def _in_parts(model: Model, sequence: Sequence, ids: list[int]) -> NDArray[Any]:
    """A long text's rows, where rows see only what is before them."""
    size = model.max_rows
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    return np.concatenate([model.hidden([(sequence, part)]) for part in parts])


def pooled(rows: NDArray[Any], kind: Pooling) -> F64:
    """rows [tokens, embedding] -> [embedding], or each row for itself."""
    rows = rows.astype(np.float64)
    if kind is Pooling.NONE:
        return rows
    if kind is Pooling.MEAN:
        mean: F64 = np.add.reduce(rows, axis=0) / len(rows)
        return mean
    vector: F64 = rows[-1] if kind is Pooling.LAST else rows[0]
    return vector
