"""BPE by score, best first (Llama 1 and 2, Gemma, Phi-3 ...): `sentencepiece` does the work.

Characters without a token are spelled by the 256 tokens <0xHH>; without these they are the unknown
token.
"""

from typing import Final

from .codec import BYTE_TEXTS, HIDDEN, SPACE, Codec, spell_utf8
from .errors import TokenizerError
from .metadata import Metadata
from .sentencepiece_model import PieceType, model_proto
from .vocabulary import KEY, Defaults, Vocabulary, read_scores, read_vocabulary

DEFAULTS: Final = Defaults(bos=1, eos=2, unknown=0, add_bos=True, space_prefix=True)


def read_llama(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """BPE by score on UTF-8, with U+2581 for a space."""
    from sentencepiece import SentencePieceProcessor

    vocabulary = read_vocabulary(metadata, DEFAULTS)
    scores = read_scores(metadata, len(vocabulary.tokens))
    byte_fallback = vocabulary.ids.keys() >= BYTE_TEXTS.keys()
    types = _piece_types(vocabulary, byte_fallback)
    proto = model_proto(vocabulary.tokens, scores, types, byte_fallback)
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(proto)
    except RuntimeError as error:
        raise TokenizerError(f"{KEY}tokens: SentencePiece refuses them: {error}") from error

    def encode(text: str) -> list[int]:
        ids: list[int] = processor.EncodeAsIds(text.replace(" ", SPACE))
        return ids

    return vocabulary, Codec(encode, spell_utf8, prefixed=True)


def _piece_types(vocabulary: Vocabulary, byte_fallback: bool) -> list[PieceType]:
    """The tokens' types for SentencePiece: exactly one is unknown, and no hidden one is text."""
    hidden = vocabulary.of_kind(*HIDDEN)
    if not hidden:
        raise TokenizerError(f"{KEY}token_type: found no unknown or control token, expected one")
    types = [PieceType.NORMAL] * len(vocabulary.tokens)
    for text in BYTE_TEXTS if byte_fallback else ():
        types[vocabulary.ids[text]] = PieceType.BYTE
    for id in hidden:
        types[id] = PieceType.CONTROL
    unknown = vocabulary.unknown if vocabulary.unknown in hidden else hidden[0]
    types[unknown] = PieceType.UNKNOWN
    return types
