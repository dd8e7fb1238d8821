"""Weights are asked for before they are needed: some cache lines after each product of a block.

A core waits for a few dozen lines at a time; what it is asked for beyond them is forgotten. So a
block's requests are spread over its products, and go out again halfway, but for small blocks of
which one row is multiplied: the processor's own guesses fill those gaps.

Milliseconds of a step of a 1.07B model, by turns, where memory gives 53 GB/s / 88 GB/s; all lines
once before each block, 8192 bytes ahead, against this:

    q6_k, 1 row     20.0   17.5  /  13.4   12.7        q4_0, 1 row    12.6   12.5  /  8.6   8.5
          4 rows    18.8   18.3  /  16.7   14.9              4 rows   13.3   13.4  / 10.8  10.4
    q5_k_m, 1 row   18.4   15.9  /  10.9   11.1        bf16, 1 row    42.9   42.5  / 29.4  29.0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .tiles.lanes import prefetch, prefetch_once
from .trace import unrolled, void

ONE_ROW, ROWS = 8192, 10240  # bytes from use to request, of one row and of more
AGAIN = 4096  # and of the second request
LARGE = 320  # bytes of a block up to which one row asks once
FIRST = 4096  # bytes that a part asks for before it starts


@dataclass(frozen=True)
class Requests:
    """Those of one block of `size` bytes, on `rows` rows; `stays` is for the last cache."""

    size: int
    rows: int
    stays: bool

    @property
    def far(self) -> int:
        """Bytes from the block to what it asks for."""
        return ONE_ROW if self.rows == 1 else ROWS

    @property
    def near(self) -> int:
        """And to what it asks for once more."""
        return AGAIN

    def after(self, product: int, products: int, far: Any, near: Any) -> None:
        """Ask for what is this product's share of the lines at `far`, and at `near` once more."""
        ask, lines = prefetch if self.stays else prefetch_once, -(-self.size // 64)
        again = self.rows > 1 or self.size > LARGE
        for line in range(product * lines // products, (product + 1) * lines // products):
            ask(far + 64 * line)
            if again:
                ask(near + 64 * line)

    def whole(self) -> Any:
        """ask(block): all of them at once, callable in kernels."""

        @unrolled(lambda block: void)
        def ask(block: Any) -> None:
            self.after(0, 1, block + self.far, block + self.near)

        return ask
