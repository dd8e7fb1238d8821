"""Tokenizer models: `tokenizer.ggml.model` -> the vocabulary and codec of its family.

gpt2     byte-level BPE by merges (GPT-2, Llama 3, Qwen, SmolLM ...)
gemma4   BPE by merges on UTF-8
llama    BPE by score (Llama 1 and 2, Gemma to 3, Phi-3 ...)
bert     WordPiece
t5       unigram
rwkv     longest match over bytes
plamo2   best sum of scores
"""

from collections.abc import Callable, Mapping
from typing import Final

from .codec import Codec
from .errors import TokenizerError, shown
from .merge_bpe import read_gemma4, read_gpt2
from .metadata import Metadata
from .plamo2 import read_plamo2
from .rwkv import read_rwkv
from .score_bpe import read_llama
from .unigram import read_t5
from .vocabulary import KEY, Vocabulary
from .wordpiece import read_bert

FAMILIES: Final[Mapping[str, Callable[[Metadata], tuple[Vocabulary, Codec]]]] = {
    "gpt2": read_gpt2,
    "gemma4": read_gemma4,
    "llama": read_llama,
    "bert": read_bert,
    "t5": read_t5,
    "rwkv": read_rwkv,
    "plamo2": read_plamo2,
}
# Those that encoders have, most of all.
OF_ENCODERS: Final = ("bert", "t5")


def read_family(model: str, metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """The vocabulary and codec of a tokenizer model; TokenizerError for one not supported."""
    if model not in FAMILIES:
        raise TokenizerError(f"{KEY}model: found {shown(model)}, supported: {', '.join(FAMILIES)}")
    return FAMILIES[model](metadata)
