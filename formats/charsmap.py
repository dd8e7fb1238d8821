"""SentencePiece's precompiled character map: the longest known text at each place is replaced.

    u32 n | n bytes: u32 units of a double array over UTF-8 bytes | replacements, each ended by 0

A unit holds a label (bits 0 to 7), whether a value follows (bit 8) and the base of its children
(bits 10 to 30, times 256 if bit 9 is set). From unit u the child for byte c is u ^ base ^ c; a
value is the offset of a replacement. The map is input from strangers: what leads outside it, or
far, raises TokenizerError.
"""

from typing import Final

import numpy as np

from .errors import TokenizerError

LABEL: Final = 1 << 31 | 0xFF
HAS_VALUE: Final = 1 << 8
WIDE_BASE: Final = 1 << 9
# Bytes; the maps known have some 30.
MAX_RULE: Final = 256


class CharsMap:
    """A `precompiled_charsmap`; an empty one changes nothing."""

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:4], "little")
        if data and (size % 4 or 4 + size >= len(data)):
            raise TokenizerError(
                f"precompiled_charsmap: found {len(data)} bytes for an array of {size} bytes"
            )
        self._units: list[int] = np.frombuffer(data[4 : 4 + size], "<u4").tolist()
        self._replacements = data[4 + size :]

    def replace(self, text: str) -> str:
        """The text with all it knows replaced, from the left, the longest first."""
        if not self._units:
            return text
        data = text.encode()
        made = bytearray()
        at = 0
        while at < len(data):
            length, replacement = self._longest(data, at)
            made += replacement
            at += length
        return made.decode(errors="replace")

    def _longest(self, data: bytes, start: int) -> tuple[int, bytes]:
        """Bytes matched and what they become; one character as it is if none match."""
        length, value = 0, 0
        node = _base(self._unit(0))
        for at in range(start, min(len(data), start + MAX_RULE)):
            node ^= data[at]
            unit = self._unit(node)
            if data[at] == 0 or unit & LABEL != data[at]:
                break
            node ^= _base(unit)
            if unit & HAS_VALUE:
                length, value = at + 1 - start, self._unit(node) & ~(1 << 31)
        if length:
            return length, self._replacement(value)
        lead = data[start]
        length = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        return length, data[start : start + length]

    def _unit(self, index: int) -> int:
        if index >= len(self._units):
            raise TokenizerError(
                f"precompiled_charsmap: found unit {index}, expected below {len(self._units)}"
            )
        return self._units[index]

    def _replacement(self, offset: int) -> bytes:
        end = self._replacements.find(b"\0", offset, offset + MAX_RULE)
        if end < 0:
            raise TokenizerError(
                f"precompiled_charsmap: found no end of the text at {offset}, expected a zero byte "
                f"within {MAX_RULE}"
            )
        return self._replacements[offset:end]


def _base(unit: int) -> int:
    return (unit >> 10) << ((unit & WIDE_BASE) >> 6)
