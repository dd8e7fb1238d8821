"""Arch: every way in which decoders differ; a model is a short list of departures from LLAMA.

Numbers come from the file, presence from its tensors; only structure is said here. A field names
mathematics, has one reader, and is set by some architecture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .blocks.adapters import Adapters
    from .blocks.altup import AltUp
    from .blocks.mixer import Mixer
    from .blocks.ngrams import Ngrams
    from .blocks.residuals import Residual
    from .keys import Keys


class Norm(Enum):
    """How a row is normalised; `weights` of a norm are the file's, where the spec has any."""

    RMS = auto()  # x / sqrt(mean(x^2) + eps)
    LAYER = auto()  # (x - mean(x)) / sqrt(variance(x) + eps)


class Placement(Enum):
    """Where a block's norms stand; `f` is the mixer, `g` the feed-forward layer."""

    PRE = auto()  # x += f(norm(x));  x += g(norm(x))
    POST = auto()  # x += norm(f(x));  x += norm(g(x))
    SANDWICH = auto()  # x += norm(f(norm(x)));  x += norm(g(norm(x)))
    PARALLEL = auto()  # x += f(norm(x)) + g(norm(x)); the norms may be one
    NORMED = auto()  # h = norm(x), x = scale h + f(h);  h = norm(x), x = scale h + g(h)
    BARE = auto()  # x += f(x);  x += g(x); what stands for x has norms of its own
    SUMMED = auto()  # x = norm(x + f(x));  x = norm(x + g(x))


class Flow(Enum):
    """How layers follow each other."""

    IN_ORDER = auto()
    LOOPS = auto()  # all of them several times
    NESTED = auto()  # a low stack several times for each time of a high one
    MIXED = auto()  # once each, over the residual that the spec names
    PREDICTED = auto()  # once each, on one of several streams; the others follow by `altup`


class Layers(Enum):
    """Which layers attend and which have the recurrent mixer."""

    ATTENTION = auto()  # all attend
    MIXER = auto()  # all mix, and nothing else
    MIXER_FED = auto()  # all mix, then feed forward
    BESIDE = auto()  # all do both, side by side
    BY_HEADS = auto()  # those without key heads mix
    LISTED = auto()  # `attention.recurrent_layers` mix, or all but each n-th
    ONE_OF_THREE = auto()  # each layer attends, mixes or feeds forward


class Attention(Enum):
    """What keys and values are made from."""

    HEADS = auto()  # a projection each, heads in groups
    LATENT = auto()  # one low-rank row for all heads (DeepSeek-AI, 2024)


class Rope(Enum):
    """Which numbers of a head turn together."""

    NONE = auto()
    NEIGHBOURS = auto()  # 2i and 2i + 1
    HALVES = auto()  # i and i + dim / 2


class RopeLayers(Enum):
    """Which layers turn queries and keys. Local layers are those with a window."""

    ALL = auto()
    LOCAL = auto()
    LOCAL_AND_DENSE = auto()  # also the leading layers without experts
    LISTED = auto()  # those of `attention.rope_pattern`, if the file has it
    SKIP_FOURTH = auto()  # not the last of each four
    SKIP_FIRST = auto()  # not the first of each four, if layers have windows


class LocalRope(Enum):
    """Angles of local layers."""

    SCALED = auto()  # as the others; `rope.freq_base_swa` may give another base
    PLAIN = auto()  # the same without scaling
    OWN = auto()  # without scaling and factors, base 10000 unless the file has another
    TWICE = auto()  # without scaling and factors, of twice as many numbers


class YarnLog(Enum):
    """How `rope.scaling.yarn_log_multiplier` is read: YaRN's correction moves into scores."""

    NONE = auto()
    PLAIN = auto()
    TENTHS = auto()  # it is a tenth of what is meant
    TENTHS_EVEN = auto()  # likewise, and angles are not corrected at all


class Window(Enum):
    """Which keys a local layer sees, of a window of n."""

    SLIDING = auto()  # the last n
    CHUNKED = auto()  # those of the same chunk of n
    CENTRED = auto()  # those at most n / 2 away, on both sides


class QKNorm(Enum):
    """Norm of queries and keys."""

    NONE = auto()
    PER_HEAD = auto()  # each head, one weight for all
    EACH_HEAD = auto()  # each head, by a weight of its own
    ACROSS = auto()  # all heads as one row
    UNWEIGHTED = auto()  # each head of layers that turn, without a weight
    GAIN = auto()  # each head without a weight; then queries times one number per head


