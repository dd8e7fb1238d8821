"""What can be wrong with a file, a vocabulary or a template: ValueErrors that say where and why.

ValueError
  GGUFError         the bytes of a GGUF file
    MetadataError   a metadata key that is missing or of the wrong type
  TokenizerError    a vocabulary that cannot be used, or text it cannot encode
  TemplateError     a chat template that cannot be parsed or rendered
"""

SHOWN_CHARS = 80


class GGUFError(ValueError):
    """A GGUF file that cannot be read; `str()` names file, place, what was found and expected.

    `field` names the place in words, `offset` is its byte in the file (None where no byte is to
    blame, as for a missing file) and `path` the file, set once it is known.
    """

    def __init__(self, field: str, offset: int | None, found: str, expected: str) -> None:
        # Exactly these arguments go to the base class: a pickled error is rebuilt from them.
        super().__init__(field, offset, found, expected)
        self.field = field
        self.offset = offset
        self.found = found
        self.expected = expected
        self.path = ""

    def __str__(self) -> str:
        file = f"{self.path}: " if self.path else ""
        place = f" at byte {self.offset}" if self.offset is not None else ""
        field = self.field if len(self.field) <= 2 * SHOWN_CHARS else shown(self.field)
        return f"{file}{field}{place}: found {self.found}, expected {self.expected}"


class MetadataError(GGUFError):
    """A metadata key (`field`) that is missing or holds another type than asked for."""


class TokenizerError(ValueError):
    """A vocabulary that cannot be used, or text or an id that it does not hold."""


class TemplateError(ValueError):
    """A chat template that cannot be parsed or rendered."""


class SafetensorsError(ValueError):
    """A safetensors file whose header cannot be trusted, or a tensor that is missing."""


def shown(value: object) -> str:
    """`repr(value)`, cut to a length fit for an error message."""
    if isinstance(value, str | bytes):
        value = value[: SHOWN_CHARS + 1]
    try:
        text = repr(value)
    except ValueError:  # Python does not write numbers of thousands of digits
        return f"too long to show ({type(value).__name__})"
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
