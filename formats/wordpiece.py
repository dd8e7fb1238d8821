"""WordPiece (BERT): words cut at spaces, marks and Han characters, then longest token first.

Tokens hold U+2581 where a word begins. A word that its tokens do not cover is the unknown token.
Normalisation is llama.cpp's: of a decomposed character only the base stays.
"""

import unicodedata
from typing import Final

from .codec import HIDDEN, SPACE, Codec, spell_utf8
from .errors import TokenizerError
from .metadata import Metadata
from .vocabulary import KEY, Around, Defaults, Vocabulary, read_vocabulary

DEFAULTS: Final = Defaults(bos=101, unknown=100, separator=102, around=Around.SEPARATOR)
# What is tried at each place: a limit keeps the time linear in the text.
MAX_TOKEN: Final = 1000
SPACES: Final = "\t\n\v\f\r\x85"
HAN: Final = (
    *(range(0x4E00, 0xA000), range(0x3400, 0x4DC0), range(0x20000, 0x2A6E0)),
    *(range(0x2A700, 0x2B740), range(0x2B740, 0x2B820), range(0x2B920, 0x2CEB0)),
    *(range(0xF900, 0xFB00), range(0x2F800, 0x2FA20)),
)


def read_bert(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """WordPiece between the begin token and the separator."""
    vocabulary = read_vocabulary(metadata, DEFAULTS)
    if vocabulary.unknown is None:
        raise TokenizerError(f"{KEY}unknown_token_id: found none, expected an id")
    lowercase = metadata.boolean(f"{KEY}normalizer.lowercase", True)
    strip_accents = metadata.boolean(f"{KEY}normalizer.strip_accents", lowercase)
    characters = _Characters(lowercase, strip_accents)
    words = _Words(vocabulary, vocabulary.unknown)

    def encode(text: str) -> list[int]:
        return [
            id for word in text.translate(characters).split(" ") if word for id in words.ids(word)
        ]

    return vocabulary, Codec(encode, spell_utf8)


class _Characters(dict[int, str]):
    """What becomes of a character: nothing, a space, itself, or itself between spaces."""

    def __init__(self, lowercase: bool, strip_accents: bool) -> None:
        super().__init__()
        self._lowercase = lowercase
        self._strip_accents = strip_accents

    def __missing__(self, code: int) -> str:
        self[code] = self._normalized(chr(code))
        return self[code]

    def _normalized(self, char: str) -> str:
        if self._strip_accents:
            char = unicodedata.normalize("NFD", char)[0]
        category = unicodedata.category(char)
        if category[0] == "Z" or char in SPACES:
            return " "
        if char in "\0\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
            return ""
        if self._strip_accents and category[0] == "M":
            return ""
        shown = char.lower()[0] if self._lowercase else char
        alone = category[0] == "P" or (category[0] == "S" and char < "\x7f")
        return f" {shown} " if alone or any(ord(char) in block for block in HAN) else shown


class _Words:
    """The ids of words, longest token first."""

    def __init__(self, vocabulary: Vocabulary, unknown: int) -> None:
        self._ids = dict(vocabulary.ids)
        for id in vocabulary.of_kind(*HIDDEN):
            del self._ids[vocabulary.tokens[id]]
        self._unknown = unknown
        self._longest = max(map(len, self._ids), default=0)
        if self._longest > MAX_TOKEN:
            raise TokenizerError(
                f"{KEY}tokens: found one of {self._longest} characters, expected at most "
                f"{MAX_TOKEN}"
            )

    def ids(self, word: str) -> list[int]:
        """The ids that cover a word, or the unknown one."""
        text = SPACE + word
        ids = []
        start = 0
        while start < len(text):
            for stop in range(min(len(text), start + self._longest), start, -1):
                id = self._ids.get(text[start:stop])
                if id is not None:
                    ids.append(id)
                    start = stop
                    break
            else:
                return [self._unknown]
        return ids