class AttentionScale(Enum):
    """What scores are multiplied with, unless the file gives a number."""

    ROOT = auto()  # 1 / sqrt(key dim)
    LINEAR = auto()  # 1 / key dim
    ROOT_WIDTH = auto()  # 1 / sqrt(embedding / heads)
    ONE = auto()


class Indexer(Enum):
    """What chooses the keys that attention uses."""

    NONE = auto()
    KEYS = auto()  # a score per key, summed over the indexer's heads
    BLOCKS = auto()  # a score per block of keys and key head
    GATED_POOLS = auto()  # a score per pool of neighbours, whose keys are summed by gates
    MEAN_POOLS = auto()  # the same, by their mean


class TemperatureLayers(Enum):
    """Layers whose queries grow with the logarithm of the position."""

    NONE = auto()
    ALL = auto()
    WITHOUT_ROPE = auto()


class OutputGate(Enum):
    """What heads' outputs are multiplied with: a function of attn_gate(x), per head or number."""

    NONE = auto()
    SIGMOID = auto()
    SOFTPLUS = auto()
    WITH_QUERY = auto()  # sigmoid; attn_q holds each head's query and then its gate


class Gate(Enum):
    """The activation of feed-forward layers; the value is the kernel's name."""

    SILU = "silu"
    GELU = "gelu"  # by tanh
    GELU_ERF = "gelu_erf"
    GELU_OF_TAIL = "gelu_of_tail"  # by tanh; in some layers of what lies above a normal's quantile
    RELU = "relu"
    RELU_SQUARED = "relu_squared"
    SITU = "situ"  # sigmoid(gate) * b tanh(gate / b) * c tanh(up / c), b and c from the file
    XIELU = "xielu"  # a square above 0, an exponential below, by numbers of each layer
    SWIGLU_OAI = "swiglu_oai"  # gate and up clipped to 7, sigmoid(1.702 gate), up + 1


class FeedForward(Enum):
    """How the feed-forward layer is built, around the activation a."""

    GATED = auto()  # down(a(gate(x)) * up(x))
    FUSED = auto()  # the same, gate and up as the halves of one matrix, ffn_up
    PLAIN = auto()  # down(a(up(x)))
    BARE = auto()  # a(x)


class DenseWidth(Enum):
    """Width of a feed-forward layer without experts."""

    GIVEN = auto()  # feed_forward_length
    HALF = auto()
    EMBEDDING = auto()


class Dense(Enum):
    """Where the tensors of a dense feed-forward layer stand beside experts."""

    INSTEAD = auto()  # in layers without a router
    BESIDE = auto()  # in every layer; added to the experts' sum
    BEFORE = auto()  # as a step of its own; the experts see the block's input, by their own norm
    APART = auto()  # in every layer; it, the experts and the router have norms of their own


class Router(Enum):
    """Scores of experts from the router's logits, unless the file says otherwise."""

    SOFTMAX = 1
    SIGMOID = 2
    SOFTMAX_OF_CHOSEN = 3
    SQRT_SOFTPLUS = 4


class Clamp(Enum):
    """What a limit on gated activations clips; up is clipped on both sides."""

    ACTIVATED = auto()  # min(silu(gate), limit)
    GATE = auto()  # silu(min(gate, limit))


class Nextn(Enum):
    """Which rows the layers read that draft tokens ahead, theirs too if they read their own."""

    NONE = auto()  # such layers are not known
    NORMED = auto()  # those that the head reads
    BARE = auto()  # those before the last norm


