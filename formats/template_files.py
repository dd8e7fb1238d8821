"""A checkpoint's chat templates -> `tokenizer.chat_template` and, with names, `.chat_template.NAME`
and `tokenizer.chat_templates`.

    tokenizer_config.json   "chat_template": a text, or [{"name": .., "template": ..}, ..]
    chat_template.jinja     and further ones, by name, in additional_chat_templates/
    chat_template.json      "chat_template"

The first that is there counts, as in llama.cpp's converter (gguf-py, SpecialVocab); the template
named "default" is the one without a name.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .errors import TokenizerError
from .tokenizer_files import read_json
from .tokenizer_specials import Entry

KEY: Final = "tokenizer.chat_template"


def template_entries(folder: Path) -> Iterator[Entry]:
    """The keys of a checkpoint's chat templates; none if it has none. Raises TokenizerError."""
    templates = dict(_named(_found(folder)))
    default = templates.pop("default", None)
    for name, template in templates.items():
        yield f"{KEY}.{name}", "str", template
    if templates:
        yield f"{KEY}s", "[str]", sorted(templates)
    if default is not None:
        yield KEY, "str", default


def _found(folder: Path) -> Any:
    config = folder / "tokenizer_config.json"
    if config.is_file() and (said := read_json(config).get("chat_template")) is not None:
        return said
    jinja = folder / "chat_template.jinja"
    if jinja.is_file():
        others = sorted((folder / "additional_chat_templates").glob("*.jinja"))
        named = [("default", jinja), *((path.stem, path) for path in others)]
        return [{"name": name, "template": _text(path)} for name, path in named]
    other = folder / "chat_template.json"
    return read_json(other).get("chat_template") if other.is_file() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path.name}: cannot be read ({error})") from error


def _named(found: Any) -> Iterator[tuple[str, str]]:
    if found is None:
        return
    if isinstance(found, str):
        yield "default", found
        return
    for choice in found if isinstance(found, list) else [found]:
        name, template = (
            (choice.get("name"), choice.get("template"))
            if isinstance(choice, dict)
            else (None, None)
        )
        if not isinstance(name, str) or not name or not isinstance(template, str):
            raise TokenizerError(
                f"chat_template: found {type(found).__name__}, "
                "expected a text, or a list of objects with a name and a template"
            )
        yield re.sub("[^A-Za-z0-9]", "_", name), template
