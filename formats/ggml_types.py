"""The 35 live ggml tensor types: id, name, elements per block, bytes per block.

Source: ggml.h (`enum ggml_type`) and the block structs of ggml-common.h. A row of a tensor is a
whole number of blocks. The dequantisers draw each block in their own docstring.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Block:
    """How one tensor type is stored: `elements` values in `bytes` bytes."""

    id: int
    name: str
    elements: int
    bytes: int


_ROWS = (
    Block(0, "f32", 1, 4),
    Block(1, "f16", 1, 2),
    Block(2, "q4_0", 32, 18),
    Block(3, "q4_1", 32, 20),
    Block(6, "q5_0", 32, 22),
    Block(7, "q5_1", 32, 24),
    Block(8, "q8_0", 32, 34),
    Block(9, "q8_1", 32, 36),
    Block(10, "q2_k", 256, 84),
    Block(11, "q3_k", 256, 110),
    Block(12, "q4_k", 256, 144),
    Block(13, "q5_k", 256, 176),
    Block(14, "q6_k", 256, 210),
    Block(15, "q8_k", 256, 292),
    Block(16, "iq2_xxs", 256, 66),
    Block(17, "iq2_xs", 256, 74),
    Block(18, "iq3_xxs", 256, 98),
    Block(19, "iq1_s", 256, 50),
    Block(20, "iq4_nl", 32, 18),
    Block(21, "iq3_s", 256, 110),
    Block(22, "iq2_s", 256, 82),
    Block(23, "iq4_xs", 256, 136),
    Block(24, "i8", 1, 1),
    Block(25, "i16", 1, 2),
    Block(26, "i32", 1, 4),
    Block(27, "i64", 1, 8),
    Block(28, "f64", 1, 8),
    Block(29, "iq1_m", 256, 56),
    Block(30, "bf16", 1, 2),
    Block(34, "tq1_0", 256, 54),
    Block(35, "tq2_0", 256, 66),
    Block(39, "mxfp4", 32, 17),
    Block(40, "nvfp4", 64, 36),
    Block(41, "q1_0", 128, 18),
    Block(42, "q2_0", 64, 18),
)

GGML: Final[dict[int, Block]] = {block.id: block for block in _ROWS}
BY_NAME: Final[dict[str, Block]] = {block.name: block for block in _ROWS}

# Ids that ggml has given up: old files may hold them, no reader can use them.
REMOVED: Final[dict[int, str]] = {
    4: "q4_2",
    5: "q4_3",
    31: "q4_0_4_4",
    32: "q4_0_4_8",
    33: "q4_0_8_8",
    36: "iq4_nl_4_4",
    37: "iq4_nl_4_8",
    38: "iq4_nl_8_8",
}
