r"""Pre-tokenizers: the name in `tokenizer.ggml.pre` -> the regexes that cut text into words for BPE.

A list of splits is applied one after the other, each inside the pieces the last one left. Names,
flags and meaning are llama.cpp's (src/llama-vocab.cpp, src/unicode.cpp, version of llama-cpp-python
0.3.36), also where it differs from the model's own tokenizer: it reads \p{Lu}, \p{Ll}, \p{Lt},
\p{Lm} and \p{Lo} as \p{L}. The syntax is Oniguruma's as `tokenizers` builds it: `&&` intersects
classes, `++` and `(?>...)` do not backtrack, \z is the end of the piece. Its hand-written splitters
are regexes here, and every regex takes time linear in the text. Code points younger than Unicode 15
may be of another class than in llama.cpp's tables.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .errors import TokenizerError, shown

if TYPE_CHECKING:
    import tokenizers.pre_tokenizers


class Split(NamedTuple):
    """One cut: matches stand alone (isolated), or end the piece before them (merged)."""

    pattern: str
    behavior: Literal["isolated", "merged_with_previous"] = "isolated"


class PreTokenizer(NamedTuple):
    """What a `tokenizer.ggml.pre` name means: its splits, and defaults it sets for the vocabulary.

    `ignore_merges`: a word that is a token needs no merges. `byte_level`: tokens spell bytes in
    GPT-2's 256 characters, else UTF-8 with U+2581 for space (`escape_spaces`) and <0xHH> for bytes.
    """

    splits: tuple[Split, ...]
    ignore_merges: bool = False
    add_bos: bool = False
    default_bos: bool = True
    byte_level: bool = True
    escape_spaces: bool = False


# The English contractions in any case, as llama.cpp spells (?i:'s|'t|'re|'ve|'m|'ll|'d).
_CONTRACTION = r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_LEAD = r"[^\r\n\p{L}\p{N}]?"

_GPT2 = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_NEWLINES = r"[^\n]+|\n+"


def _words(letters: str, digits: str, symbols: str = _SYMBOLS, spaces: str = _SPACES) -> str:
    """Llama 3's scheme without contractions: words with one leading mark, digits, marks, spaces."""
    return rf"{_LEAD}{letters}|{digits}|{symbols}|{spaces}"


def _llama3(digits: str, letters: str = r"\p{L}+") -> str:
    return rf"{_CONTRACTION}|{_words(letters, digits)}"


def _cased(letter: str, tail: str) -> str:
    """Words in camel case as GPT-4o cuts them; letters beyond ASCII count as both cases."""
    upper, lower = rf"[{letter}&&[^a-z]]", rf"[{letter}&&[^A-Z]]"
    return rf"{upper}*{lower}+{tail}|{_LEAD}{upper}+{lower}*{tail}"


_GPT4O_SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_LLAMA3 = _llama3(r"\p{N}{1,3}")
_QWEN2 = _llama3(r"\p{N}")
_QWEN35 = (
    rf"{_CONTRACTION}|{_LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_TAIL = f"(?:{_CONTRACTION})?"
_GPT4O = _words(_cased(r"\p{L}", _TAIL), r"\p{N}{1,3}", _GPT4O_SYMBOLS)
_TEKKEN = _words(_cased(r"\p{L}", ""), r"\p{N}", _GPT4O_SYMBOLS)
_GRANITE_97M = _words(_cased(r"\p{L}\p{M}", _TAIL), r"\p{N}{1,3}", _GPT4O_SYMBOLS)
_TINY_AYA = _words(rf"[\p{{L}}\p{{M}}]+{_TAIL}", r"\p{N}{1,3}", _GPT4O_SYMBOLS)
_EXAONE_MOE = rf"{_CONTRACTION}|" + _words(
    r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+",
    r"\p{N}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]?",
    r"\s*[\r\n]|\s+(?!\S)|\s+",
)
_BAILING = rf"{_CONTRACTION}|" + _words(r"\p{L}+", r"\p{N}", spaces=r"\s*[\r\n]|\s+(?!\S)|\s+")
_SEED_CODER = rf"{_CONTRACTION}|" + _words(r"\p{L}+", r"\p{N}", r" ?[^\s\p{L}\p{N}]+")
_JAIS2 = rf"{_CONTRACTION}|" + _words(
    r"\p{L}+",
    r"\p{N}{1,3}",
    spaces=r"\s*[\r\n]+|"
    + "|".join(rf"\s{{{count}}}(?!\S)" for count in (512, 256, 128, 64, 32, 16, 8, 4))
    + r"|\s{1,2}(?!\S)|\s",
)

# Han as unicode.cpp bounds it: the unified blocks to extension F and the compatibility blocks.
_HAN = (
    r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}"
    r"\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{2F800}-\x{2FA1F}"
)
_KIMI_K2 = rf"[{_HAN}]+|" + _words(rf"[\p{{L}}&&[^{_HAN}]]+{_TAIL}", r"\p{N}{1,3}")

