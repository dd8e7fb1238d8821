"""Instance: one loaded model, who uses it, and the sessions it keeps for the next call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..draft_policy import Timings
from ..errors import LMStudioModelNotFoundError
from ..load_config import LoadConfig
from ..prefix import PrefixCache
from .config import LlmLoadModelConfig, note_once
from .results import (
    EmbeddingModelInstanceInfo,
    LlmInfo,
    LlmInstanceInfo,
    ModelInfo,
    ModelInstanceInfo,
)

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session


class Instance:
    """A model under an identifier. It is closed when it is unloaded and its last user is done."""

    def __init__(
        self,
        model: Model,
        *,
        identifier: str,
        info: ModelInfo,
        path: Path,
        config: LlmLoadModelConfig,
    ) -> None:
        self.model = model
        self.identifier = identifier
        self.info = info
        self.path = path
        self.config = config
        self.sessions: PrefixCache[Session] = PrefixCache(model.session)
        self.timings = Timings()
        self.unloaded = False
        self._users = 0
        self._lock = Lock()

    @property
    def batch(self) -> int:
        """How many prompt tokens are fed at a time."""
        return self.config.eval_batch_size or LoadConfig().eval_batch_size

    def instance_info(self) -> ModelInstanceInfo:
        """Facts about this loaded model."""
        made: Any = (
            LlmInstanceInfo if isinstance(self.info, LlmInfo) else EmbeddingModelInstanceInfo
        )
        fields = type(self.info).__struct_fields__
        info: ModelInstanceInfo = made(
            **{name: getattr(self.info, name) for name in fields},
            identifier=self.identifier,
            instance_reference=f"{self.identifier}@{id(self):x}",
            context_length=self.model.context_length,
        )
        return info

    @contextmanager
    def in_use(self) -> Iterator[Model]:
        """Give the model and keep it open for the block; an unloaded one is not found."""
        with self._lock:
            self._refuse_unloaded()
            self._users += 1
        try:
            yield self.model
        finally:
            with self._lock:
                self._users -= 1
                last = self.unloaded and self._users == 0
            if last:
                self._close()

    @contextmanager
    def session_for(
        self,
        ids: Sequence[int],
        source: Sequence[int] | None = None,
        threads: int | None = None,
    ) -> Iterator[Session]:
        """A session with a beginning of `ids`, kept for later calls unless a step was torn.

        One that answers to a `source` is new and not kept. Steps run on at most `threads`.
        """
        if threads is not None and threads > self.model.threads:
            note_once(
                f"prediction config: cpuThreads is {threads}, but {self.identifier!r} was loaded "
                f"for {self.model.threads}: so many are used"
            )
        if source is not None:
            with self.model.session() as answering:
                answering.threads = threads
                answering.encode(source)
                yield answering
            return
        session = self.sessions.acquire(ids, threads)
        try:
            yield session
        except GeneratorExit:
            self.sessions.release(session)
            raise
        except BaseException:
            session.close()
            raise
        self.sessions.release(session)

    def unload(self) -> None:
        """Stop running predictions at their next token, then free the memory."""
        with self._lock:
            self._refuse_unloaded()
            self.unloaded = True
            idle = self._users == 0
        if idle:
            self._close()

    def _refuse_unloaded(self) -> None:
        if self.unloaded:
            raise LMStudioModelNotFoundError(f"model {self.identifier!r} is not loaded (unloaded)")

    def _close(self) -> None:
        self.sessions.close()
        self.model.close()
