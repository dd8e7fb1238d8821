"""llama.cpp's side of `peer.py`; needs llama-cpp-python and nothing else."""

from llama_cpp import Llama

from .peer_worker import peak_memory, serve


class LlamaCpp:
    """The methods of `peer_gnomon.Gnomon`."""

    def load(self, path, threads, context):
        self._model = Llama(
            path, n_ctx=context, n_batch=512, n_threads=threads, n_threads_batch=threads,
            verbose=False,
        )  # fmt: skip
        self.step(1, 0)

    def prompt(self, count):
        self._model.reset()
        self._model._ctx.kv_cache_clear()
        self._model.eval([7 + i % 200 for i in range(count)])

    def step(self, rows, position):
        model = self._model
        model._ctx.kv_cache_seq_rm(-1, position, -1)
        ids = list(range(7, 7 + rows))
        model._batch.set_batch(batch=ids, n_past=position, logits_all=True)
        model._ctx.decode(model._batch)

    def generate(self, count, position):
        for i in range(count):
            self.step(1, position + i)

    def memory(self):
        return peak_memory()


if __name__ == "__main__":
    serve(LlamaCpp())
