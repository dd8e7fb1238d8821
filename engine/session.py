"""Session: one sequence of tokens and its cache, fed and rewound by hand.

    with model.session() as s:
        last = s.feed(ids)                     float32 [vocabulary], after the last token
        rows = s.feed(more, logits="all")      float32 [n, vocabulary]
        s.rewind(10)
        twin = s.fork()

A model with an encoder answers to a source, which it takes in first: `s.encode(ids)`, then `feed`.

The logits of a token depend on the tokens before it alone, not on how they were fed.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .errors import LMStudioModelNotFoundError, LMStudioRuntimeError, LMStudioValueError

if TYPE_CHECKING:
    from .model import Model

F32 = NDArray[np.float32]
Logits = Literal["last", "all", "none"]


class Session:
    """A sequence on a model: one thread at a time; different sessions may run side by side."""

    def __init__(self, model: Model, context_length: int | None = None) -> None:
        longest = model.context_length
        if (
            context_length is not None
            and not 1 <= _whole("context_length", context_length) <= longest
        ):
            raise LMStudioValueError(
                f"context_length: found {context_length}, expected 1 to {longest}, the model's"
            )
        self.context_length = context_length or longest
        self._model = model
        self._sequence = model.sequence(self.context_length)
        self.nextn = model.nextn_cache(self.context_length)
        self._threads: int | None = None
        self._tokens: list[int] = []
        self._open = True

    @property
    def position(self) -> int:
        """How many tokens are held."""
        return len(self._tokens)

    @property
    def tokens(self) -> list[int]:
        """The tokens held, as a new list."""
        return list(self._tokens)

    @property
    def threads(self) -> int | None:
        """How many threads at most run its steps; None: as many as the model was loaded for."""
        return self._threads

    @threads.setter
    def threads(self, most: int | None) -> None:
        if most is not None and _whole("threads", most) < 1:
            raise LMStudioValueError(f"threads: found {most}, expected at least 1")
        self._threads = most
        if self.nextn is not None:
            self.nextn.threads = most

    @property
    def needs_source(self) -> bool:
        """Whether a source must be taken in before tokens can be fed."""
        return self._model.arch.source is not None and self._sequence.source is None

    def encode(self, ids: Iterable[int]) -> None:
        """Take in the source that the tokens fed later answer to: once, and before them.

        Its keys and values are computed here, and kept until the session and its forks are closed.
        Raises LMStudioValueError for a second source, no ids, ids outside the vocabulary or more
        than the context holds, and for a model without an encoder.
        """
        self._check_open()
        if self._sequence.source is not None:
            raise LMStudioValueError("encode: found a source already, expected one per session")
        tokens = self._checked(ids)
        if not tokens:
            raise LMStudioValueError("encode: found no ids, expected at least one")
        self._sequence.source = self._model.read_source(tokens, self._threads)

    def feed(self, ids: Iterable[int], logits: Logits = "last") -> F32 | None:
        """Take in tokens; return the last one's logits, all of them, or None.

        Raises LMStudioValueError for ids outside the vocabulary, past the context, or no ids at all
        where logits are asked of the last one; and where a source is missing. An interrupted call
        leaves whole pieces of eval_batch_size.
        """
        self._check_open()
        if logits not in ("last", "all", "none"):
            raise LMStudioValueError(f'logits: found {logits!r}, expected "last", "all" or "none"')
        tokens = self._checked(ids)
        if not tokens:
            return self._nothing(logits)
        if not self._model.arch.causal:
            return self._feed_whole(tokens, logits)
        rows: list[F32] = []
        size = self._piece_size(logits)
        for start in range(0, len(tokens), size):
            piece = tokens[start : start + size]
            got = self._step(piece, self._outputs(logits, piece, tokens, start))
            if got is not None:
                rows.append(got)
        if logits == "none":
            return None
        every = rows[0] if len(rows) == 1 else np.concatenate(rows)
        return every[-1] if logits == "last" else every

    def _step(self, piece: list[int], outputs: NDArray[np.int64]) -> F32 | None:
        pieces = [(self._sequence, piece)]
        if self.nextn is None:
            logits = self._model.step(pieces, outputs, self._threads)
        else:
            self.nextn.make_room(len(piece))
            logits, rows = self._model.step_with_rows(pieces, outputs, self._threads)
            self.nextn.add(self.position, piece, rows)
        self._tokens += piece
        return logits

    def _feed_whole(self, tokens: list[int], logits: Logits) -> F32 | None:
        """What is not causal is computed anew from the first token on."""
        start, held = self.position, self._tokens + tokens
        if logits == "none":
            self._tokens = held
            return None
        outputs = np.arange(start if logits == "all" else len(held) - 1, len(held))
        self._sequence.truncate(0)
        got = self._model.step([(self._sequence, held)], outputs, self._threads)
        self._tokens = held
        return got if got is None or logits == "all" else got[0]

    def rewind(self, position: int) -> None:
        """Forget all tokens from `position` on.

        A recurrent model goes back to the nearest state it kept and feeds what comes after again; a
        model that drafts by itself may feed the last token that stays again.
        """
        self._check_open()
        if not 0 <= _whole("position", position) <= self.position:
            raise LMStudioValueError(f"position: found {position}, expected 0 to {self.position}")
        start = position if self.nextn is None else self.nextn.truncate(position)
        start = self._sequence.truncate(start)
        again = self._tokens[start:position]
        del self._tokens[start:]
        try:
            self.feed(again, logits="none")
        finally:
            if self.nextn is not None:
                self.nextn.truncate(self.position)

    def fork(self) -> Session:
        """A session that holds the same tokens; pages are shared until one of the two writes."""
        self._check_open()
        twin = Session.__new__(Session)
        twin.context_length, twin._model, twin._open = self.context_length, self._model, True
        twin._tokens = list(self._tokens)
        twin._sequence = self._sequence.fork()
        twin.nextn = self.nextn and self.nextn.fork()
        twin.threads = self._threads
        return twin

    def close(self) -> None:
        """Give the cache's pages back. A closed session cannot be used."""
        if self._open:
            self._open = False
            self._sequence.release()
            if self.nextn is not None:
                self.nextn.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()

    def _checked(self, ids: Iterable[int]) -> list[int]:
        try:
            tokens = [operator.index(id_) for id_ in ids]
        except TypeError as error:
            raise LMStudioValueError(f"ids: {error}, expected whole numbers") from error
        vocabulary, room = self._model.n_vocab, self.context_length - self.position
        wrong = next((id_ for id_ in tokens if not 0 <= id_ < vocabulary), None)
        if wrong is not None:
            raise LMStudioValueError(f"token id: found {wrong}, expected 0 to {vocabulary - 1}")
        if len(tokens) > room:
            raise LMStudioValueError(
                f"{len(tokens)} tokens at position {self.position}: "
                f"the context holds {self.context_length}"
            )
        return tokens

    def _nothing(self, logits: Logits) -> F32 | None:
        if logits == "last":
            raise LMStudioValueError("ids: found none, expected at least one for its logits")
        return None if logits == "none" else np.empty((0, self._model.n_vocab), np.float32)

    def _piece_size(self, logits: Logits) -> int:
        if logits != "all":
            return self._model.max_rows
        return max(1, min(self._model.max_rows, (64 << 20) // (4 * self._model.n_vocab)))

    @staticmethod
    def _outputs(
        logits: Logits, piece: list[int], tokens: list[int], start: int
    ) -> NDArray[np.int64]:
        if logits == "all":
            return np.arange(len(piece))
        last = logits == "last" and start + len(piece) == len(tokens)
        return np.array([len(piece) - 1] if last else [], np.int64)

    def _check_open(self) -> None:
        if not self._open:
            raise LMStudioRuntimeError("this session is closed")
        if self._model.closed:
            raise LMStudioModelNotFoundError("the model of this session is not loaded (unloaded)")


def _whole(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise LMStudioValueError(f"{name}: found {value!r}, expected a whole number") from error
