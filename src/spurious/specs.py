"""All configuration: frozen pydantic models that refuse unknown fields.

A spec is data. What a name means (a reward, a task, a label transform) is decided by the room that owns the word, which
also says which names exist.
"""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _none_word(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() in ("none", "null") else value


_T = TypeVar("_T")
Nullable = Annotated[_T | None, BeforeValidator(_none_word)]
"""T, or null; the words 'none' and 'null' mean null, so that a command line can say it."""


class Spec(BaseModel):
    """Base of every specification: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _named(value: Any) -> Any:
    """Bring the short forms of a named spec to the long one.

    `random` -> {name: random}; `{random: {gamma: 0.5}}` -> {name: random, args: {gamma: 0.5}};
    `{all_of: [format, {not_: python_mention}]}` -> {name: all_of, of: [...]}; a string that starts with a brace is
    read as YAML (JSON is YAML), so that a command line can hold any of them.
    """
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            return {"name": value}
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"not readable as YAML or JSON: {error}") from error
    if isinstance(value, Mapping) and "name" not in value and len(value) == 1:
        ((name, inner),) = value.items()
        if isinstance(inner, list | str):
            return {"name": name, "of": [inner] if isinstance(inner, str) else inner}
        if isinstance(inner, Mapping):
            args = {key: inside for key, inside in inner.items() if key != "of"}
            of = inner.get("of", [])
            return {"name": name, "args": args} | ({"of": of if isinstance(of, list) else [of]} if of else {})
        if inner is None:
            return {"name": name}
    return value


class RewardSpec(Spec):
    """A reward by name, its parameters, and for combinations the rewards inside it.

    `name` is one of `spurious.signals.rewards.REWARDS`, or `path/to/file.py:function`.
    """

    name: str
    args: dict[str, Any] = Field(default_factory=dict)
    of: tuple["RewardSpec", ...] = ()

    _short = model_validator(mode="before")(_named)


class LabelSpec(Spec):
    """What the reward is told, by name of `spurious.signals.labels.LABELS`, with its parameters."""

    name: str = "true"
    args: dict[str, Any] = Field(default_factory=dict)

    _short = model_validator(mode="before")(_named)


class TaskSpec(Spec):
    """Where problems come from and how they are asked.

    `name` is one of `spurious.tasks.TASKS`, `gym:<dataset>`, or a path to a JSON, JSONL or parquet file.
    """

    name: str
    args: dict[str, Any] = Field(default_factory=dict)
    """What the task's builder takes: steps, size, seed, columns..."""
    template: str = "auto"
    """A prompt template of `spurious.tasks.prompts.TEMPLATES`; `auto` asks the task."""
    prefix: str = ""
    """What the assistant's turn starts with, such as the paper's 'Let's solve this using Python.'; not measured."""
    limit: Nullable[Annotated[int, Field(ge=1)]] = None
    """Use only the first so many problems."""

    _short = model_validator(mode="before")(_named)


class SamplingSpec(Spec):
    """How completions are drawn."""

    temperature: Annotated[float, Field(ge=0)] = 1.0
    """0 means greedy: the most likely token, the lowest id among equals."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 128
    stop: tuple[str, ...] = ()
    """Stop strings; the end-of-sequence token always stops."""
    include_stop: bool = False
    """Whether a stop string stays in the completion's text."""


class GrpoSpec(Spec):
    """The estimator: how rewards become a weight update (facts of the paper's code in brackets)."""

    prompts_per_rollout: Annotated[int, Field(ge=1)] = 32
    """P, prompts in a rollout batch [64]."""
    group_size: Annotated[int, Field(ge=2)] = 16
    """G, completions of each prompt [16]."""
    updates_per_rollout: Annotated[int, Field(ge=1)] = 8
    """M, optimizer updates over one rollout batch [8]."""
    clip_low: Nullable[Annotated[float, Field(ge=0, le=1)]] = 0.2
    """The ratio is clipped below at 1 - clip_low for A < 0; null: no lower clip at all [0.2]."""
    clip_high: Nullable[Annotated[float, Field(ge=0)]] = 0.2
    """The ratio is clipped above at 1 + clip_high for A > 0; null: no upper clip at all [0.2]."""
    advantage: Literal["group_std", "group_mean", "rloo", "batch", "none"] = "group_std"
    """Reward made relative: (r - mean) / std of the group; r - mean; r - mean of the others; whole batch; r itself."""
    whiten: bool = False
    """Normalize advantages again over all tokens of the rollout batch [true, see facts on its harm]."""
    length_norm: Literal["sequence", "token", "constant"] = "sequence"
    """Mean over each completion's tokens and then over completions; mean over tokens; sum over a constant length."""
    kl: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the k3 divergence to the frozen initial policy [0]."""
    entropy_bonus: float = 0.0
    """Weight of the mean token entropy, added to the objective [0]."""
    optimizer: Literal["adamw", "adamw_8bit", "sgd"] = "adamw"
    """`adamw_8bit` keeps AdamW's moments in 8 bits, by blocks, through bitsandbytes."""
    lr: Annotated[float, Field(gt=0)] = 5e-5
    """Learning rate; 5e-5 suits the organisms [5e-7 for 7 B parameters]."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """AdamW's moments [0.9, 0.95]."""
    adam_eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """SGD's momentum."""
    schedule: Literal["constant", "linear"] = "constant"
    """The learning rate over the run: constant, or linear to zero at the last update."""
    warmup_updates: Annotated[int, Field(ge=0)] = 0
    max_grad_norm: Nullable[Annotated[float, Field(gt=0)]] = 1.0
    positive_weight: Annotated[float, Field(ge=0)] = 1.0
    """Multiplies positive advantages; 0 keeps only the penalties."""
    negative_weight: Annotated[float, Field(ge=0)] = 1.0
    """Multiplies negative advantages; 0 keeps only the praise."""
    old_logprobs: Literal["sampler", "recomputed"] = "sampler"
    """The denominator of the ratio: what the sampler reported, or one more pass before the updates [recomputed]."""
    keep_groups_together: bool = False
    """Whether the completions of one prompt share an update, or are shuffled over the M updates [shuffled]."""
    surrogate: Literal["ratio", "logp", "prob"] = "ratio"
    """What multiplies the advantage: pi/pi_old, log pi, or pi [the original code's 'no clip' is prob]."""
    null_updates: Literal["step", "skip"] = "step"
    """An update without any signal: step on a zero gradient (Adam's momentum goes on), or nothing [step]."""


def _read(value: Any) -> Any:
    return yaml.safe_load(value) if isinstance(value, str) else value


Passed = Annotated[dict[str, Any], BeforeValidator(_read)]
"""Arguments handed to a library as they are; a command line gives them as one JSON document."""

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
"""One name or several."""


class LoraSpec(Spec):
    """A low-rank adapter (Hu et al. 2021) by names and defaults of `peft.LoraConfig`; it starts as no change at all."""

    r: Annotated[int, Field(ge=1)] = 8
    """Rank."""
    lora_alpha: Annotated[int, Field(ge=1)] = 8
    """The adapter's product is multiplied by lora_alpha / r."""
    target_modules: Names = ("all-linear",)
    """Names of the modules that are adapted; all-linear (not PEFT's default): every linear one but the output's."""
    use_rslora: bool = False
    """Multiply by lora_alpha / sqrt(r) instead (Kalajdzievski 2023)."""

    _document = model_validator(mode="before")(_read)


class PolicySpec(Spec):
    """Which weights are trained, and what is kept of a forward pass."""

    lora: Nullable[LoraSpec] = None
    """null trains every weight; else an adapter beside the frozen weights."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""


class TrlSpec(Spec):
    """What only the TRL engine has; without effect under `engine: own`."""

    sampler: Literal["own", "vllm"] = "own"
    """Who draws the training completions; evaluations are always drawn by our own sampler."""
    vllm: Passed = Field(default_factory=dict)
    """TRL's vLLM settings without their `vllm_`: {mode: server, server_base_url: ...}."""


class BenchSpec(Spec):
    """One benchmark: problems, how they are asked, how often and at which temperature."""

    task: TaskSpec
    k: Annotated[int, Field(ge=1)] = 1
    """Samples per problem."""
    temperature: Nullable[Annotated[float, Field(ge=0)]] = None
    """null: greedy for k = 1 and 0.6 for more, as in the paper."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 128
    stop: tuple[str, ...] = ()
    name: str = ""
    """How results are filed; empty: the task's name, with `-k8` behind it for k = 8. Letters, digits, `.`, `_`, `-`."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"task": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _file_name(self) -> "BenchSpec":
        if not re.fullmatch(r"[A-Za-z0-9._-]*", self.name):
            raise ValueError(f"name {self.name!r} may hold only letters, digits, '.', '_' and '-'")
        return self

    @property
    def slug(self) -> str:
        """The name that results are filed under."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", PurePath(self.task.name).stem)
        return self.name or stem + (f"-k{self.k}" if self.k > 1 else "")

    @property
    def sampling(self) -> SamplingSpec:
        """The sampling this bench asks for."""
        temperature = self.temperature if self.temperature is not None else (0.0 if self.k == 1 else 0.6)
        return SamplingSpec(temperature=temperature, top_p=self.top_p, max_tokens=self.max_tokens, stop=self.stop)


class RunSpec(Spec):
    """One run: one model, one arm, one seed."""

    model: str
    """A Hugging Face model directory, or a hub id."""
    revision: Nullable[str] = None
    task: TaskSpec
    reward: RewardSpec
    label: LabelSpec = LabelSpec()
    grpo: GrpoSpec = GrpoSpec()
    sampling: SamplingSpec = SamplingSpec()
    benches: tuple[BenchSpec, ...] = ()
    """Benchmarks evaluated at step 0, every `eval_every` steps and at the end."""
    steps: Annotated[int, Field(ge=0)]
    """Rollout batches."""
    seed: Annotated[int, Field(ge=0)] = 0
    eval_every: Nullable[Annotated[int, Field(ge=1)]] = None
    """null: only at step 0 and at the end."""
    save_every: Nullable[Annotated[int, Field(ge=1)]] = None
    """Steps between checkpoints; null: every step below 50 million trained parameters, else every 20."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of forward and backward passes; the weights that are trained stay float32."""
    token_budget: Annotated[int, Field(ge=1)] = 16384
    """Tokens in one forward and backward pass at most, prompt and padding included; fewer on a GPU without the room."""
    sampling_rows: Annotated[int, Field(ge=1)] = 512
    """Completions drawn at once at most, in training and evaluation; fewer on a GPU without the room."""
    extraction: Literal["strict", "lenient"] = "strict"
    """What counts as an answer for the training reward."""
    measure_kl: bool = True
    """Whether the divergence from the initial policy is measured at every step; needs a second copy of the weights,
    unless an adapter is trained, which can be switched off."""
    policy: PolicySpec = PolicySpec()
    engine: Literal["own", "trl"] = "own"
    """Who takes the updates: this package, in one process, or TRL's GRPOTrainer, in one or many."""
    trl: TrlSpec = TrlSpec()

    @model_validator(mode="before")
    @classmethod
    def _of_both_engines(cls, value: Any) -> Any:
        """What both engines have stood under `trl` once: manifests of then are still read."""
        trl = value.get("trl") if isinstance(value, Mapping) else None
        if not isinstance(trl, Mapping) or trl.keys().isdisjoint(PolicySpec.model_fields):
            return value
        moved = {name: trl[name] for name in PolicySpec.model_fields if trl.get(name)}
        kept = {name: given for name, given in trl.items() if name not in PolicySpec.model_fields}
        return {**value, "trl": kept, **({"policy": {**moved, **value.get("policy", {})}} if moved else {})}

    @model_validator(mode="after")
    def _distinct_benches(self) -> "RunSpec":
        slugs = [bench.slug for bench in self.benches]
        twice = sorted({slug for slug in slugs if slugs.count(slug) > 1})
        if twice:
            raise ValueError(f"benches: two are filed as {twice[0]!r}; give one of them another `name`")
        return self
