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


def checked_top(logits: F32, patch: Candidates, k: int, position: int) -> Candidates:
    """The same of a row that nobody has checked; refuses NaN and +inf."""
    from ..kernels.top_of_row import MOST, best_of_row  # chooses the instruction set

    if k > MOST:
        check_values(logits, float(logits.max()), position)
        return top(logits, patch, k)
    row = np.ascontiguousarray(logits)
    ids, values, all_below = best_of_row(row, patch.ids, patch.logits, k)
    if not all_below:
        check_values(logits, float(logits.max()), position)
    return Candidates(ids, values)


def _contained(ids: I64, among: I64) -> Bools:
    result = np.zeros(ids.size, dtype=np.bool_)
    result[locate(ids, among)[0]] = True
    return result
