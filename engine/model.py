"""Model: a file, its tokenizer, its weights and its cache pages, tied together; sessions run on it.

A step takes rows of any sequences. Sessions of several threads may share a model: steps are carried
out one at a time, under the thread team's lock.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import GGUFError, TokenizerError
from ..formats.gguf import GGUFFile, open_gguf
from ..formats.metadata import Metadata
from .archs import find_arch
from .cache import PagePool, Sequence, layer_regions
from .errors import LMStudioServerError, LMStudioValueError, ModelLoadError
from .hparams import LayerSpec, read_hparams
from .load_config import LoadConfig
from .state import StatePool, States

if TYPE_CHECKING:
    from .nextn import NextnLayers
    from .nextn_cache import NextnCache
    from .step import Piece

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
KEEP_TAPES = 32
Wanted = Literal["logits", "rows", "both"]


class Model:
    """An open model. `open` it, make sessions, `close` it."""

    def __init__(self, file: GGUFFile, config: LoadConfig) -> None:
        self.file, self.config = file, config
        self.metadata: Metadata = overridden(file.metadata, config)
        self.architecture = self.metadata.string("general.architecture")
        self.arch = arch = find_arch(self.architecture, self.metadata, file.tensors)
        self.n_vocab = _vocabulary(file)
        self.hparams = read_hparams(self.metadata, arch, self.n_vocab)
        self.n_ctx_train = self.hparams.context_length
        self.context_length = config.context_for(self.n_ctx_train)
        if arch.learned_positions and self.context_length > self.n_ctx_train:
            most = f"at most {self.n_ctx_train}, as many positions as the file has"
            raise GGUFError("context_length", None, str(self.context_length), most)
        self._load()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        config: LoadConfig | None = None,
        check: Callable[[Metadata], None] = lambda metadata: None,
    ) -> Model:
        """Open a GGUF file, unless `check` of its metadata raises.

        Raises ModelLoadError with the format's own error as its cause.
        """
        config = config or LoadConfig()
        try:
            file = open_gguf(path)
            check(file.metadata)
            return cls(file, config)
        except (GGUFError, TokenizerError, OSError) as error:
            raise ModelLoadError(f"{Path(path).name}: {error}") from error
        except MemoryError as error:
            reason = f"the memory is too small for {config.sizes()}: {error}"
            raise ModelLoadError(f"{Path(path).name}: {reason}") from error

    def _load(self) -> None:
        from ..kernels.team import default_threads, team
        from .source import source_reader
        from .step import StepMemory
        from .weights import load_weights

        self.file.check_unchanged()
        self.threads = self.config.cpu_threads or default_threads()
        self._ops = self._make_ops()
        ahead, notes = self._layers_ahead()
        self._weights = load_weights(self.file, self.arch, self.hparams, self._ops, ahead)
        self.notes = self.file.notes + self._weights.notes + notes
        types = self.config.cache_types()
        self._regions = layer_regions(self.hparams, types, self.arch.causal)
        stack = self.arch, self.hparams, self._weights, self._regions
        self._reader = source_reader(stack, types, self.context_length, self._ops)
        regions = self._regions + (self._reader.regions if self._reader else [])
        self._pages = PagePool(max(region.end for region in regions))
        # What sees all of its sequence is computed in one step.
        whole = 0 if self.arch.causal else self.context_length
        self.max_rows = max(self.config.eval_batch_size, whole)
        self._memory = StepMemory(
            self.arch,
            self.hparams,
            self.max_rows,
            self.context_length,
            self._ops.number,
            self._weights.rope_factors(),
        )
        states = self._memory.layout.bytes
        self._states = StatePool(states) if states else None
        self._tapes: OrderedDict[tuple[object, ...], tuple[Any, Any]] = OrderedDict()
        self._team = team
        self.nextn = self._load_ahead(ahead) if ahead else None

    def _make_ops(self) -> Any:
        """The operations of the mode; they find packed weights that were kept on disk."""
        from ..kernels.tape_ops import TapeOps
        from ..kernels.tiles.kept import kept_path, read_kept
        from ..kernels.twin_ops import TwinOps

        compute = self.config.compute
        if compute == "float64":
            return TwinOps()
        kept = None
        if self.config.try_mmap:
            kept = read_kept(kept_path(self.file.path), self.file.stamps)
        return TapeOps(compute == "int8", self.threads, kept, self.file.size_bytes)

    def _layers_ahead(self) -> tuple[tuple[LayerSpec, ...], list[str]]:
        from .nextn import find_nextn

        wanted = self.config.multi_token_prediction
        return find_nextn(self.file, self.metadata, self.arch, self.hparams, wanted)

    def _load_ahead(self, ahead: tuple[LayerSpec, ...]) -> NextnLayers:
        from .nextn import NextnLayers, load_alone
        from .step import StepMemory

        alone = load_alone(self.file, self.arch, self.hparams, ahead, self._weights, self._ops)
        memory = StepMemory(
            *alone[:2],
            self.max_rows,
            self.context_length,
            self._ops.number,
            self._weights.rope_factors(),
        )
        types = self.config.cache_types()
        return NextnLayers(alone, types, memory, self._ops, self._run, self._working)

    @property
    def closing(self) -> Any:
        """The tensors behind the last layer, by name: a reranker's head, an embedding's last
        matrices.
        """
        return self._weights.top

    @cached_property
    def tokenizer(self) -> Any:
        """The file's tokenizer."""
        from ..formats.tokenizer import tokenizer_from_metadata

        return tokenizer_from_metadata(self.metadata)

    @cached_property
    def token_trie(self) -> Any:
        """The vocabulary's bytes as a trie, for grammars; ids beyond the tokenizer's have none."""
        from ..sampling.grammar.vocabulary import TokenTrie

        known = [self.tokenizer.token_bytes(id_) for id_ in range(self.tokenizer.n_vocab)]
        spare = [b""] * (self.n_vocab - len(known))
        return TokenTrie.build((known + spare)[: self.n_vocab], self.tokenizer.eog)

    @cached_property
    def chat_template(self) -> Any:
        """The file's chat template, or None."""
        from ..formats.chat_template import ChatTemplate

        source = self.metadata.get("tokenizer.chat_template")
        if not isinstance(source, str):
            return None
        texts = [
            "" if id_ is None else self.tokenizer.token_text(id_)
            for id_ in (self.tokenizer.bos, self.tokenizer.eos)
        ]
        return ChatTemplate(source, bos=texts[0], eos=texts[1])

    def session(self, context_length: int | None = None) -> Any:
        """A new session: one sequence with its own cache, up to the model's context length.

        Raises LMStudioValueError for a model without logits.
        """
        if self.arch.embeds:
            raise LMStudioValueError(
                f"{self.file.path.name} is an embedding model: it has no logits, use embed"
            )
        from .session import Session

        return Session(self, context_length)

    def sequence(self, capacity: int) -> Sequence:
        """An empty cache for up to `capacity` positions."""
        return Sequence(self._pages, capacity, States(self._states) if self._states else None)

    def nextn_cache(self, capacity: int) -> NextnCache | None:
        """What a session keeps for the layers ahead; None if the model has none."""
        from .nextn_cache import NextnCache

        layers = self.nextn
        return None if layers is None else NextnCache(layers, layers.sequence(capacity))

    def read_source(self, ids: list[int], threads: int | None = None) -> Sequence:
        """What an answer attends to, as a sequence; set it as `source` of the answer's.

        Raises LMStudioValueError for a model that reads none.
        """
        reader = self._reader
        if reader is None:
            raise LMStudioValueError(f"{self.file.path.name} has no encoder: feed it all tokens")
        sequence = Sequence(self._pages, len(ids))
        try:
            with self._working():
                sequence.append(len(ids))
                step = reader.fill(sequence, ids)
                self._run(("source", len(ids)), lambda: reader.read(step), threads)
                sequence.commit(len(ids))
        except BaseException:
            sequence.release()
            raise
        return sequence

    def step(self, pieces: list[Piece], outputs: I64, threads: int | None = None) -> F32 | None:
        """Run rows of any sequences (at most `max_rows`); logits of rows `outputs`, each once and
        ascending, [n, vocabulary].

        Each sequence must be named once; its tokens follow what it holds. At most `threads` work,
        never more than the model's. On an error nothing counts.
        """
        logits: F32 | None = self._step(pieces, outputs, "logits", threads)
        return None if logits is None else logits.astype(np.float32, copy=False)

    def step_with_rows(
        self, pieces: list[Piece], outputs: I64, threads: int | None = None
    ) -> tuple[F32 | None, NDArray[Any]]:
        """The same, and of all rows what the layers ahead read, [rows, embedding]."""
        logits, rows = self._step(pieces, outputs, "both", threads)
        return None if logits is None else logits.astype(np.float32, copy=False), rows

    def hidden(self, pieces: list[Piece]) -> NDArray[Any]:
        """Run rows likewise; all of them as they are before the logits, [rows, embedding]."""
        return np.asarray(self._step(pieces, np.empty(0, np.int64), "rows"))

    def _step(
        self, pieces: list[Piece], outputs: I64, wanted: Wanted, threads: int | None = None
    ) -> Any:
        with self._working():
            for sequence, ids in pieces:
                sequence.append(len(ids))
            step = self._memory.fill(pieces, outputs)
            key = len(step.tokens), len(step.outputs), wanted
            found = self._run(key, lambda: self._forward(step, wanted), threads)
            for sequence, ids in pieces:
                sequence.commit(len(ids))
            return found

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the team; memory that a step lacks is an error that names what it is laid out by."""
        with self._team().lock:
            try:
                yield
            except MemoryError as error:
                raise LMStudioServerError(
                    f"the memory is too small for a step with {self.config.sizes()}: {error}"
                ) from error

    def _run(
        self, key: tuple[object, ...], forward: Callable[[], Any], threads: int | None = None
    ) -> Any:
        """What a pass computes; its operations are recorded once per key, for any `threads`."""
        if self.config.compute == "float64":
            return forward()
        if key not in self._tapes:
            tape = self._ops.record()
            self._tapes[key] = tape, forward()
            if len(self._tapes) > KEEP_TAPES:
                self._tapes.popitem(last=False)
        self._tapes.move_to_end(key)
        tape, found = self._tapes[key]
        self._ops.run(tape, threads)
        return tuple(map(_copied, found)) if isinstance(found, tuple) else _copied(found)

    def _forward(self, step: Any, wanted: Wanted) -> Any:
        from .forward import forward, forward_with_rows

        given = self.arch, self.hparams, self._weights, self._regions, step, self._ops
        if wanted == "both":
            return forward_with_rows(*given)
        return forward(*given, wanted == "logits")

    def keep_tiles(self) -> tuple[Path, int]:
        """Keep the packed weights on disk for later loads; where, and how many bytes.

        Raises LMStudioValueError in float64 mode, which packs nothing; OSError.
        """
        from ..kernels.tiles.kept import kept_path, write_kept

        if self.config.compute == "float64":
            raise LMStudioValueError('tiles: found compute "float64", which packs no weights')
        path = kept_path(self.file.path)
        return path, write_kept(path, self.file.stamps, self._ops.packed)

    @property
    def closed(self) -> bool:
        """Whether weights and file were let go of."""
        return self._weights is None

    def close(self) -> None:
        """Let go of weights and file, once no step is running."""
        with self._team().lock:
            self._tapes.clear()
            self._weights = self._reader = self.nextn = self._ops = None  # type: ignore[assignment]
            self.file.close()


def _copied(found: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if found is None else np.array(found)


def _vocabulary(file: GGUFFile) -> int:
    """How many tokens the embedding has rows for. Raises GGUFError without one."""
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise GGUFError("token_embd.weight", None, "no such tensor", "a row for each token")
    return embedding.shape[0] if embedding.shape else 0


def overridden(metadata: Metadata, config: LoadConfig) -> Metadata:
    """The file's metadata with the numbers that the caller gives instead.

    Raises GGUFError if experts are asked of a model that has none.
    """
    prefix = metadata.string("general.architecture")
    changes: dict[str, object] = {}
    if config.rope_frequency_base is not None:
        changes["rope.freq_base"] = config.rope_frequency_base
    if config.rope_frequency_scale is not None:
        changes["rope.scaling.type"] = "linear"
        changes["rope.scaling.factor"] = 1 / config.rope_frequency_scale
    if config.num_experts is not None:
        if not metadata.integer(f"{prefix}.expert_count", 0):
            raise GGUFError("numExperts", None, str(config.num_experts), "a model with experts")
        changes["expert_used_count"] = config.num_experts
    if not changes:
        return metadata
    return Metadata({**metadata, **{f"{prefix}.{key}": value for key, value in changes.items()}})
