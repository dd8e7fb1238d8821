r"""Pre-tokenizers: a name in `tokenizer.ggml.pre` -> the regexes that cut text into words for BPE.

Splits are applied one after the other, each inside the pieces that the last one left. Names, flags
and results are llama.cpp's (src/llama-vocab.cpp, src/unicode.cpp of llama-cpp-python 0.3.36), also
where it differs from a model's own tokenizer: it reads \p{Lu}, \p{Ll}, \p{Lt}, \p{Lm} and \p{Lo} as
\p{L}. Its hand-written splitters are regexes here. All take time linear in the text.

The syntax is Oniguruma's, as `tokenizers` sets it: `&&` intersects classes, `++` and `(?>...)` do
not backtrack, \z is the end of the piece. Code points younger than Unicode 15 may be in another
class than llama.cpp's tables have them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .errors import TokenizerError, shown

if TYPE_CHECKING:
    from tokenizers import pre_tokenizers


class Split(NamedTuple):
    """One cut: each match is a piece of its own, or ends the piece before it."""

    pattern: str
    behavior: Literal["isolated", "merged_with_previous"] = "isolated"


class PreTokenizer(NamedTuple):
    """What a name means: its splits, and what it says about the vocabulary.

    `ignore_merges`: a word that is a token needs no merges. `add_bos`, `always_bos`: a text begins
    with the begin token unless the file says otherwise, or whatever it says. `default_bos`: id 11
    is that token if the file names none. `byte_level`: tokens spell bytes by GPT-2's characters,
    otherwise they are UTF-8, with U+2581 for a space if `escape_spaces`.
    """

    splits: tuple[Split, ...]
    ignore_merges: bool = False
    add_bos: bool = False
    always_bos: bool = False
    default_bos: bool = True
    byte_level: bool = True
    escape_spaces: bool = False


CONTRACTION: Final = r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
TAIL: Final = f"(?:{CONTRACTION})?"
LEAD: Final = r"[^\r\n\p{L}\p{N}]?"
SYMBOLS: Final = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
PATHS: Final = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
SPACES: Final = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def _words(letters: str, digits: str, symbols: str = SYMBOLS, spaces: str = SPACES) -> str:
    """A word with a character before it, or a number, or symbols, or spaces: Llama 3's scheme."""
    return rf"{LEAD}{letters}|{digits}|{symbols}|{spaces}"


def _cased(letter: str, tail: str) -> str:
    """Letters for _words() as GPT-4o cuts camel case; beyond ASCII each counts as both cases."""
    upper, lower = rf"[{letter}&&[^a-z]]", rf"[{letter}&&[^A-Z]]"
    return rf"{upper}*{lower}+{tail}|{LEAD}{upper}+{lower}*{tail}"


GPT2: Final = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3: Final = rf"{CONTRACTION}|" + _words(r"\p{L}+", r"\p{N}{1,3}")
QWEN2: Final = rf"{CONTRACTION}|" + _words(r"\p{L}+", r"\p{N}")
QWEN35: Final = rf"{CONTRACTION}|" + _words(
    r"[\p{L}\p{M}]+", r"\p{N}", r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
)
SEED_CODER: Final = rf"{CONTRACTION}|" + _words(r"\p{L}+", r"\p{N}", r" ?[^\s\p{L}\p{N}]+")
MINICPM5: Final = rf"{CONTRACTION}|" + _words(r"\p{L}+", r"\p{N}+")
EXAONE_MOE: Final = rf"{CONTRACTION}|" + _words(
    r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+", r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]?"
)
JAIS2_SPACES: Final = "|".join(rf"\s{{{2**power}}}(?!\S)" for power in range(9, 1, -1))
JAIS2: Final = rf"{CONTRACTION}|" + _words(
    r"\p{L}+", r"\p{N}{1,3}", spaces=rf"\s*[\r\n]+|{JAIS2_SPACES}|\s{{1,2}}(?!\S)|\s"
)
GPT4O: Final = _words(_cased(r"\p{L}", TAIL), r"\p{N}{1,3}", PATHS)
GRANITE_97M: Final = _words(_cased(r"\p{L}\p{M}", TAIL), r"\p{N}{1,3}", PATHS)
TEKKEN: Final = _words(_cased(r"\p{L}", ""), r"\p{N}", PATHS)
TINY_AYA: Final = _words(rf"[\p{{L}}\p{{M}}]+{TAIL}", r"\p{N}{1,3}", PATHS)
YOUTU: Final = _words(rf"[\p{{L}}\p{{M}}]+{TAIL}", r"\p{N}", PATHS)

