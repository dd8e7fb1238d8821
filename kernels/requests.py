"""Weights are asked for before they are needed: some cache lines after each product of a block.

A core waits for a few dozen lines at a time; what it is asked for beyond them is forgotten. So a
block's requests are spread over its products, and go out again nearer to their use, but for blocks
of which one row is multiplied, small ones on Zen 3: the processor's own guesses fill those gaps.

How to ask depends on who made the core. AMD's take lines that are read once past the last cache,
but Zen 4's for the second level, if at all. Intel's have only the first level's 16 buffers for
such lines, 5 GB/s a core. They are asked for the second level first, then for the first.
Milliseconds of a step of a 1.07B model, by turns.

AMD Zen 5, where memory gives 55 / 94 GB/s, two tiles at once / one after the other:

    q4_0, 1 row    13.7   11.6  /   9.6    7.6        q4_k_m, 1 row  15.8   12.9  /  11.8    8.7
          4 rows   13.1   12.1  /   9.4    8.9                4 rows 14.6   13.4  /  11.6   10.2
    q2_k, 1 row     8.7    6.9                        bf16, 4 rows                   32.8   28.0

At 94 GB/s one row asking twice / once: bf16 28.5 / 27.4, q6_k 11.5 / 11.2; four rows asking 10 KB
ahead / 12: q6_k 12.6 / 12.1, q4_k_m 10.1 / 9.8. All lines at once before each block, at 53 GB/s:
q6_k 20.0 for 17.5, with four rows 18.8 for 18.3.

AMD Zen 4, 33 to 62 GB/s, as Zen 5 is asked but two tiles at once / this, one after the other:

    q4_0, 1 row    17.7   11.9        q4_k_m, 1 row    25.2   19.4        q2_k, 1 row   14.4   12.8
          4 rows   22.7   18.4                4 rows   27.9   21.6        q5_k_m, 1 row 28.9   17.1

AMD Zen 3, 18 to 20 GB/s, two tiles at once / one after the other:

    q2_k, 1 row    26.7   22.6        iq4_xs, 1 row  42.6   41.4        q5_k_m, 1 row  50.3   44.6
          2 rows   41.5   36.2                2 rows 65.3   47.2                2 rows 61.3   53.5
    q4_0, 1 row    34.8   36.4        q4_k_m, 1 row  39.1   37.2        q8_0, 2 rows   58.8   62.5

So only one row of types whose units are single blocks takes two tiles there, and with 16 registers
on any other AMD core, which was not timed.

One core of Zen 4 reads 32 GB/s, all it can, without any request, if a row's products are few beside
its bytes and those lie in order; asked for each line it gives 22. More products, or bytes in two
places, hide what the processor guesses from: Q6_K at 8 GB/s, asked 29.

Intel Granite Rapids, 31 GB/s, as AMD is asked / all lines once, 4096 bytes ahead, for the first
level / this:

    q4_0, 1 row    58.5 / 23.6 / 23.2        q8_0, 1 row      - / 47.4 / 44.5
          4 rows   50.8 / 27.0 / 27.5              4 rows     - / 49.7 / 48.3
    q6_k, 1 row       - / 35.1 / 36.0        q4_k_m, 1 row    - / 30.8 / 28.0
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .isa import AMD, CORE, NARROW
from .tiles.codes import TileFormat
from .tiles.lanes import prefetch, prefetch_once, prefetch_second
from .trace import unrolled, void

FIRST = 4096  # bytes that a part asks for before it starts
ALL = 2048  # bytes of the largest block, F32's


@dataclass(frozen=True)
class Manner:
    """How to ask: bytes from use to request, and which request."""

    one_row: int
    rows: int
    again: int  # of the second request
    large: int  # bytes of a block up to which one row asks once
    kept: Callable[[Any], None]  # what is for the last cache
    once: Callable[[Any], None]  # what a step reads once
    nearer: Callable[[Any], None] | None = None  # the second request; None is the first again
    rows_again: bool = True  # whether several rows ask twice
    guesses: bool = False  # one row does not ask for blocks that lie in the order of their use
    page: Callable[[Any], None] = prefetch_second  # keys and values of a page ahead
    piece: Callable[[Any], None] | None = prefetch  # the same, some 8 KB ahead
    tiles: int = 2  # at most so many are read at once
    small: int = 2  # or so many by one row, of types whose units are single blocks

    @property
    def apart(self) -> bool:
        """Whether what the last cache keeps is asked for otherwise."""
        return self.kept is not self.once


ZEN = Manner(8192, 12288, 4096, ALL, prefetch, prefetch_once, tiles=1, small=1)
ZEN_3 = replace(ZEN, rows=10240, large=320, page=prefetch, piece=None, small=2)
ZEN_4 = Manner(
    16384, 8192, 4096, 0, prefetch_second, prefetch_second, prefetch,
    rows_again=False, guesses=True, tiles=1, small=1,
)  # fmt: skip
OTHER = Manner(6144, 6144, 3072, 0, prefetch_second, prefetch_second, prefetch)
HERE = ZEN_4 if CORE == "znver4" else ZEN_3 if AMD and NARROW else ZEN if AMD else OTHER


@dataclass(frozen=True)
class Requests:
    """Those of one block of `size` bytes, on `rows` rows; `stays` is for the last cache. `in_order`
    blocks lie one after the other, as they are used.
    """

    size: int
    rows: int
    stays: bool
    in_order: bool = False
    manner: Manner = HERE

    @classmethod
    def of(cls, form: TileFormat, rows: int, stays: bool) -> Requests:
        """Those of a type's blocks."""
        return cls(form.block_bytes, rows, stays, form.in_order)

    @property
    def far(self) -> int:
        """Bytes from the block to what it asks for."""
        return self.manner.one_row if self.rows == 1 else self.manner.rows

    @property
    def near(self) -> int:
        """And to what it asks for once more."""
        return self.manner.again

    @property
    def ask(self) -> Callable[[Any], None]:
        """Ask for one line for the first time."""
        return self.manner.kept if self.stays else self.manner.once

    def after(self, product: int, products: int, asks: Sequence[tuple[Any, Any]]) -> None:
        """Ask for this product's share of the lines at each (far, near), at `near` once more."""
        manner, lines = self.manner, -(-self.size // 64)
        if self.rows == 1 and self.in_order and manner.guesses:
            return
        nearer = manner.nearer or self.ask
        again = self.size > manner.large if self.rows == 1 else manner.rows_again
        for line in range(product * lines // products, (product + 1) * lines // products):
            for far, near in asks:
                self.ask(far + 64 * line)
                if again:
                    nearer(near + 64 * line)

    def whole(self) -> Any:
        """ask(block): all of them at once, callable in kernels."""

        @unrolled(lambda block: void)
        def ask(block: Any) -> None:
            self.after(0, 1, [(block + self.far, block + self.near)])

        return ask
