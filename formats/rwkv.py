r"""RWKV's tokenizer: at each byte the longest token that matches.

Tokens are written with escapes: \t, \n, \r, \xHH for a byte, and a backslash before any other
character for the character itself. Nothing is added around a text.
"""

import re
from collections.abc import Mapping
from typing import Final

from .codec import HIDDEN, Codec
from .errors import TokenizerError
from .metadata import Metadata
from .vocabulary import KEY, Around, Defaults, Vocabulary, read_vocabulary

ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
LETTERS: Final[Mapping[bytes, bytes]] = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
# Bytes tried at each place: a limit keeps the time linear in the text.
MAX_TOKEN: Final = 1000


def read_rwkv(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """Longest match over bytes."""
    vocabulary = read_vocabulary(metadata, Defaults(around=Around.NOTHING))
    hidden = set(vocabulary.of_kind(*HIDDEN))
    ids = {spell(text): id for text, id in vocabulary.ids.items() if id not in hidden}
    missing = [byte for byte in range(256) if bytes((byte,)) not in ids]
    longest = max(map(len, ids), default=0)
    if missing or longest > MAX_TOKEN:
        found = f"none for byte {missing[0]:02X}" if missing else f"one of {longest} bytes"
        raise TokenizerError(
            f"{KEY}tokens: found {found}, expected all 256 bytes and at most {MAX_TOKEN} in a token"
        )
    lengths: dict[bytes, set[int]] = {}
    for token in ids:
        lengths.setdefault(token[:2], set()).add(len(token))
    tried = {head: sorted(known, reverse=True) for head, known in lengths.items()}

    def encode(text: str) -> list[int]:
        data = text.encode()
        found = []
        at = 0
        while at < len(data):
            known = (*tried.get(data[at : at + 2], ()), 1)
            length = next(length for length in known if data[at : at + length] in ids)
            found.append(ids[data[at : at + length]])
            at += length
        return found

    return vocabulary, Codec(encode, spell)


def spell(text: str) -> bytes:
    """The bytes that a token's text stands for."""
    return ESCAPE.sub(_unescaped, text.encode())


def _unescaped(match: re.Match[bytes]) -> bytes:
    code, char = match.groups()
    return bytes.fromhex(code.decode()) if code else LETTERS.get(char, char)
