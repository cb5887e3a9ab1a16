"""What a run takes of a device's memory, phase by phase, before it is started; docs/scale.md explains every line.

Weights, gradients and optimizer state are exact. Bytes that autograd keeps are counted on a pass over tensors without
storage. Not counted: the allocator's slack, the driver's own memory, and temporaries of a single operation.
"""

from dataclasses import dataclass
from typing import Literal

from spurious.grpo.optimizer import BLOCK, SMALLEST_8BIT
from spurious.policy.body import Body
from spurious.policy.branches import FEWEST_ROWS
from spurious.policy.draw import CHUNK_ELEMENTS
from spurious.policy.sampler import PREFILL_TOKENS, padded_width
from spurious.policy.vocabulary import PLAIN_VOCABULARY, TOKEN_CHUNK, VOCABULARY_CHUNK
from spurious.specs import GrpoSpec, RunSpec

Phase = Literal["always", "sampling", "learning", "stepping"]

GB = 10**9
DEVICE_GB = 80
PROMPT_TOKENS = 1024
"""The longest prompt that is reckoned with, as in the paper; less where the model has no room for it."""

_FLOAT, _HALF, _DOUBLE = 4, 2, 8


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the account."""

    phase: Phase
    what: str
    dtype: str
    bytes: int


@dataclass(frozen=True)
class Memory:
    """The account of one run on one device."""

    items: tuple[Item, ...]

    def total(self, phase: Phase) -> int:
        """Bytes of one phase alone."""
        return sum(item.bytes for item in self.items if item.phase == phase)

    @property
    def peak(self) -> tuple[Phase, int]:
        """The phase that needs most, and what it needs with what is always there."""
        phases: tuple[Phase, ...] = ("sampling", "learning", "stepping")
        worst = max(phases, key=self.total)
        return worst, self.total("always") + self.total(worst)

    def fits(self, device: int) -> bool:
        """Whether the peak stays within so many bytes."""
        return self.peak[1] <= device


def memory(spec: RunSpec, body: Body, prompt: int | None = None) -> Memory:
    """The account of a run of `spec` on a model of these sizes, measured with the adapter of `spec` if it has one.

    `prompt`: tokens of the longest prompt, as far as it is known; see `prompt_tokens`.
    """
    half, lora = spec.dtype == "bfloat16", spec.policy.lora is not None
    prompt = prompt_tokens(spec, body) if prompt is None else prompt
    rows, tokens = _sampled(spec, prompt)
    learned = _learned(spec, prompt)
    weights, trained = _FLOAT * body.parameters, _FLOAT * sum(body.trained)
    cache = rows * tokens * body.cached[spec.dtype]
    kept = "mixed" if half else "float32"
    if lora and half:
        weights -= (_FLOAT - _HALF) * body.linear
    items = [Item("always", "weights", kept if lora else "float32", weights)]
    if lora:
        items.append(Item("always", "adapter", "float32", trained))
    items.append(
        Item("always", f"optimizer state ({spec.grpo.optimizer})", "float32", optimizer_bytes(spec.grpo, body))
    )
    if (spec.measure_kl or spec.grpo.kl > 0) and not lora:
        items.append(Item("always", "frozen reference", "float32", weights))
    if half:
        head, copied = body.vocabulary * body.width, sum(body.trained) if lora else body.linear
        items += [
            Item("sampling", "copies of the weights", "bfloat16", _HALF * (copied + head)),
            Item("learning", "copies of the weights", "bfloat16", _HALF * (copied + head * (not _chunked(body)))),
        ]
    items += [
        Item("sampling", f"key/value cache, {rows} x {tokens} tokens", kept, cache),
        Item("sampling", "one layer of it, while it grows", kept, cache // body.layers),
        Item("sampling", f"logits of {rows} rows, and drawing", "mixed", _drawing(body, rows, half)),
        Item("sampling", "reading prompts", kept, _prefill(body, spec, prompt, half)),
        Item("learning", "gradients", "float32", trained),
        Item("learning", f"activations of {learned} tokens", kept, learned * _activations(spec, body)),
        Item("learning", "logits, in chunks, and their gradients", "float32", _loss(body, learned, trained=not lora)),
        Item("stepping", "gradients", "float32", trained),
        Item("stepping", "temporaries of the step", "float32", _temporaries(spec.grpo, body)),
    ]
    return Memory(tuple(items))


def prompt_tokens(spec: RunSpec, body: Body) -> int:
    """The longest prompt that is reckoned with."""
    longest = max([spec.sampling.max_tokens, *(bench.max_tokens for bench in spec.benches)])
    return max(1, min(PROMPT_TOKENS, body.positions - longest))


def optimizer_bytes(grpo: GrpoSpec, body: Body) -> int:
    """AdamW keeps two moments and counts steps for each tensor; SGD keeps one moment, if any.

    Of 8 bits each, moments have a scale a block as well; those of small tensors stay whole.
    """
    if grpo.optimizer == "adamw":
        return _FLOAT * (2 * sum(body.trained) + len(body.trained))
    if grpo.optimizer == "adamw_8bit":
        return sum(2 * (n + _FLOAT * -(-n // BLOCK)) if n >= SMALLEST_8BIT else 2 * _FLOAT * n for n in body.trained)
    return _FLOAT * sum(body.trained) * bool(grpo.momentum)


def largest_budget(spec: RunSpec, body: Body, device: int, prompt: int | None = None) -> int | None:
    """The largest `token_budget` with which learning fits; None where no budget does."""
    return _largest(spec, body, device, prompt, "learning", "token_budget")


def largest_rows(spec: RunSpec, body: Body, device: int, prompt: int | None = None) -> int | None:
    """The largest `sampling_rows` with which sampling fits; None where no number does."""
    return _largest(spec, body, device, prompt, "sampling", "sampling_rows")


def _largest(spec: RunSpec, body: Body, device: int, prompt: int | None, phase: Phase, field: str) -> int | None:
    def fits(value: int) -> bool:
        account = memory(spec.model_copy(update={field: value}), body, prompt)
        return account.total("always") + account.total(phase) <= device

    low, high = 1, 2**20
    if not fits(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _sampled(spec: RunSpec, prompt: int) -> tuple[int, int]:
    """Rows drawn at once, and the longest row in tokens; a benchmark is reckoned to fill the rows."""
    trained = spec.grpo.prompts_per_rollout * spec.grpo.group_size
    rows = spec.sampling_rows if spec.benches else min(trained, spec.sampling_rows)
    longest = max([spec.sampling.max_tokens, *(bench.max_tokens for bench in spec.benches)])
    return max(rows, FEWEST_ROWS), padded_width(prompt) + longest - 1


def _learned(spec: RunSpec, prompt: int) -> int:
    """Tokens of the largest pass: the budget, at least one row, at most all rows of an update."""
    row = prompt + spec.sampling.max_tokens
    rows = -(-spec.grpo.prompts_per_rollout * spec.grpo.group_size // spec.grpo.updates_per_rollout)
    return max(row, min(spec.token_budget, rows * row))


def _drawing(body: Body, rows: int, half: bool) -> int:
    """Logits of all rows; of one chunk, three times the logits in single and three distributions in double."""
    chunk = min(rows * body.vocabulary, max(CHUNK_ELEMENTS, body.vocabulary))
    return rows * body.vocabulary * (_HALF if half else _FLOAT) + chunk * 3 * (_FLOAT + _DOUBLE)


def _prefill(body: Body, spec: RunSpec, prompt: int, half: bool) -> int:
    """The widest moment of a layer: three feed-forward tensors and three of the model's width."""
    tokens = min(PREFILL_TOKENS, spec.sampling_rows * padded_width(prompt))
    return tokens * 3 * (body.mlp * (_HALF if half else _FLOAT) + body.width * _FLOAT)


def _activations(spec: RunSpec, body: Body) -> int:
    """Bytes kept for one token between forward and backward."""
    return (body.recomputed if spec.policy.gradient_checkpointing else body.saved)[spec.dtype]


def _temporaries(grpo: GrpoSpec, body: Body) -> int:
    """A step over all tensors at once keeps a copy of them; that of bitsandbytes goes from one to the next."""
    return _FLOAT * (max(body.trained) if grpo.optimizer == "adamw_8bit" else sum(body.trained))


def _loss(body: Body, tokens: int, *, trained: bool) -> int:
    """Hidden states and their gradient, the output embedding's if trained, and four tensors of a chunk of logits."""
    if not _chunked(body):
        return tokens * _FLOAT * (2 * body.width + 3 * body.vocabulary)
    chunk = 4 * min(TOKEN_CHUNK, tokens) * min(VOCABULARY_CHUNK, body.vocabulary)
    return _FLOAT * (2 * tokens * body.width + body.vocabulary * body.width * trained + chunk)


def _chunked(body: Body) -> bool:
    return body.vocabulary > PLAIN_VOCABULARY
