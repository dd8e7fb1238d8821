"""What a tokenizer family gives: text to ids, and how the text of a token spells bytes."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, NamedTuple

from .special_tokens import Kind

SPACE: Final = "\u2581"
# The texts of tokens that stand for one byte each.
BYTE_TEXTS: Final[Mapping[str, int]] = {f"<0x{byte:02X}>": byte for byte in range(256)}
# Kinds that no text may spell: families leave their tokens out of what they match.
HIDDEN: Final = (Kind.CONTROL, Kind.UNKNOWN)


class Codec(NamedTuple):
    """`encode`: text between special tokens -> ids. `spell`: the text of a normal token -> bytes.

    `prefixed`: if the vocabulary has a space prefix, it goes before texts at the start and after
    special tokens.
    """

    encode: Callable[[str], list[int]]
    spell: Callable[[str], bytes]
    prefixed: bool = False


def spell_utf8(text: str) -> bytes:
    """UTF-8, with U+2581 for a space."""
    return text.replace(SPACE, " ").encode()


def _byte_characters() -> dict[str, int]:
    """GPT-2's character for each byte: its own in Latin-1 if it prints, else one from U+0100 on."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = count(0x100)
    return {chr(byte if byte in printing else next(others)): byte for byte in range(256)}


BYTE_OF: Final[Mapping[str, int]] = _byte_characters()


def spell_byte_level(text: str) -> bytes:
    """A byte for each of GPT-2's characters.

    Tokens with other characters (Command R has emoji as they are) stand for themselves; no text is
    encoded to them.
    """
    try:
        return bytes(map(BYTE_OF.__getitem__, text))
    except KeyError:
        return b"".join(
            bytes((BYTE_OF[char],)) if char in BYTE_OF else char.encode() for char in text
        )
