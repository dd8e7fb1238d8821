"""Time of one pick over a vocabulary of 151936 tokens: python -m benchmarks.bench_sampling.

Targets: the default chain under 300 us, greedy under 30 us. Each line is the best of five runs.
Logits are normal with deviation 3. After each pick one of 64 different ids is accepted in turn (the
best id among them), so that the window of the penalties stays full.
"""

import platform
import timeit
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from gnomon.sampling.candidates import F32, top_positions
from gnomon.sampling.params import Dry, Mirostat, SamplingParams
from gnomon.sampling.portable import exp
from gnomon.sampling.sampler import Sampler

N_VOCAB = 151_936
NO_FILTER: dict[str, Any] = {
    "top_k_sampling": None,
    "top_p_sampling": None,
    "min_p_sampling": None,
    "repeat_penalty": None,
}
CHAINS: dict[str, dict[str, Any]] = {
    "default chain (target 300)": {},
    "default chain and DRY": {"dry": Dry(multiplier=0.8, breakers=())},
    "default chain and top-n-sigma": {"top_n_sigma": 1.0},
    "default chain and raw logprobs": {"logprobs": 5},
    "greedy (target 30)": {"temperature": 0.0, "repeat_penalty": None},
    "greedy with penalties (target 30)": {"temperature": 0.0},
    "min-p alone": {**NO_FILTER, "min_p_sampling": 0.05},
    "top-p alone": {**NO_FILTER, "top_p_sampling": 0.95},
    "typical alone": {**NO_FILTER, "typical_p": 0.9},
    "temperature alone": NO_FILTER,
    "mirostat 1": {"mirostat": Mirostat(version=1)},
    "mirostat 2": {"mirostat": Mirostat(version=2)},
}


def main() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0.0, 3.0, N_VOCAB).astype(np.float32)
    prompt = [*rng.integers(0, N_VOCAB, 63).tolist(), int(logits.argmax())]
    print(f"{platform.processor() or platform.machine()}, NumPy {np.__version__}, {N_VOCAB} tokens")
    for name, params in CHAINS.items():
        sampler = Sampler(SamplingParams(seed=1, **params), N_VOCAB)
        sampler.accept_prompt(prompt)
        report(name, partial(step, sampler, logits, cycle(prompt)))
    report("top-k 40 of a row", lambda: top_positions(logits, 40))
    report("np.partition of a row", lambda: np.partition(logits, N_VOCAB - 40))
    row = logits.astype(np.float64)
    report("exp of a row", lambda: exp(row))
    report("np.exp of a row (not portable)", lambda: np.exp(row))


def step(sampler: Sampler, logits: F32, following: Iterator[int]) -> None:
    sampler.pick(logits)
    sampler.accept(next(following))


def report(name: str, call: Callable[[], object]) -> None:
    once = timeit.timeit(call, number=3) / 3
    number = max(1, int(0.03 / once))
    best = min(timeit.repeat(call, number=number, repeat=5)) / number
    print(f"{name:36s}{best * 1e6:9.1f} us")


if __name__ == "__main__":
    main()
