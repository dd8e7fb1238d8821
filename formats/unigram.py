"""Unigram (T5, XLM-R): the tokens with the best sum of scores; `tokenizers` finds them.

Text is normalised first: characters by the file's map, spaces to U+2581 before each word or each.
What no token covers is the unknown token, once for a run of characters. (llama.cpp leaves bytes as
they are that begin like a user-defined token; where these are ASCII, it makes no difference.)
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from .charsmap import CharsMap
from .codec import SPACE, Codec, spell_utf8
from .errors import TokenizerError
from .metadata import Metadata
from .special_tokens import Kind
from .vocabulary import KEY, Defaults, Vocabulary, read_scores, read_vocabulary

DEFAULTS: Final = Defaults(eos=1, unknown=2, add_eos=True)
# What is tried at each place: a limit keeps the time linear in the text.
MAX_TOKEN: Final = 1000
MATCHED: Final = (Kind.NORMAL, Kind.USER_DEFINED, Kind.UNUSED)
# Stands for the unknown token, whose own text is text like any other.
UNKNOWN: Final = "\U0010ffff\U0010fffe"


def read_t5(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """Unigram with the normalisation that the file describes."""
    from tokenizers.models import Unigram

    vocabulary = read_vocabulary(metadata, DEFAULTS)
    if vocabulary.unknown is None:
        raise TokenizerError(f"{KEY}unknown_token_id: found none, expected an id")
    scores = read_scores(metadata, len(vocabulary.tokens)).astype(np.float64)
    scores[vocabulary.kinds == Kind.USER_DEFINED] = 0.0
    # The model's own numbers: 0 is the unknown token, then come the tokens that text can match.
    matched = vocabulary.of_kind(*MATCHED)
    longest = max((len(vocabulary.tokens[id]) for id in matched), default=0)
    if longest > MAX_TOKEN:
        raise TokenizerError(
            f"{KEY}tokens: found one of {longest} characters, expected at most {MAX_TOKEN}"
        )
    ids = [vocabulary.unknown, *matched]
    pairs = [
        (vocabulary.tokens[id], score)
        for id, score in zip(matched, scores[matched].tolist(), strict=True)
    ]
    model = Unigram([(UNKNOWN, 0.0), *pairs], unk_id=0)
    normalized = _normalizer(metadata, vocabulary.space_prefix)

    def encode(text: str) -> list[int]:
        return [ids[token.id] for token in model.tokenize(normalized(text))]

    return vocabulary, Codec(encode, spell_utf8)


def _normalizer(metadata: Metadata, space_prefix: bool) -> Callable[[str], str]:
    key = f"{KEY}precompiled_charsmap"
    data = metadata[key] if key in metadata else np.zeros(0, np.uint8)
    if not isinstance(data, np.ndarray) or data.dtype.name not in ("uint8", "int8"):
        raise TokenizerError(f"{key}: found {type(data).__name__}, expected an array of bytes")
    characters = CharsMap(data.tobytes())
    merge_spaces = metadata.boolean(f"{KEY}remove_extra_whitespaces", False)

    def normalized(text: str) -> str:
        text = characters.replace(text)
        if merge_spaces:
            return "".join(SPACE + word for word in text.split(" ") if word)
        words = text.lstrip(" ")
        prefix = SPACE if space_prefix and words else ""
        return SPACE * (len(text) - len(words)) + prefix + words.replace(" ", SPACE)

    return normalized
