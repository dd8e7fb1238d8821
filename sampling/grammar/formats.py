"""The `format` values that can be enforced, as regular expressions of whole strings.

Dates know leap years; a leap second is taken in UTC only (its hour would depend on the offset).
Names outside this table are either unknown to the standard (ignored with a
note) or in UNENFORCED (refused when formats are asserted).
"""

from functools import lru_cache

from .dfa import Dfa
from .language import string_language

_YEAR = r"[0-9]{4}"
_LEAP = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DATE = (
    rf"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    rf"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_OFFSET = r"([zZ]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_CLOCK = rf"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?{_OFFSET}"
_TIME = rf"({_CLOCK}|23:59:60(\.[0-9]+)?([zZ]|[+-]00:00))"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL})*"
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}(\.{_BYTE}){{3}}"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rf'({_ATOM}(\.{_ATOM})*|"([ !#-\[\]-~]|\\[ -~])*")'
_HEX = "[0-9A-Fa-f]"
_ESCAPED = rf"%{_HEX}{{2}}"
_UNIT = r"[A-Za-z0-9._~!$&'()*+,;=-]"
_PCHAR = rf"({_UNIT}|[:@]|{_ESCAPED})"
_TAIL = rf"(\?({_PCHAR}|[/?])*)?(#({_PCHAR}|[/?])*)?"
_POINTER = r"(/([^~/]|~[01])*)*"


def _ipv6() -> str:
    group = f"{_HEX}{{1,4}}"
    last = f"({group}:{group}|{_IPV4})"
    forms = [f"({group}:){{6}}{last}", f"::({group}:){{5}}{last}"]
    for after in range(4, -1, -1):
        before = 4 - after
        head = f"({group}(:{group}){{0,{before}}})?"
        forms.append(f"{head}::({group}:){{{after}}}{last}")
    forms.append(f"({group}(:{group}){{0,5}})?::{group}")
    forms.append(f"({group}(:{group}){{0,6}})?::")
    return "(" + "|".join(forms) + ")"


_IPV6 = _ipv6()
_LITERAL = rf"\[({_IPV6}|[vV]{_HEX}+\.({_UNIT}|:)+)\]"
_AUTHORITY = rf"(({_UNIT}|:|{_ESCAPED})*@)?({_LITERAL}|({_UNIT}|{_ESCAPED})*)(:[0-9]*)?"
_SEGMENTS = rf"(/{_PCHAR}*)*"
_HIER = rf"(//{_AUTHORITY}{_SEGMENTS}|/({_PCHAR}+{_SEGMENTS})?|{_PCHAR}+{_SEGMENTS}|)"
_URI = rf"[A-Za-z][A-Za-z0-9+.-]*:{_HIER}{_TAIL}"
_NO_COLON = rf"({_UNIT}|@|{_ESCAPED})+"
_RELATIVE = rf"(//{_AUTHORITY}{_SEGMENTS}|/({_PCHAR}+{_SEGMENTS})?|{_NO_COLON}{_SEGMENTS}|){_TAIL}"
_DURATION = (
    r"P([0-9]+W|([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
    r"(T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))?"
    r"|T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))"
)

PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}[tT]{_TIME}",
    "duration": _DURATION,
    "email": rf"{_LOCAL}@({_HOST}|\[({_IPV4}|IPv6:{_IPV6})\])",
    "hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": _URI,
    "uri-reference": f"({_URI}|{_RELATIVE})",
    "uuid": rf"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(0|[1-9][0-9]*)(#|{_POINTER})",
}
UNENFORCED = frozenset(
    {"regex", "idn-email", "idn-hostname", "iri", "iri-reference", "uri-template"}
)
LONGEST = {"hostname": 253}  # characters, beside the pattern


@lru_cache(maxsize=64)
def format_language(name: str) -> Dfa:
    """The insides of JSON strings of a format in PATTERNS."""
    return string_language(f"^({PATTERNS[name]})$")
