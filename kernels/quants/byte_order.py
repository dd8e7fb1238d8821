"""Blocks of big-endian files as little-endian bytes: each field wider than a byte is reversed.

Which fields those are is the table below, as `formats.gguf.TensorInfo` says; types that are not in
it hold single bytes. Of the quantised types `gguf_convert_endian.py` writes Q4_0, Q8_0, Q4_K and
Q6_K; for the others no program is known that writes them big-endian, and the table follows the
fields' widths.
"""

from ...formats.ggml_types import Block
from ...formats.gguf import TensorInfo
from .fields import U8

Field = tuple[int, int, int]  # the first byte, how many numbers, bytes of each

_D: tuple[Field, ...] = ((0, 1, 2),)
WIDE: dict[str, tuple[Field, ...]] = {
    "f32": ((0, 1, 4),),
    "f16": _D,
    "bf16": _D,
    "f64": ((0, 1, 8),),
    "i16": _D,
    "i32": ((0, 1, 4),),
    "i64": ((0, 1, 8),),
    "q1_0": _D,
    "q2_0": _D,
    "q4_0": _D,
    "q4_1": ((0, 2, 2),),
    "q5_0": _D,
    "q5_1": ((0, 2, 2),),
    "q8_0": _D,
    "q8_1": ((0, 2, 2),),
    "q2_k": ((80, 2, 2),),
    "q3_k": ((108, 1, 2),),
    "q4_k": ((0, 2, 2),),
    "q5_k": ((0, 2, 2),),
    "q6_k": ((208, 1, 2),),
    "q8_k": ((0, 1, 4), (260, 16, 2)),
    "iq1_s": (*_D, (34, 8, 2)),
    "iq1_m": ((48, 4, 2),),
    "iq2_xxs": (*_D, *((6 + 8 * g, 1, 4) for g in range(8))),
    "iq2_xs": ((0, 33, 2),),
    "iq2_s": _D,
    "iq3_xxs": (*_D, (66, 8, 4)),
    "iq3_s": _D,
    "iq4_nl": _D,
    "iq4_xs": ((0, 2, 2),),
    "tq1_0": ((52, 1, 2),),
    "tq2_0": ((64, 1, 2),),
}


def swapped(data: U8, block: Block) -> U8:
    """Whole blocks, U8[bytes], with every wide field reversed; new memory.

    Raise ValueError if `data` is not whole blocks.
    """
    if data.size % block.bytes:
        raise ValueError(f"{block.name}: {data.size} bytes, expected a multiple of {block.bytes}")
    blocks = data.reshape(-1, block.bytes).copy()
    for first, count, size in WIDE.get(block.name, ()):
        field = blocks[:, first : first + count * size]
        field[...] = field.reshape(len(blocks), count, size)[:, :, ::-1].reshape(field.shape)
    return blocks.reshape(-1)


def little_endian(tensor: TensorInfo) -> U8:
    """A tensor's bytes as a little-endian file holds them: the map itself where it is one."""
    return tensor.data if tensor.byte_order == "little" else swapped(tensor.data, tensor.type)
