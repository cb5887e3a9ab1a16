"""The effective operators of an estimator in words, for the manifest: so that 'no clip' can be believed."""

from spurious.grpo.epsilons import STD_EPS, WHITEN_VARIANCE_FLOOR
from spurious.specs import GrpoSpec, PolicySpec

_ADVANTAGE = {
    "group_std": f"(reward - group mean) / (group std + {STD_EPS:g}), std with G - 1 in the denominator; "
    "0 where the rewards of a group are equal",
    "group_mean": "reward - group mean",
    "rloo": "reward - mean of the other rewards of the group",
    "batch": f"(reward - mean) / (std + {STD_EPS:g}) over the whole rollout batch, std with n - 1 in the denominator; "
    "0 where all rewards are equal",
    "none": "the reward itself",
}

_NORM = {
    "sequence": "mean over each completion's tokens, then over the completions of the update",
    "token": "mean over the tokens of the update",
    "constant": "sum over the tokens of the update / (its completions x the sampling limit max_tokens)",
}


def effective_operators(spec: GrpoSpec, policy: PolicySpec = PolicySpec(), *, every_row: bool = False) -> list[str]:
    """What really happens between a reward and a weight, one operator a line, in the order in which they act.

    Says what is absent as plainly as what is there. Fields without effect under this spec (momentum under AdamW, a
    clip where there is no ratio) are not repeated as if they had one. `every_row`: no completion is left out of the
    forward pass, whatever its advantage.
    """
    return [*_credit(spec), *_batches(spec), *_objective(spec, every_row), *_trained(policy), *_step(spec)]


def _credit(spec: GrpoSpec) -> list[str]:
    lines = [f"advantage: {_ADVANTAGE[spec.advantage]}"]
    if spec.whiten:
        lines.append(
            "whitening on: advantages normalized again over all tokens of the rollout batch "
            f"(token-weighted mean and std, variance at least {WHITEN_VARIANCE_FLOOR:g})"
        )
    else:
        lines.append("whitening off")
    if (spec.positive_weight, spec.negative_weight) == (1, 1):
        lines.append("positive and negative advantages weigh the same")
    else:
        lines.append(
            f"positive advantages times {spec.positive_weight:g}, negative advantages times {spec.negative_weight:g}"
        )
    lines.append("advantages are not clipped, and no completion is dropped or redrawn for its reward or its length")
    return lines


def _batches(spec: GrpoSpec) -> list[str]:
    unit = "whole groups" if spec.keep_groups_together else "completions, groups split,"
    rows = spec.prompts_per_rollout * spec.group_size
    return [
        f"rollout batch: {spec.prompts_per_rollout} prompts x {spec.group_size} completions = {rows}",
        f"{spec.updates_per_rollout} optimizer updates over each rollout batch, every completion in one of them; "
        f"{unit} shuffled over the updates",
    ]


def _objective(spec: GrpoSpec, every_row: bool) -> list[str]:
    kl = f"KL term: {spec.kl:g} x k3 to the frozen initial policy, in the loss" if spec.kl else "no KL term"
    entropy = f"entropy bonus: {spec.entropy_bonus:g} x token entropy" if spec.entropy_bonus else "no entropy bonus"
    silent = (
        "every completion gets a forward pass"
        if spec.kl or spec.entropy_bonus or every_row
        else "completions of zero advantage get no forward pass but count in the denominator (exact)"
    )
    return [
        *_surrogate(spec),
        f"loss: {_NORM[spec.length_norm]}; the denominator is fixed before the update",
        silent,
        kl,
        entropy,
    ]


def _surrogate(spec: GrpoSpec) -> list[str]:
    if spec.surrogate != "ratio":
        factor = {"logp": "log pi", "prob": "pi"}[spec.surrogate]
        return [f"surrogate: advantage x {factor} of each token; no ratio, so no clip of any kind"]
    old = {
        "sampler": "as the sampler reported it",
        "recomputed": "recomputed by the trainer before the first update",
    }[spec.old_logprobs]
    upper = (
        "no upper clip"
        if spec.clip_high is None
        else f"ratio clipped above at {1 + spec.clip_high:g} where the advantage is positive"
    )
    lower = (
        "no lower clip"
        if spec.clip_low is None
        else f"ratio clipped below at {1 - spec.clip_low:g} where the advantage is negative"
    )
    return [
        f"surrogate: advantage x ratio of each token, ratio = pi / pi_old, pi_old {old}",
        upper,
        lower,
        "no dual clip, no hidden clamp on the log ratio, no importance-sampling filter or correction",
    ]


def _trained(policy: PolicySpec) -> list[str]:
    lines = []
    if (lora := policy.lora) is not None:
        root = f"sqrt({lora.r})" if lora.use_rslora else str(lora.r)
        lines.append(
            f"trained: a low-rank adapter of rank {lora.r}, times {lora.lora_alpha} / {root}, on "
            f"{', '.join(lora.target_modules)}; all else is frozen, no dropout"
        )
    if policy.gradient_checkpointing:
        lines.append("activations of each layer are computed again in the backward pass (same gradients)")
    return lines


def _step(spec: GrpoSpec) -> list[str]:
    if spec.optimizer == "sgd":
        optimizer = f"optimizer: SGD, momentum {spec.momentum:g}"
    else:
        beta1, beta2 = spec.betas
        bits = ", moments in 8 bits by blocks of 256 (bitsandbytes)" if spec.optimizer == "adamw_8bit" else ""
        optimizer = f"optimizer: AdamW, betas {beta1:g} and {beta2:g}, eps {spec.adam_eps:g}{bits}"
    fall = "constant" if spec.schedule == "constant" else "linear to zero at the end of the run"
    rise = f", after {spec.warmup_updates} warm-up updates" if spec.warmup_updates else ", no warm-up"
    null = {
        "step": "an update without signal steps on a zero gradient (momentum goes on)",
        "skip": "an update without signal is skipped (neither weights nor optimizer state change)",
    }[spec.null_updates]
    return [
        "no gradient clipping"
        if spec.max_grad_norm is None
        else f"gradient scaled down to a 2-norm of at most {spec.max_grad_norm:g}",
        optimizer,
        f"weight decay: {spec.weight_decay:g}" if spec.weight_decay else "no weight decay",
        f"learning rate {spec.lr:g}, {fall}{rise}",
        null,
    ]
