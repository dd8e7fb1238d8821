"""Rank: a score per document for a query, from the classifier of a reranker.

    row = first row of [begin] query [end] document [end]     (last of a decoder, or the mean of
    all) score = output(tanh(cls(row)))        or output(norm(gelu(cls(row)))) where the file has
    the norm

Each layer of the classifier counts where the file has it. Several outputs: the first is the score.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from ..kernels.elementwise import gelu_erf_ref
from ..kernels.layer_norm import layer_norm_ref
from .embed import hidden_rows, pooled
from .errors import LMStudioValueError
from .model import Model
from .pooling import Pooling

F64 = NDArray[np.float64]
EPSILON = 1e-5


def rank(model: Model, query: str, documents: list[str]) -> list[float]:
    """One score per document. Raises LMStudioValueError for a model without a classifier."""
    spec = model.hparams.pooling
    if spec.kind is not Pooling.RANK:
        raise LMStudioValueError(
            f"pooling: found {spec.kind.name.lower()}, expected rank: "
            "this model does not score pairs"
        )
    kind = Pooling.LAST if model.arch.causal else Pooling.CLS
    kind = Pooling.MEAN if spec.of_mean else kind
    rows = hidden_rows(model, [pair(model, query, document) for document in documents])
    return [score(model, pooled(own, kind)) for own in rows]


def pair(model: Model, query: str, document: str) -> list[int]:
    """The ids of both texts as one, by the file's template or with what stands around texts."""
    tokenizer = model.tokenizer
    template = model.metadata.get("tokenizer.chat_template.rerank")
    if isinstance(template, str):
        given = {"{query}": query, "{document}": document}
        parts = re.split(r"(\{query\}|\{document\})", template)
        ids: list[int] = tokenizer.encode_segments(
            [(given.get(p, p), p not in given) for p in parts]
        )
        return ids
    first = tokenizer.encode(query, add_special=False)
    second = tokenizer.encode(document, add_special=False)
    begin, end = tokenizer.around
    twice = model.metadata.boolean("tokenizer.ggml.add_sep_token", False)
    return [*begin, *first, *(2 * end if twice else end), *second, *end]


def score(model: Model, row: F64) -> float:
    """The classifier's first output for a row [embedding]; of a decoder's outputs its share."""
    head = model.closing
    if head.cls is not None:
        row = _linear(head.cls, head.cls_bias, row)
        if head.cls_norm is None:
            row = np.tanh(row)
        else:
            row = layer_norm_ref(gelu_erf_ref(row), head.cls_norm.astype(np.float64), None, EPSILON)
    if head.cls_output is not None:
        row = _linear(head.cls_output, head.cls_output_bias, row)
    if not model.arch.causal:
        return float(row[0])
    shares = np.exp(row - row.max())
    return float(shares[0] / math.fsum(shares))


def _linear(weight: F64, bias: F64 | None, row: F64) -> F64:
    out = np.array([math.fsum(line) for line in weight.astype(np.float64) * row])
    return out if bias is None else out + bias
