"""Tile formats by type name: all that a matrix may be stored in, floats and 26 quantised types."""

from __future__ import annotations

from .codebooks import CODEBOOKS
from .codes import TileFormat
from .floats import FLOATS
from .fp4 import FP4
from .k_quants import K_QUANTS
from .legacy import LEGACY
from .ternary import TERNARY

FORMATS: dict[str, TileFormat] = {
    form.name: form for form in (*FLOATS, *LEGACY, *K_QUANTS, *TERNARY, *FP4, *CODEBOOKS)
}
