"""How activations lie for the matrix kernels: records of 1, 4 or 8 rows x 32 columns.

    FLOATS   float32 [rows, 32]
    BYTES    two levels, each int8 [rows, 32] codes, then eight numbers per row, each [rows]:
             d, -128 sum, likewise of columns 0..15 and of 16..31 (int32), -d sum, likewise of the
             halves, flag
    WORDS    int16 [rows, 32] codes, of each four columns the even ones first; then the same numbers

Sums are those of a row's codes. A record has room for 128 bytes a row. Columns beyond the last are
zero, as are rows that only fill the record. Records: groups of rows, then blocks of columns, those
of the first level before those of the second: most of what is read is then side by side.
"""

from __future__ import annotations

from enum import Enum

RECORD = 128  # bytes of 32 columns of one row
NUMBERS = 32  # of which a row's eight numbers take


class Records(Enum):
    """The kinds of records; a value names the kernels that read them."""

    FLOATS = "float"
    BYTES = "int8"
    WORDS = "int16"

    @property
    def parts(self) -> int:
        """Vectors of 4-byte lanes that hold four columns of a row."""
        return 2 if self is Records.WORDS else 1

    @property
    def codes(self) -> int:
        """Bytes of one row's codes."""
        return 32 * self.parts

    def step(self, rows: int) -> int:
        """Bytes from a block's record to the next one's; a second level follows the whole first."""
        return (RECORD if self is Records.FLOATS else self.codes + NUMBERS) * rows


def records_of(integer: bool, fine: bool = False) -> Records:
    """Those of a product that rounds activations or does not; `fine`: to 16 bits."""
    if not integer:
        return Records.FLOATS
    return Records.WORDS if fine else Records.BYTES
