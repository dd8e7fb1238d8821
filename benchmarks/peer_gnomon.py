"""gnomon's side of `peer.py`."""

from __future__ import annotations

from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.session import Session

from .peer_worker import peak_memory, serve


class Gnomon:
    """One model and one session."""

    _model: Model
    _session: Session

    def load(self, path: str, threads: int, context: int) -> None:
        """From opening the file to the first token."""
        self._model = Model.open(path, LoadConfig(cpu_threads=threads, context_length=context))
        self._session = self._model.session()
        self.step(1, 0)

    def prompt(self, count: int) -> None:
        """Feed `count` tokens to an empty session."""
        self._session.rewind(0)
        self._session.feed([7 + i % 200 for i in range(count)])

    def step(self, rows: int, position: int) -> None:
        """Feed `rows` tokens from `position` on, with logits of every one."""
        self._session.rewind(position)
        self._session.feed(range(7, 7 + rows), logits="all")

    def generate(self, count: int, position: int) -> None:
        """Feed tokens one by one."""
        for i in range(count):
            self.step(1, position + i)

    def bytes_of_token(self) -> int:
        """What a dense model reads of its file for one token: all but the embedding, or all if that
        is the output matrix too.
        """
        tensors = dict(self._model.file.tensors)
        if "output.weight" in tensors:
            del tensors["token_embd.weight"]
        return sum(tensor.data.nbytes for tensor in tensors.values())

    def memory(self) -> float:
        """Peak resident memory, MB."""
        return float(peak_memory())


if __name__ == "__main__":
    serve(Gnomon())
