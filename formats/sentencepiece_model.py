"""A vocabulary with scores as the bytes of SentencePiece's ModelProto, for its BPE encoder.

    pieces = 1 { piece = 1 str, score = 2 float, type = 3 enum }   one per token
    trainer_spec = 2 { model_type = 3: BPE, byte_fallback = 35 }
    normalizer_spec = 3 { add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces = 3, 4, 5 }

Field numbers are those of sentencepiece_model.proto. Normalisation is off: the caller does it.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class PieceType(IntEnum):
    """ModelProto.SentencePiece.Type, as far as it is used here."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    BYTE = 6


VARINT, BYTES, FIXED32 = 0, 2, 5
BPE: Final = 2


def model_proto(
    pieces: Sequence[str], scores: F32, types: Sequence[PieceType], byte_fallback: bool
) -> bytes:
    """The serialised model; `pieces`, `scores` and `types` have one entry per id."""
    score_bytes = scores.astype("<f4").tobytes()
    text_tag, score_tag = _tag(1, BYTES), _tag(2, FIXED32)
    type_fields = {type: _tag(3, VARINT) + _varint(type) for type in PieceType}
    lengths = _Varints()
    fields: list[bytes] = []
    for id, (piece, type) in enumerate(zip(pieces, types, strict=True)):
        text = piece.encode()
        score = score_bytes[4 * id : 4 * id + 4]
        entry = text_tag + lengths[len(text)] + text + score_tag + score + type_fields[type]
        fields += (text_tag, lengths[len(entry)], entry)
    trainer = _tag(3, VARINT) + _varint(BPE) + _tag(35, VARINT) + _varint(byte_fallback)
    normalizer = b"".join(_tag(field, VARINT) + _varint(0) for field in (3, 4, 5))
    for number, spec in ((2, trainer), (3, normalizer)):
        fields += (_tag(number, BYTES), _varint(len(spec)), spec)
    return b"".join(fields)


class _Varints(dict[int, bytes]):
    """Each number's varint, made once."""

    def __missing__(self, number: int) -> bytes:
        self[number] = _varint(number)
        return self[number]


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(number: int) -> bytes:
    """Base 128, low digits first, high bit on all but the last: 300 is AC 02."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