# Han as unicode.cpp bounds it: the unified ideographs up to extension F, the compatibility ones.
HAN: Final = (
    r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}"
    r"\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{2F800}-\x{2FA1F}"
)
KIMI_K2: Final = rf"[{HAN}]+|" + _words(rf"[\p{{L}}&&[^{HAN}]]+{TAIL}", r"\p{N}{1,3}")

JAPANESE: Final = r"[\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+"
# From Samaritan to Han and Hangul, whatever lies between, but no spaces.
ASIAN: Final = r"[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}&&[^\s]]+"
AFMOE_SCRIPTS: Final = (
    # llama.cpp's file has U+8C48 for its compatibility form U+F900, so all up to U+FAFF is here.
    r"[\x{E40}-\x{EFF}\x{1000}-\x{109F}\x{1100}-\x{11FF}\x{1780}-\x{17FF}\x{2F00}-\x{2FDF}"
    r"\x{3040}-\x{30FF}\x{3400}-\x{4DBF}\x{4E00}-\x{FAFF}\x{FF65}-\x{FF9F}]+"
)
YOUTU_SCRIPTS: Final = (
    r"[\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+"
    r"|[\x{2014}\x{2018}\x{2019}\x{201C}\x{201D}\x{2026}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}"
    r"\x{FF01}\x{FF0C}\x{FF1A}\x{FF1B}]+"
    rf"|[\x{{3105}}-\x{{312F}}]+|{JAPANESE}"
)
# The cased letters of the alphabets that the DeepSeek LLM tokenizer lists, and its punctuation.
DEEPSEEK_LETTERS: Final = (
    r"[\p{Lu}\p{Ll}\p{Lt}&&[\x{41}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13FD}"
    r"\x{1C90}-\x{1CBF}\x{1D00}-\x{218F}\x{2C00}-\x{2CFF}\x{A640}-\x{A78F}\x{AB70}-\x{ABBF}"
    r"\x{FB00}-\x{FB17}\x{FF21}-\x{FF5A}\x{10400}-\x{104FF}\x{10C80}-\x{10CFF}"
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]]"
)
DEEPSEEK_MARKS: Final = (
    r"[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}\x{3002}]"
)
# Looking back for the start of the run keeps the time linear.
LAST_SPACES: Final = r"(?<!\s)\s++\z"
MARKED_WORD: Final = r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
DEEPSEEK3: Final = rf"{MARKED_WORD}| ?[\p{{P}}\p{{S}}]+[\r\n]*|{SPACES}"
SPARK: Final = rf"{MARKED_WORD}| ?[\p{{P}}\p{{S}}]+|[\r\n]|\s+(?!\S)|\s+"
BLOOM: Final = r" ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+"
LINES: Final = r"[^\n]+|\n+"

# Numbers in threes from the right; what stands before a number stays with its first digits. The
# first split takes the one or two digits too many, looking ahead once for each number.
THREES: Final = (
    Split(
        r"(?<!\p{N})\p{N}{1,2}(?=(?>(?:\p{N}{3})*)(?!\p{N}))",
        "merged_with_previous",
    ),
    Split(r"\p{N}{3}", "merged_with_previous"),
)
# The same for ASCII digits within numbers, where none is cut off after the last digit.
THREES_WITHIN: Final = (
    Split(r"\p{N}+"),
    Split(
        r"(?<![0-9])[0-9]{0,2}(?=(?>(?:[0-9]{3})+)(?![0-9]))",
        "merged_with_previous",
    ),
    Split(r"[0-9]{3}(?=[0-9])", "merged_with_previous"),
)


def _cut(*patterns: str) -> PreTokenizer:
    return PreTokenizer(tuple(map(Split, patterns)))


_LLAMA3: Final = _cut(LLAMA3)
_DEEPSEEK_LLM: Final = _cut(
    r"[\r\n]",
    rf"\s?{DEEPSEEK_LETTERS}+",
    rf"\s?{DEEPSEEK_MARKS}+",
    LAST_SPACES,
    ASIAN,
    r"\p{N}+",
)
_CHAMELEON: Final = _cut(
    "<sentinel:[0-9]+>",
    "IMGIMG[A-I]{1,4}Z",
    r"[\t\n]|    |  ",
    r"\p{N}",
    r"[\p{P}!-/:-@\[-`{-~]",
    GPT2,
)
_LINES: Final = _cut(LINES)._replace(byte_level=False, escape_spaces=True)