# Kanji, kana; Kanji to Hangul with everything between, but never a space.
_JAPANESE = r"[\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+"
_CJK = r"[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}&&[^\s]]+"
_PUNCTUATED_WORD = r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
_DEEPSEEK3 = rf"{_PUNCTUATED_WORD}| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}"
_SPARK = rf"{_PUNCTUATED_WORD}| ?[\p{{P}}\p{{S}}]+|[\r\n]|\s+(?!\S)|\s+"

# Cased letters of the alphabets that DeepSeek LLM's tokenizer lists.
_DEEPSEEK_LETTERS = (
    r"[\p{Lu}\p{Ll}\p{Lt}&&[\x{41}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13FD}"
    r"\x{1C90}-\x{1CBF}\x{1D00}-\x{218F}\x{2C00}-\x{2CFF}\x{A640}-\x{A78F}\x{AB70}-\x{ABBF}"
    r"\x{FB00}-\x{FB17}\x{FF21}-\x{FF5A}\x{10400}-\x{104FF}\x{10C80}-\x{10CFF}"
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]]"
)
_DEEPSEEK_MARKS = r"[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}\x{3002}]"
# The first space of the run anchors the match, so a long run is scanned once.
_SPACES_AT_END = r"(?<!\s)\s++\z"

_YOUTU_SCRIPTS = (
    r"[\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+"
    r"|[\x{2014}\x{2018}\x{2019}\x{201C}\x{201D}\x{2026}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}"
    r"\x{FF01}\x{FF0C}\x{FF1A}\x{FF1B}]+"
    rf"|[\x{{3105}}-\x{{312F}}]+|{_JAPANESE}"
)
# 8C48 is what llama.cpp's file holds: the compatibility form F900 was meant.
_AFMOE_SCRIPTS = (
    r"[\x{E40}-\x{EFF}\x{1000}-\x{109F}\x{1100}-\x{11FF}\x{1780}-\x{17FF}\x{2F00}-\x{2FDF}"
    r"\x{3040}-\x{30FF}\x{3400}-\x{4DBF}\x{4E00}-\x{FAFF}\x{FF65}-\x{FF9F}]+"
)
_POSTPONED = r" ?[^(\s|.,!?…。，、।۔،)]+"  # noqa: RUF001


def _threes(digit: str, rest: str) -> str:
    """The digits (0 to 2, by `rest`) before the last multiple of three in a run of digits."""
    return rf"(?<!{digit}){digit}{rest}(?=(?>(?:{digit}{{3}})*)(?!{digit}))"


# Numbers cut in threes from the right; what stands before a number stays with its first digits.
_THREES = (
    Split(_threes(r"\p{N}", "{1,2}"), "merged_with_previous"),
    Split(r"\p{N}{3}", "merged_with_previous"),
)
# The same inside numbers only, where no cut follows the last digit.
_THREES_INSIDE = (
    Split(r"\p{N}+"),
    Split(
        r"(?<![0-9])[0-9]{0,2}(?=(?>(?:[0-9]{3})+)(?![0-9]))",
        "merged_with_previous",
    ),
    Split(r"[0-9]{3}(?=[0-9])", "merged_with_previous"),
)


def _isolated(*patterns: str) -> tuple[Split, ...]:
    return tuple(map(Split, patterns))


