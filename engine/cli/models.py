"""`gnomon ls`, `get`, `warm`, `embed`: the models themselves."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ..api.catalogue import CATALOGUE, DEFAULT_EMBEDDING_MODEL, DEFAULT_MODEL
from ..api.client import embedding_model, llm
from ..api.folder import Found, downloaded, models_folder, relative
from ..api.kinds import kind_of_file
from ..api.registry import present
from .inputs import read_configs, read_text
from .progress import compiling, loading

if TYPE_CHECKING:
    from ..model import Model


def ls(args: argparse.Namespace) -> None:
    """List the models there are, and those of the catalogue that can be fetched."""
    here = downloaded(models_folder())
    missing = sorted(CATALOGUE.keys() - {found.key for found in here})
    rows = [_row(found) for found in here]
    rows += [{"key": key, "sizeBytes": CATALOGUE[key].size, "path": None} for key in missing]
    if args.json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    width = max(len(row["key"]) for row in rows)
    for row in rows:
        where = row["path"] or f"(not fetched: gnomon get {row['key']})"
        print(f"{row['key']:{width}}  {_size(row['sizeBytes']):>8}  {where}")
    if args.stats:
        print(f"models folder: {models_folder()}", file=sys.stderr)


def get(args: argparse.Namespace) -> None:
    """Fetch a model if it is not there; write its path."""
    found = present(args.key)
    print(json.dumps(_row(found)) if args.json else found.path)


def warm(args: argparse.Namespace) -> None:
    """Load a model and run steps of all sizes, so that every kernel it needs is in the cache."""
    prediction, load = read_configs(args)
    if prediction:
        args.usage_error(f"warm takes load config keys only, found {sorted(prediction)}")
    key = args.model or DEFAULT_MODEL
    embeds = kind_of_file(present(key).path) == "embedding"
    with compiling() as progress:
        with loading(key):
            model = (embedding_model if embeds else llm)(key, config=load or None)
        with model._instance.in_use() as engine:
            (_embed_all_sizes if embeds else _feed_all_sizes)(engine)
            if not embeds:
                _pick_once(engine)
            if args.tiles:
                path, size = engine.keep_tiles()
                progress.note(f"{path}: {_size(size)}")
        progress.note(f"{model.identifier} is ready")


def _rows() -> tuple[int, ...]:
    """Rows of steps that use all kernels between them: one group of few rows, two, and many."""
    from ...kernels.few_rows import COUNTS
    from ...kernels.matmul import FEW

    return tuple(sorted({*COUNTS, 16, FEW + 1}))


def _feed_all_sizes(model: Model) -> None:
    with model.session() as session:
        if session.needs_source:
            session.encode([0])
        for rows in _rows():
            if session.position + rows <= session.context_length:
                session.feed([0] * rows, logits="all")


def _pick_once(model: Model) -> None:
    """Run what the default chain and log-probabilities need."""
    import numpy as np

    from ...sampling.sampler import Sampler, SamplingParams

    params = SamplingParams(seed=0, logprobs=1)
    Sampler(params, model.n_vocab).pick(np.zeros(model.n_vocab, np.float32))


def _embed_all_sizes(model: Model) -> None:
    from ..embed import hidden_rows

    for rows in _rows():
        if rows <= model.context_length:
            hidden_rows(model, [[0] * rows])


def embed(args: argparse.Namespace) -> None:
    """Write the vector of TEXT as JSON, or to a .npy file; with --lines one per line of it."""
    prediction, load = read_configs(args)
    if prediction:
        args.usage_error(f"embed takes load config keys only, found {sorted(prediction)}")
    text = read_text(args, exact=args.lines)
    key = args.model or DEFAULT_EMBEDDING_MODEL
    with compiling() as progress:
        if progress.live:
            progress.update(f"loading {key}")
        model = embedding_model(key, config=load or None)
        vectors = model.embed(_lines(text)) if args.lines else model.embed(text)
    if args.out is None:
        print(json.dumps(vectors))
    else:
        _save(args.out, vectors)
    if args.stats:
        count = len(vectors) if args.lines else 1
        print(f"{count} vectors of {model.identifier}", file=sys.stderr)


def _lines(text: str) -> list[str]:
    """The lines of a text; str.splitlines would cut at form feeds, U+2028 and more, too."""
    lines = text.removesuffix("\n").split("\n") if text else []
    return [line.removesuffix("\r") for line in lines]


def _save(path: str, vectors: list[Any]) -> None:
    import numpy as np

    with open(path, "wb") as file:  # as named: np.save would add .npy to a name without it
        np.save(file, np.array(vectors, np.float32))


def _row(found: Found) -> dict[str, Any]:
    return {
        "key": found.key,
        "sizeBytes": found.path.stat().st_size,
        "path": relative(found.path, models_folder()),
    }


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