@dataclass(frozen=True)
class Arch:
    """One architecture, named as `general.architecture` has it."""

    name: str
    # Metadata numbers read beyond the common ones, with the value that an absent one has.
    reads: tuple[tuple[str, float], ...] = ()
    # Names of tensors that another name stands for: (ours, the file's).
    names: tuple[tuple[str, str], ...] = ()

    # What stands before a layer's number in names of tensors.
    blocks: str = "blk"
    # Tensors that files may have and that are not used.
    unread: tuple[str, ...] = ()

    norm: Norm = Norm.RMS
    norm_weights: bool = True
    placement: Placement = Placement.PRE
    # Norms behind a block's two parts have this epsilon; 0: the model's.
    post_norm_epsilon: float = 0.0
    normed_embedding: bool = False
    # Token embeddings are multiplied by sqrt(embedding_length).
    scaled_embedding: bool = False
    # A block's parts are multiplied by this / sqrt(layers), unless the file has `residual_scale`.
    depth_scale: float = 0.0
    # The last row is multiplied by this / embedding_length, unless the file has `logit_scale`.
    base_width: float = 0.0
    # Each layer adds the embeddings times a number of its own.
    skip_embedding: bool = False
    # Each layer's rows are multiplied by a number of its own, if the file has it.
    scaled_layers: bool = False
    # Tokens have a row of so many numbers for each layer, unless the file has
    # `embedding_length_per_layer_input`; 0: only if it has.
    token_rows: int | None = None
    learned_positions: bool = False
    # Adds the first of the file's `token_types` to every token's embedding.
    token_types: bool = False
    # `logit_scale` divides.
    divided_logits: bool = False
    flow: Flow = Flow.IN_ORDER
    # The rows that `nextn_predict_layers` layers behind the last read.
    nextn: Nextn = Nextn.NONE
    # Reads what stands for the residual, where that is more than a row.
    residual: Callable[[Keys], Residual] | None = None
    # Reads how streams that a layer does not compute are predicted and corrected.
    altup: Callable[[Keys], AltUp] | None = None
    # Each row sees all of its sequence, so nothing is kept from step to step.
    causal: bool = True
    # There are no logits: the last rows are what the model is for.
    embeds: bool = False
    # The stack that reads a source first; every layer attends to its rows too.
    source: Arch | None = None

    # Reads the recurrent mixer's sizes, for layers that have one.
    mixer: Callable[[Keys, int], Mixer] | None = None
    # Reads the low-rank additions that tokens choose among.
    adapters: Callable[[Keys, int], Adapters] | None = None
    # Reads what some layers add to their input.
    inlet: Callable[[Keys, int], Ngrams | None] | None = None
    layers: Layers = Layers.ATTENTION
    # Of n listed layers the last attends, unless the file has the list.
    attention_period: int = 0
    attention: Attention = Attention.HEADS
    qk_norm: QKNorm = QKNorm.NONE
    qk_norm_after_rope: bool = False
    attention_scale: AttentionScale = AttentionScale.ROOT
    # Without attn_v the keys, as they are before norm and angles, are also the values.
    keys_as_values: bool = False
    # Each head's values are normed, without a weight.
    value_norm: bool = False
    # Layers from this one on use the keys and values of earlier ones, unless the file has
    # `attention.shared_kv_layers`; 0: only if it has.
    first_sharing: int | None = None
    # A norm stands before the last matrix of each part.
    inner_norms: bool = False
    # Scores get a number per head and bucket of distance, from a table of the first layer.
    relative_bias: bool = False
    temperature: TemperatureLayers = TemperatureLayers.NONE
    output_gate: OutputGate = OutputGate.NONE
    indexer: Indexer = Indexer.NONE
    # The indexer's numbers turn as the others do, not in halves; and at the end of its heads.
    indexer_rope_as_others: bool = False
    indexer_rope_last: bool = False
    # Its key norm has the model's epsilon, not 1e-6.
    indexer_epsilon: bool = False

    rope: Rope = Rope.NEIGHBOURS
    rope_layers: RopeLayers = RopeLayers.ALL
    local_rope: LocalRope = LocalRope.SCALED
    yarn_log: YarnLog = YarnLog.NONE
    # Frequencies are divided by rope_freqs, or rope_factors_short and _long, if the file has them.
    rope_factors: bool = False

    window: Window = Window.SLIDING
    # Of n layers one sees all keys, unless the file has the pattern; 0: without the pattern all do.
    window_period: int | None = None
    # That one is the first of the n, not the last.
    window_first: bool = False
    # `attention.sliding_window` of files that lack it, and of files that have another than 0.
    default_window: int = 0
    fixed_window: int = 0

    gate: Gate = Gate.SILU
    feed_forward: FeedForward = FeedForward.GATED
    dense_width: DenseWidth = DenseWidth.GIVEN
    clamp: Clamp = Clamp.ACTIVATED
    # Experts: layers whose file has a router.
    router: Router = Router.SOFTMAX
    normed_weights: bool = False
    # Experts' inputs are multiplied by their weights, not their outputs.
    weights_first: bool = False
    # A second set of small experts, each for a group of the first, sees their sum.
    small_experts: bool = False
    # The router sees the block's input before its norms.
    routed_by_input: bool = False
    dense: Dense = Dense.INSTEAD
    # The sum of routed, shared and dense parts is multiplied by this.
    expert_mix: float = 1.0
