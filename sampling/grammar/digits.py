"""What digits in the text of a grammar write: ASCII only, no sign, no underscore."""

from string import hexdigits

_COUNTED = 20  # digits of a number beyond every bound; int() refuses thousands


def decimal(text: str) -> int | None:
    """The number that decimal digits write, of at most 20 of them; None for any other text."""
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text.lstrip("0")[:_COUNTED] or "0")


def hexadecimal(text: str, digits: int) -> int:
    """The number that so many hexadecimal digits write; -1 for any other text."""
    return int(text, 16) if len(text) == digits > 0 and set(text) <= set(hexdigits) else -1
