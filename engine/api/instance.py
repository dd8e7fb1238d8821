"""Instance: one loaded model, who uses it, and the sessions it keeps for the next call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..errors import LMStudioModelNotFoundError
from ..load_config import LoadConfig
from ..prefix import PrefixCache
from .config import LlmLoadModelConfig
from .results import LlmInfo, LlmInstanceInfo

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
        info: LlmInfo,
        path: Path,
        config: LlmLoadModelConfig,
    ) -> None:
        self.model = model
        self.identifier = identifier
        self.info = info
        self.path = path
        self.config = config
        self.sessions: PrefixCache[Session] = PrefixCache(model.session)
        self.unloaded = False
        self._users = 0
        self._lock = Lock()

    @property
    def batch(self) -> int:
        """How many prompt tokens are fed at a time."""
        return self.config.eval_batch_size or LoadConfig().eval_batch_size

    def instance_info(self) -> LlmInstanceInfo:
        """Facts about this loaded model."""
        shared: dict[str, Any] = {
            name: getattr(self.info, name) for name in LlmInfo.__struct_fields__
        }
        return LlmInstanceInfo(
            **shared,
            identifier=self.identifier,
            instance_reference=f"{self.identifier}@{id(self):x}",
            context_length=self.model.context_length,
        )

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
