"""Architectures by name: one short spec each, grouped in families."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container

from ...formats.errors import GGUFError, shown
from ...formats.metadata import Metadata
from ..arch import Arch
from . import (
    cohere,
    compressed,
    delta,
    diffusion,
    encoder,
    encoder_decoder,
    experts,
    gemma,
    glm,
    granite,
    halves,
    latent,
    layer_norm,
    llama,
    olmo,
    qwen,
    recurrent,
    rwkv,
)

FAMILIES = (
    llama, qwen, gemma, halves, layer_norm, cohere, granite, olmo, glm, experts, latent, diffusion,
    encoder, encoder_decoder, recurrent, delta, compressed, rwkv,
)  # fmt: skip


def _specs() -> dict[str, list[Arch]]:
    """All specs by architecture; those of one name differ in what a file may say."""
    specs: dict[str, list[Arch]] = {}
    found = [x for family in FAMILIES for x in vars(family).values() if isinstance(x, Arch)]
    for arch in found:
        same = specs.setdefault(arch.name, [])
        same += [] if arch in same else [arch]
    return specs


SPECS = _specs()
ARCHS: dict[str, Arch] = {name: same[0] for name, same in SPECS.items()}
# Architectures whose file chooses among several specs, by metadata or by the tensors it has.
VARIANTS: dict[str, Callable[..., Arch]] = {
    "baichuan": llama.baichuan,
    "llama4": llama.llama4,
    "refact": llama.refact,
    "gemma2": gemma.gemma2,
    "gemma3": gemma.gemma3,
    "mpt": layer_norm.mpt,
    "gptneox": layer_norm.gptneox,
    "stablelm": layer_norm.stablelm,
    "cohere2moe": cohere.cohere2moe,
    "granite": granite.granite,
    "graniteswitch": granite.granite_switch,
    "granitehybrid": recurrent.granite_hybrid,
    "bailingmoe3": delta.bailingmoe3,
    "exaone4": halves.exaone4,
    "jina-bert-v2": encoder.jina_bert_v2,
    "modern-bert": encoder.modern_bert,
    "t5encoder": encoder.t5_encoder,
    "t5": encoder_decoder.t5,
    "glm4": glm.glm4,
    "glm4moe": glm.glm4moe,
}


def find_arch(name: str, metadata: Metadata, tensors: Container[str]) -> Arch:
    """The spec of a file. Raises GGUFError if there is none of this name."""
    if name not in ARCHS:
        known = ", ".join(sorted(ARCHS))
        raise GGUFError("general.architecture", None, shown(name), f"one of {known}")
    choose = VARIANTS.get(name)
    if choose is None:
        return ARCHS[name]
    given = (metadata, tensors)[: len(inspect.signature(choose).parameters)]
    return choose(*given)