# Names that mean the same stand together.
_TABLE: Final[Mapping[str, PreTokenizer]] = {
    "default": _cut(r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", "[0-9]{3}"),
    "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum": _cut(GPT2),
    "modern-bert jina-v1-en jina-v2-code roberta-bpe exaone4": _cut(GPT2),
    "mpt olmo jais trillion granite-docling": _cut(GPT2),
    "starcoder refact command-r smollm codeshell": _cut(r"\p{N}", GPT2),
    "exaone minerva-7b mellum2": _cut(r"\p{N}", GPT2),
    "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano": (
        _LLAMA3._replace(ignore_merges=True, add_bos=True)
    ),
    "dbrx smaug-bpe": _LLAMA3,
    "chatglm-bpe": _LLAMA3._replace(default_bos=False),
    "glm4 glm5": _LLAMA3._replace(default_bos=False, ignore_merges=True),
    "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez": _cut(QWEN2),
    "stablelm2 hunyuan solar-open grok-2": _cut(QWEN2),
    "bailingmoe bailingmoe2 llada-moe": _cut(QWEN2),
    "qwen35": _cut(QWEN35),
    "deepseek-llm": _DEEPSEEK_LLM,
    "deepseek-coder": _cut(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", ASIAN, r"\p{N}"),
    "deepseek-v3 hunyuan-dense joyai-llm hy_v4": _cut(r"\p{N}{1,3}", JAPANESE, DEEPSEEK3),
    "spark2_5": _cut(r"\p{N}{1,3}", JAPANESE, SPARK, r"\p{N}"),
    "youtu": _cut(YOUTU_SCRIPTS, YOUTU)._replace(ignore_merges=True),
    "falcon": _cut(r"[\p{P}$+<=>^~|`]+", GPT2, "[0-9]{3}"),
    "gpt-4o llama4 kanana2 talkie minimax-m2": _cut(GPT4O),
    "granite-embed-multi-97m": _cut(GRANITE_97M)._replace(ignore_merges=True),
    "tekken": _cut(TEKKEN)._replace(ignore_merges=True, add_bos=True),
    "tiny_aya cohere2moe": PreTokenizer((*THREES, Split(TINY_AYA))),
    "afmoe": PreTokenizer((*THREES, Split(AFMOE_SCRIPTS), Split(DEEPSEEK3))),
    "superbpe": PreTokenizer(THREES_WITHIN),
    "minicpm5": _cut(r"\p{N}{1,3}", MINICPM5)._replace(ignore_merges=True),
    "seed-coder": _cut(SEED_CODER),
    "exaone-moe": _cut(EXAONE_MOE),
    "ufakzeka": _cut(_words(r"\p{L}+", r"\p{N}")),
    "jais-2": _cut(JAIS2),
    "kimi-k2": _cut(KIMI_K2),
    "laguna": _cut(LINES, QWEN2),
    "chameleon": _CHAMELEON._replace(add_bos=True),
    "poro-chat bloom gpt3-finnish": _cut(BLOOM),
    "viking": _cut(BLOOM, r"\p{N}"),
    "gemma4 granite-embed-multi-311m": _LINES._replace(always_bos=True),
    "sarvam-moe": _LINES,
    "whitespace": _cut(r"\S+")._replace(byte_level=False),
}

PRE_TOKENIZERS: Final[Mapping[str, PreTokenizer]] = {
    name: row for names, row in _TABLE.items() for name in names.split()
}


def pre_tokenizer(name: str) -> PreTokenizer:
    """The row of a `tokenizer.ggml.pre` name; TokenizerError for a name that has none."""
    if name not in PRE_TOKENIZERS:
        raise TokenizerError(
            f"tokenizer.ggml.pre: found {shown(name)}, supported: {', '.join(PRE_TOKENIZERS)}"
        )
    return PRE_TOKENIZERS[name]


def word_splitter(pre: PreTokenizer) -> "pre_tokenizers.PreTokenizer":
    """The splits as `tokenizers` runs them; byte-level words come out in GPT-2's characters."""
    from tokenizers import Regex, pre_tokenizers

    steps: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.Split(Regex(split.pattern), split.behavior) for split in pre.splits
    ]
    if pre.byte_level:
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    return pre_tokenizers.Sequence(steps)
