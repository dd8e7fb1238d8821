"""Models in several files: `<model>-00001-of-0000N.gguf`, all in the folder of the first.

Paths of the other parts come from the name of the first alone, never from metadata, so no file can
point elsewhere. Each part must state its place (`split.no`) and their number (`split.count`).
The metadata of the first part is the model's; of the others only these keys are read.
"""

import re
from pathlib import Path
from typing import Final

from .errors import GGUFError
from .metadata import Metadata

COUNT_KEY: Final = "split.count"
NUMBER_KEY: Final = "split.no"
TENSORS_KEY: Final = "split.tensors.count"
# split.count is a u16.
MAX_PARTS: Final = 0xFFFF

_NAME: Final = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.ASCII | re.DOTALL)


def part_paths(first: Path, metadata: Metadata) -> list[Path]:
    """Name every part of the model whose first part is `first`; a whole model names itself."""
    named = _NAME.fullmatch(first.name)
    named_count = int(named[3]) if named else 1
    count = metadata.integer(COUNT_KEY, 1)
    if count == named_count == 1:
        return [first]
    if not 1 <= count <= MAX_PARTS:
        raise GGUFError(COUNT_KEY, None, str(count), f"1 to {MAX_PARTS} parts")
    if named is None:
        expected = f"{_part_name('<model>', 1, count)}, as {COUNT_KEY} says"
        raise GGUFError("file name", None, repr(first.name), expected)
    if count != named_count:
        found = str(count) if COUNT_KEY in metadata else "no such key"
        raise GGUFError(COUNT_KEY, None, found, f"{named_count}, as the file name says")
    if int(named[2]) != 1:
        expected = f"the first part, {_part_name(named[1], 1, count)}"
        raise GGUFError("file name", None, repr(first.name), expected)
    paths = [first.with_name(_part_name(named[1], 1 + i, count)) for i in range(count)]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        found = f"{len(missing)} of {count} parts missing, first {missing[0]!r}"
        raise GGUFError("split", None, found, "all parts in one folder")
    return paths


def _part_name(prefix: str, number: int, count: int) -> str:
    return f"{prefix}-{number:05d}-of-{count:05d}.gguf"


def check_part(metadata: Metadata, index: int, count: int) -> None:
    """Refuse a part that states another place than its file name does."""
    for key, expected in ((NUMBER_KEY, index), (COUNT_KEY, count)):
        found = metadata.integer(key)
        if found != expected:
            raise GGUFError(key, None, str(found), f"{expected}, as the file name says")


def check_total(metadata: Metadata, n_tensors: int) -> None:
    """Refuse parts that hold together another number of tensors than the first one states."""
    stated = metadata.integer(TENSORS_KEY, n_tensors)
    if stated != n_tensors:
        found = f"{n_tensors} tensors in all parts"
        raise GGUFError(TENSORS_KEY, None, found, f"{stated}, as the first part says")
