"""Helpers that are only inlined: the same results, with or without our pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import pytest

from gnomon.kernels import inlining
from gnomon.kernels._jit import OPTIONS


def compiled(**options: Any) -> Callable[[float, int], float]:
    """A loop over a helper that calls a helper."""

    @numba.njit(forceinline=True, **options, **OPTIONS)
    def square(x):
        return x * x

    @numba.njit(forceinline=True, **options, **OPTIONS)
    def step(x, i):
        return square(x) / (i + 1) if i % 2 else x + square(0.5)

    @numba.njit(**OPTIONS)
    def loop(x, count):
        for i in range(count):
            x = step(x, i)
        return x

    made: Callable[[float, int], float] = loop
    return made


@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_are_those_of_numbas_own_pipeline(count: int) -> None:
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    ours = compiled(pipeline_class=inlining.InlineCompiler, **wrappers)
    assert ours(0.3, count) == compiled()(0.3, count)


def test_other_versions_of_numba_use_their_own_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlining, "TRIED", ((0, 1),))
    assert inlining.options() == {}
