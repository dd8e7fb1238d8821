"""Routers: which experts a row uses and with what weights, against plain loops."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.arch import Arch, Gate, Router
from gnomon.engine.blocks.layer import Layer
from gnomon.engine.blocks.moe import apart, choose
from gnomon.engine.expert_spec import ExpertSpec
from gnomon.kernels.twin_ops import TwinOps

ROWS, COUNT, USED = 5, 12, 3
LOGITS = np.random.default_rng(11).standard_normal((ROWS, COUNT))


def spec(router: Router = Router.SOFTMAX, **changes: Any) -> ExpertSpec:
    given: dict[str, Any] = {
        "count": COUNT, "used": USED, "feed_forward": 8, "shared": 8, "shares": False,
        "router": router, "normed": False, "scale": 1.0,
    }  # fmt: skip
    return ExpertSpec(**(given | changes))


def scores_of(router: Router, logits: list[float]) -> list[float]:
    if router is Router.SIGMOID:
        return [1 / (1 + math.exp(-x)) for x in logits]
    if router is Router.SQRT_SOFTPLUS:
        return [math.sqrt(math.log1p(math.exp(x))) for x in logits]
    if router is Router.SOFTMAX_OF_CHOSEN:
        return logits
    total = sum(math.exp(x) for x in logits)
    return [math.exp(x) / total for x in logits]


@pytest.mark.parametrize("router", Router)
def test_the_best_experts_are_chosen_with_their_scores(router: Router) -> None:
    ids, weights = choose(spec(router), LOGITS, None)
    for row in range(ROWS):
        scores = scores_of(router, LOGITS[row].tolist())
        best = sorted(range(COUNT), key=lambda e: -scores[e])[:USED]
        assert ids[row].astype(int).tolist() == best
        wanted = [scores[e] for e in best]
        if router is Router.SOFTMAX_OF_CHOSEN:
            wanted = scores_of(Router.SOFTMAX, wanted)
        np.testing.assert_allclose(weights[row], wanted, rtol=1e-12)


def test_a_bias_moves_the_choice_but_not_the_weights() -> None:
    bias = np.zeros(COUNT)
    bias[7] = 10.0
    ids, weights = choose(spec(Router.SIGMOID), LOGITS, bias)
    assert (ids[:, 0] == 7).all()
    np.testing.assert_allclose(weights[:, 0], 1 / (1 + np.exp(-LOGITS[:, 7])), rtol=1e-12)


def test_normed_weights_sum_to_the_scale() -> None:
    _, weights = choose(spec(Router.SIGMOID, normed=True, scale=2.5), LOGITS, None)
    np.testing.assert_allclose(weights.sum(1), 2.5, rtol=1e-12)


def test_only_the_best_groups_are_open() -> None:
    """A group of four counts as its two best experts; two of three groups are open."""
    ids, _ = choose(spec(Router.SIGMOID, groups=3, groups_used=2), LOGITS, None)
    for row in range(ROWS):
        scores = np.array(scores_of(Router.SIGMOID, LOGITS[row].tolist()))
        groups = [np.sort(scores[4 * g : 4 * g + 4])[-2:].sum() for g in range(3)]
        closed = int(np.argmin(groups))
        open_ = [e for e in range(COUNT) if e // 4 != closed]
        wanted = sorted(open_, key=lambda e: -scores[e])[:USED]
        assert ids[row].astype(int).tolist() == wanted


def test_of_equal_scores_the_first_expert_is_chosen() -> None:
    ids, _ = choose(spec(), np.zeros((2, COUNT)), None)
    assert ids.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("router", Router)
def test_a_row_does_not_depend_on_the_others(router: Router) -> None:
    whole = choose(spec(router, normed=True), LOGITS, None)
    for row in range(ROWS):
        alone = choose(spec(router, normed=True), LOGITS[row : row + 1], None)
        assert alone[:, 0].tobytes() == whole[:, row].tobytes()


def test_ids_that_the_token_says_are_weighed_by_their_scores() -> None:
    given = np.arange(ROWS * USED).reshape(ROWS, USED) % COUNT
    ids, weights = choose(spec(Router.SIGMOID), LOGITS, None, given)
    scores = 1 / (1 + np.exp(-LOGITS))
    assert np.array_equal(ids, given)
    assert np.allclose(weights, np.take_along_axis(scores, given, -1), atol=1e-14)


# --- dense and experts apart ----------------------------------------------------------------------

DIM, WIDTH, NARROW, EPSILON = 6, 8, 5, 1e-5


def rms(x: Any, weight: Any) -> Any:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * weight


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def weights_apart() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    shapes: dict[str, tuple[int, ...]] = {
        "ffn_gate": (WIDTH, DIM), "ffn_up": (WIDTH, DIM), "ffn_down": (DIM, WIDTH),
        "ffn_gate_inp": (4, DIM), "ffn_gate_inp_scale": (DIM,), "ffn_down_exps_scale": (4,),
        "ffn_gate_exps_scale": (4,), "ffn_up_exps_scale": (4,),
        "ffn_gate_exps": (4, NARROW, DIM), "ffn_up_exps": (4, NARROW, DIM),
        "ffn_down_exps": (4, DIM, NARROW), "ffn_norm": (DIM,), "pre_ffw_norm_2": (DIM,),
        "post_ffw_norm_1": (DIM,), "post_ffw_norm_2": (DIM,),
    }  # fmt: skip
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def apart_by_hand(w: dict[str, Any], x: Any) -> Any:
    h = rms(x, w["ffn_norm"])
    dense = w["ffn_down"] @ (gelu(w["ffn_gate"] @ h) * (w["ffn_up"] @ h))
    logits = w["ffn_gate_inp"] @ (rms(x, w["ffn_gate_inp_scale"]) / math.sqrt(DIM))
    scores = np.exp(logits) / np.exp(logits).sum()
    best = np.argsort(-scores)[:2]
    h, total = rms(x, w["pre_ffw_norm_2"]), np.zeros(DIM)
    for e in best:
        gate = w["ffn_gate_exps"][e] @ h * w["ffn_gate_exps_scale"][e]
        hidden = gelu(gate) * (w["ffn_up_exps"][e] @ h * w["ffn_up_exps_scale"][e])
        share = scores[e] / scores[best].sum() * w["ffn_down_exps_scale"][e]
        total += share * (w["ffn_down_exps"][e] @ hidden)
        if "ffn_down_exps_bias" in w:  # it is not scaled
            total += scores[e] / scores[best].sum() * w["ffn_down_exps_bias"][e]
    return rms(dense, w["post_ffw_norm_1"]) + rms(total, w["post_ffw_norm_2"])


@pytest.mark.parametrize("biased", [False, True])
def test_dense_and_experts_apart_have_norms_and_scales_of_their_own(biased: bool) -> None:
    given = weights_apart()
    if biased:
        given["ffn_down_exps_bias"] = np.random.default_rng(7).standard_normal((4, DIM))
    x = np.random.default_rng(6).standard_normal((ROWS, DIM))
    experts = spec(count=4, used=2, feed_forward=NARROW, normed=True)
    parts: dict[str, Any] = {
        "hparams": SimpleNamespace(epsilon=EPSILON),
        "spec": SimpleNamespace(experts=experts, mixer=None),
        "w": SimpleNamespace(**given, exp_probs_b=None, exp_probs_b_bias=None),
        "step": SimpleNamespace(tokens=np.zeros(ROWS, np.int64)),
        "region": None,
        "states": {},
    }
    layer = Layer(arch=Arch("any", gate=Gate.GELU), ops=TwinOps(), **parts)
    wanted = [apart_by_hand(given, row) for row in x]
    np.testing.assert_allclose(apart(layer, x), wanted, rtol=1e-10)
