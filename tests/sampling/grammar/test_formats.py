"""Formats take what their standards take."""

import pytest

from gnomon.sampling.grammar.formats import PATTERNS, format_language
from gnomon.sampling.grammar.strings import inside

CASES = {
    "date": (["2024-02-29", "2000-02-29", "2023-12-31"], ["2023-02-29", "1900-02-29", "24-1-1"]),
    "time": (["08:30:06Z", "12:00:00.52+01:00", "23:59:60Z"], ["8:00:00Z", "24:00:00Z"]),
    "date-time": (["1990-12-31T15:59:59.1-08:00"], ["1990-12-31 15:59:59Z"]),
    "duration": (["P4DT12H30M5S", "P4W", "PT0S"], ["PT1D", "P", "P1YT", "P2D1Y", "4D"]),
    "email": (["joe.bloggs@example.com", '"a b"@x.y'], ["a@", ".a@b.c", "a..b@c", "a@b_c"]),
    "hostname": (["www.example.com", "a-b.c"], ["-a", "a-", "a..b", "a_b", "x" * 64]),
    "ipv4": (["192.168.0.1", "0.0.0.0"], ["256.0.0.1", "1.2.3", "01.2.3.4"]),
    "ipv6": (["::1", "::", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"], ["1:2", "1::2::3", "12345::"]),
    "uri": (["http://foo.bar/?baz=qux#q", "urn:x:y", "mailto:a@b"], ["//foo", "abc", "http:// x"]),
    "uri-reference": (["/abc", "//foo", "#a", "a%20b"], ["\\\\x", "a b", "#a#b"]),
    "uuid": (["2eb8aa08-AA98-11ea-b4aa-73b441d16380"], ["2eb8aa08aa9811eab4aa73b441d16380"]),
    "json-pointer": (["", "/foo/0", "/a~1b", "/"], ["a", "/~2", "/~"]),
    "relative-json-pointer": (["0", "1/a", "2#"], ["-1", "01", "#"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_format_takes_its_examples_only(name: str) -> None:
    language = format_language(name)
    good, bad = CASES[name]
    for text in good:
        assert language.matches(inside(text)), text
    for text in bad:
        assert not language.matches(inside(text)), text
