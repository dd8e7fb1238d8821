"""Architectures by name: one short spec each, grouped in families."""

from __future__ import annotations

from ..arch import Arch
from .gemma import GEMMA3
from .llama import LLAMA

ARCHS: dict[str, Arch] = {arch.name: arch for arch in (LLAMA, GEMMA3)}
