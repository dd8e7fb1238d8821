"""Windows of layers from metadata, and which keys a row of a step sees."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.arch import Window
from gnomon.engine.archs.llama import LLAMA
from gnomon.engine.keys import Keys
from gnomon.engine.step import StepMemory
from gnomon.engine.windows import read_windows
from gnomon.formats.metadata import Metadata

LOCAL = replace(LLAMA, name="x", window_period=3)


def windows(arch: Any, **metadata: Any) -> list[int]:
    given = {f"x.attention.{key}": value for key, value in metadata.items()}
    return read_windows(Keys(Metadata(given), "x"), arch, 6)


def test_one_layer_of_each_period_sees_everything() -> None:
    assert windows(LOCAL, sliding_window=8) == [8, 8, 0, 8, 8, 0]


def test_that_layer_may_be_the_first() -> None:
    first = replace(LOCAL, window_first=True)
    assert windows(first, sliding_window=8) == [0, 8, 8, 0, 8, 8]


def test_the_files_pattern_counts_before_the_specs() -> None:
    pattern = np.array([1, 0, 0, 1, 1, 0])
    found = windows(LOCAL, sliding_window=8, sliding_window_pattern=pattern)
    assert found == [8, 0, 0, 8, 8, 0]


def test_the_files_period_counts_before_the_specs() -> None:
    found = windows(LOCAL, sliding_window=8, sliding_window_pattern=2)
    assert found == [8, 0, 8, 0, 8, 0]


def test_without_a_window_all_layers_see_everything() -> None:
    assert windows(LOCAL) == [0] * 6
    assert windows(LOCAL, sliding_window=0) == [0] * 6


def test_a_spec_without_windows_ignores_the_files() -> None:
    assert windows(replace(LLAMA, name="x"), sliding_window=8) == [0] * 6


def test_a_default_window_stands_in_for_a_missing_one() -> None:
    assert windows(replace(LOCAL, default_window=5)) == [5, 5, 0, 5, 5, 0]


def test_a_fixed_window_counts_before_the_files() -> None:
    assert windows(replace(LOCAL, fixed_window=9), sliding_window=4) == [9, 9, 0, 9, 9, 0]


@pytest.mark.parametrize(
    ("kind", "first"),
    [(Window.SLIDING, [0, 0, 0, 1, 2, 3, 4, 5, 6]), (Window.CHUNKED, [0, 0, 0, 3, 3, 3, 6, 6, 6])],
)
def test_the_first_key_in_sight(kind: Window, first: list[int]) -> None:
    memory = SimpleNamespace(arch=replace(LOCAL, window=kind))
    found = StepMemory._first(memory, np.arange(9), 3)  # type: ignore[arg-type]
    assert found.tolist() == first
