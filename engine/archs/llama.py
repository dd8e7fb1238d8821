"""LLaMA (Touvron et al., 2023): RMS norm before each block, rotary positions, SiLU gate."""

from __future__ import annotations

from ..arch import Arch

LLAMA = Arch(name="llama")
