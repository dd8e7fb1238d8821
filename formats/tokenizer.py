"""Text to token ids and back, by the vocabulary in a GGUF file.

    tokenizer = tokenizer_from_metadata(file.metadata)
    tokenizer.decode(tokenizer.encode("Hello")) == "Hello"

The ids are llama.cpp's, with few exceptions: no merge makes a control token out of text, special
tokens that overlap are taken from the left (special_tokens), and code points younger than Unicode
15 may be in another class (pretokenize). Text is limited to MAX_TEXT characters, because the
libraries take some 500 bytes of memory for each.
"""

import codecs
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from .codec import BYTE_TEXTS, Codec
from .errors import MetadataError, TokenizerError
from .metadata import Metadata
from .special_tokens import Kind, Span
from .vocabularies import read_family
from .vocabulary import KEY, Vocabulary

MAX_TEXT: Final = 1 << 24
# Files with these models hold no text to tokenise; `test` is what llama.cpp's own tests write.
NO_TEXT: Final = ("none", "no_vocab", "test")


def tokenizer_from_metadata(metadata: Metadata) -> "Tokenizer":
    """The file's tokenizer, or a NoTokenizer; TokenizerError if the vocabulary cannot be used."""
    try:
        model = metadata.string(f"{KEY}model", "none")
        if model in NO_TEXT:
            return NoTokenizer(model, _size_alone(metadata))
        return Tokenizer(*read_family(model, metadata))
    except MetadataError as error:
        raise TokenizerError(str(error)) from error


class Tokenizer:
    """A vocabulary at work. Threads may share it.

    `n_vocab`: every id is below it. `bos`, `eos`: the ids that begin and end a text, if any. `eog`:
    all ids that end a generation.
    """

    def __init__(self, vocabulary: Vocabulary, codec: Codec) -> None:
        self.n_vocab: int = len(vocabulary.tokens)
        self.bos: int | None = vocabulary.bos
        self.eos: int | None = vocabulary.eos
        self.eog: frozenset[int] = vocabulary.eog
        self._vocabulary = vocabulary
        self._codec = codec
        self._kinds = vocabulary.kinds.tobytes()

    @property
    def space_prefix(self) -> bool:
        """Whether a text is encoded with a space before it."""
        return self._codec.prefixed and self._vocabulary.space_prefix

    @property
    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids that encode() puts before and after a text."""
        return self._vocabulary.begin, self._vocabulary.end

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """The ids of a text; TokenizerError if it is too long or no Unicode text.

        `add_special` puts the begin and end tokens around it that the file asks for;
        `parse_special` reads the texts of control tokens as these tokens.
        """
        ids = self._ids(text, [(0, len(text))] if parse_special else [])
        return [*self._vocabulary.begin, *ids, *self._vocabulary.end] if add_special else ids

    def encode_segments(self, segments: Sequence[tuple[str, bool]]) -> list[int]:
        """The ids of a rendered chat: (text, whether it is the template's own) one after the other.

        Control tokens are read in the template's own text only. The begin token comes first if the
        file asks for it, and not a second time; no end token follows, as an answer shall.
        """
        trusted: list[Span] = []
        position = 0
        for text, is_template_text in segments:
            start, position = position, position + len(text)
            if is_template_text and trusted and trusted[-1][1] == start:
                start = trusted.pop()[0]
            if is_template_text and position > start:
                trusted.append((start, position))
        ids = self._ids("".join(text for text, _ in segments), trusted)
        begin = self._vocabulary.begin
        return ids if tuple(ids[: len(begin)]) == begin else [*begin, *ids]

    def decode(self, ids: Iterable[int], *, special: bool = False) -> str:
        """The text of the ids, U+FFFD for bytes that are no UTF-8; `special`: with control tokens.

        A space that encode() put after the begin token is taken off again.
        """
        stream = self.stream(special)
        return "".join(map(stream.push, ids)) + stream.flush()

    def stream(self, special: bool = False) -> "StreamDecoder":
        """A decoder for ids that come one by one."""
        return StreamDecoder(self, special)

    def token_bytes(self, id: int) -> bytes:
        """The bytes an id stands for in a text: none for control, unknown and unused tokens."""
        text, kind = self.token_text(id), self._kinds[id]
        if kind == Kind.NORMAL:
            return self._codec.spell(text)
        if kind == Kind.BYTE:
            return bytes((BYTE_TEXTS[text],))
        return text.encode() if kind == Kind.USER_DEFINED else b""

    def token_text(self, id: int) -> str:
        """The text of an id as it stands in the file."""
        if not 0 <= id < self.n_vocab:
            raise TokenizerError(f"token id: found {id}, expected 0 to {self.n_vocab - 1}")
        return self._vocabulary.tokens[id]

    def is_control(self, id: int) -> bool:
        """Whether an id is a control or unknown token, which no text means."""
        self.token_text(id)
        return self._kinds[id] in (Kind.CONTROL, Kind.UNKNOWN)

    def _ids(self, text: str, trusted: Sequence[Span]) -> list[int]:
        _check_text(text)
        ids: list[int] = []
        prefix = " " if self.space_prefix else ""
        before = prefix
        for piece in self._vocabulary.special.cut(text, trusted):
            if isinstance(piece, int):
                ids.append(piece)
                before = prefix
            else:
                ids += self._codec.encode(before + piece)
                before = ""
        return ids


class NoTokenizer(Tokenizer):
    """Stands for the tokenizer of a file that has none: ids work, text raises TokenizerError."""

    def __init__(self, model: str, n_vocab: int) -> None:
        self.n_vocab = n_vocab
        self.bos = None
        self.eos = None
        self.eog = frozenset()
        self._model = model

    @property
    def space_prefix(self) -> bool:
        return False

    @property
    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (), ()

    def _ids(self, text: str, trusted: Sequence[Span]) -> list[int]:
        self._refuse()

    def stream(self, special: bool = False) -> "StreamDecoder":
        self._refuse()

    def token_text(self, id: int) -> str:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TokenizerError(
            f"{KEY}model: found {self._model!r}, this file has no tokenizer; token ids still work"
        )


class StreamDecoder:
    """Turns ids into text as they come, holding back the bytes of a character not yet whole."""

    def __init__(self, tokenizer: Tokenizer, special: bool) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_start = True
        self._after_bos = False

    def push(self, id: int) -> str:
        """The characters that this id makes whole, perhaps none."""
        piece = self._tokenizer.token_bytes(id)
        if self._special and not piece and self._tokenizer.is_control(id):
            piece = self._tokenizer.token_text(id).encode()
        elif piece and self._after_bos:
            piece = piece.removeprefix(b" ")
            self._after_bos = False
        if self._at_start:
            self._after_bos = id == self._tokenizer.bos and self._tokenizer.space_prefix
            self._at_start = False
        return self._utf8.decode(piece)

    def flush(self) -> str:
        """U+FFFD for what is left of a character, if any; the stream then starts afresh."""
        self._at_start, self._after_bos = True, False
        return self._utf8.decode(b"", final=True)


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise TokenizerError(f"text: found {len(text)} characters, expected at most {MAX_TEXT}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"text: found a lone surrogate at character {error.start}, expected Unicode text"
        ) from error


def _size_alone(metadata: Metadata) -> int:
    """The number of tokens of a file without a tokenizer, 0 if it does not say."""
    tokens = metadata.strings(f"{KEY}tokens", [])
    architecture = metadata.string("general.architecture", "")
    return len(tokens) or metadata.integer(f"{architecture}.vocab_size", 0)
