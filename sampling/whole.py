"""The whole vocabulary: check a row of logits, and start the chain without copying the row.

Bias and penalties touch few ids. While the chain has only edited logits, its state is the model's
own row (float32, untouched) plus a patch: the touched ids with their new logits (float64). The k
best of row and patch are the k best of the edited row, for the k best of the ids not touched are
among the k + len(patch) best of the row.
"""

import numpy as np

from .candidates import F32, Bools, Candidates, locate, top_positions
from .errors import SamplingError
from .portable import I64

# So often a row is cut before it is copied: bench_sampling, "greedy with penalties".
CUTS = 4


def check_shape(logits: F32, n_vocab: int) -> None:
    """Refuse anything but float32[n_vocab]."""
    if not isinstance(logits, np.ndarray):
        raise SamplingError(f"logits: found {type(logits).__name__}, expected a float32 array")
    if logits.dtype != np.float32 or logits.shape != (n_vocab,):
        found = f"{logits.dtype}{list(logits.shape)}"
        raise SamplingError(f"logits: found {found}, expected float32[{n_vocab}]")


def check_values(logits: F32, best: float, position: int) -> None:
    """Refuse NaN and +inf; `best` is the row's greatest value (NaN if the row holds one)."""
    if best < np.inf:
        return
    bad = np.isnan(logits) if np.isnan(best) else logits == np.inf
    token = int(np.argmax(bad))
    raise SamplingError(
        f"logits: found {logits[token]} at token {token}, output position {position};"
        " expected finite numbers or -inf"
    )


def whole(logits: F32, patch: Candidates, ids: I64) -> Candidates:
    """Return all candidates: the row in float64 with the patch written over it."""
    values = logits.astype(np.float64)
    values[patch.ids] = patch.logits
    return Candidates(ids, values)


def top(logits: F32, patch: Candidates, k: int) -> Candidates:
    """Return the k best candidates of row and patch; of equal ones the lower ids."""
    found = top_positions(logits, k + patch.ids.size)
    found = found[~_contained(found, patch.ids)]
    ids = np.concatenate((found, patch.ids))
    values = np.concatenate((logits[found].astype(np.float64), patch.logits))
    order = np.argsort(ids)
    merged = Candidates(ids[order], values[order])
    return merged.at(top_positions(merged.logits, k))


def best(logits: F32, first: int, patch: Candidates, spare: F32) -> tuple[int, float]:
    """Return the id of the greatest logit of row and patch, the lowest of equal ones, and it.

    `first` is that of the row alone; `spare` is a buffer of the row's size.
    """
    if patch.ids.size == 0:
        return first, float(logits[first])
    if first in patch.ids:
        first, row_best = _best_beside(logits, first, patch.ids, spare)
    else:
        row_best = float(logits[first])
    rival = int(patch.logits.argmax())
    patch_best, rival = float(patch.logits[rival]), int(patch.ids[rival])
    if patch_best > row_best or (patch_best == row_best and rival < first):
        return rival, patch_best
    return first, row_best


def _best_beside(logits: F32, first: int, ids: I64, spare: F32) -> tuple[int, float]:
    """The same of the row without `ids`, -inf if nothing is left. `first`, the row's best, is one
    of them: each such best cuts the row in two, which takes less than a copy.
    """
    pieces = {first: (0, logits.size)}
    for _ in range(CUTS):
        start, stop = pieces.pop(first)
        for a, b in ((start, first), (first + 1, stop)):
            if a < b:
                pieces[a + int(logits[a:b].argmax())] = a, b
        if not pieces:
            return 0, -np.inf
        first = max(pieces, key=lambda at: (logits[at], -at))
        if first not in ids:
            return first, float(logits[first])
    np.copyto(spare, logits)
    spare[ids] = -np.inf
    first = int(spare.argmax())
    return first, float(spare[first])


def _contained(ids: I64, among: I64) -> Bools:
    result = np.zeros(ids.size, dtype=np.bool_)
    result[locate(ids, among)[0]] = True
    return result