def _table() -> Iterator[tuple[str, PreTokenizer]]:
    """Each name with its row; names that share a row stand on one line."""
    gpt2 = PreTokenizer(_isolated(_GPT2))
    digit_gpt2 = PreTokenizer(_isolated(r"\p{N}", _GPT2))
    llama3 = PreTokenizer(_isolated(_LLAMA3))
    qwen2 = PreTokenizer(_isolated(_QWEN2))
    deepseek3 = PreTokenizer(_isolated(r"\p{N}{1,3}", _JAPANESE, _DEEPSEEK3))
    lines = PreTokenizer(_isolated(_NEWLINES), byte_level=False, escape_spaces=True)
    deepseek_llm = _isolated(
        r"[\r\n]",
        rf"\s?{_DEEPSEEK_LETTERS}+",
        rf"\s?{_DEEPSEEK_MARKS}+",
        _SPACES_AT_END,
        _CJK,
        r"\p{N}+",
    )
    chameleon = _isolated(
        "<sentinel:[0-9]+>",
        "IMGIMG[A-I]{1,4}Z",
        r"[\t\n]|    |  ",
        r"\p{N}",
        r"[\p{P}!-/:-@\[-`{-~]",
        _GPT2,
    )
    rows = {
        "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum": gpt2,
        "modern-bert jina-v1-en jina-v2-code roberta-bpe exaone4": gpt2,
        "mpt olmo jais trillion granite-docling": gpt2,
        "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2": digit_gpt2,
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano": (
            llama3._replace(ignore_merges=True, add_bos=True)
        ),
        "dbrx smaug-bpe": llama3,
        "chatglm-bpe": llama3._replace(default_bos=False),
        "glm4 glm5": llama3._replace(default_bos=False, ignore_merges=True),
        "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez": qwen2,
        "stablelm2 hunyuan solar-open grok-2": qwen2,
        "qwen35": PreTokenizer(_isolated(_QWEN35)),
        "deepseek-v3 hunyuan-dense joyai-llm hy_v4": deepseek3,
        "deepseek-llm": PreTokenizer(deepseek_llm),
        "deepseek-coder": PreTokenizer(
            _isolated(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK, r"\p{N}")
        ),
        "gpt-4o llama4 kanana2 talkie minimax-m2": PreTokenizer(_isolated(_GPT4O)),
        "tekken": PreTokenizer(_isolated(_TEKKEN), ignore_merges=True, add_bos=True),
        "granite-embed-multi-97m": PreTokenizer(_isolated(_GRANITE_97M), ignore_merges=True),
        "tiny_aya cohere2moe": PreTokenizer((*_THREES, Split(_TINY_AYA))),
        "afmoe": PreTokenizer((*_THREES, *_isolated(_AFMOE_SCRIPTS, _DEEPSEEK3))),
        "superbpe": PreTokenizer(_THREES_INSIDE),
        "bailingmoe bailingmoe2 llada-moe": PreTokenizer(_isolated(_BAILING)),
        "seed-coder": PreTokenizer(_isolated(_SEED_CODER)),
        "exaone-moe": PreTokenizer(_isolated(_EXAONE_MOE)),
        "ufakzeka": PreTokenizer(_isolated(_words(r"\p{L}+", r"\p{N}"))),
        "kimi-k2": PreTokenizer(_isolated(_KIMI_K2)),
        "jais-2": PreTokenizer(_isolated(_JAIS2)),
        "youtu": PreTokenizer(_isolated(_YOUTU_SCRIPTS, _TINY_AYA_ONE), ignore_merges=True),
        "spark2_5": PreTokenizer(_isolated(r"\p{N}{1,3}", _JAPANESE, _SPARK, r"\p{N}")),
        "laguna": PreTokenizer(_isolated(_NEWLINES, _QWEN2)),
        "minicpm5": PreTokenizer(
            _isolated(r"\p{N}{1,3}", _llama3(r"\p{N}+")), ignore_merges=True
        ),
        "falcon": PreTokenizer(_isolated(r"[\p{P}$+<=>^~|`]+", _GPT2, "[0-9]{3}")),
        "default": PreTokenizer(
            _isolated(r"[\p{P}$+<=>^~|]+", _GPT2, r"\p{N}+", "[0-9]{3}")
        ),
        "poro-chat bloom gpt3-finnish": PreTokenizer(_isolated(_POSTPONED)),
        "viking": PreTokenizer(_isolated(_POSTPONED, r"\p{N}")),
        "chameleon": PreTokenizer(chameleon, add_bos=True),
        "gemma4 granite-embed-multi-311m": lines._replace(add_bos=True),
        "sarvam-moe": lines,
        "whitespace": PreTokenizer(_isolated(r"\S+"), byte_level=False),
    }
    for names, row in rows.items():
        for name in names.split():
            yield name, row


_TINY_AYA_ONE = _words(rf"[\p{{L}}\p{{M}}]+{_TAIL}", r"\p{N}", _GPT4O_SYMBOLS)

PRE_TOKENIZERS: Final[dict[str, PreTokenizer]] = dict(_table())


def pre_tokenizer(name: str) -> PreTokenizer:
    """The row of a `tokenizer.ggml.pre` name; TokenizerError for one that is not in the table."""
    if name not in PRE_TOKENIZERS:
        raise TokenizerError(
            f"tokenizer.ggml.pre: found {shown(name)}, expected one of {', '.join(PRE_TOKENIZERS)}"
        )
    return PRE_TOKENIZERS[name]
