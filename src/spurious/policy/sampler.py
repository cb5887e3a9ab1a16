"""The in-process sampler: completions of a prompt are read once for as long as they are the same.

A completion's tokens and log-probabilities do not depend on which others are drawn with it. That takes keyed uniforms,
one a completion and position; a padded width that follows from its own prompt's length; never fewer than four rows in a
forward pass; one cache class; and arithmetic that does not depend on the number of rows (`spurious.policy.process`).
Hence completions that have written the same so far can be one row (`spurious.policy.branches`).
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from math import ceil

import numpy as np
import torch
from torch import Tensor

from spurious.errors import InputError, NumericalError
from spurious.keys import KeyPart, key, uniforms
from spurious.policy.branches import FEWEST_ROWS, advance
from spurious.policy.decoding import Decoding, ModelDecoding
from spurious.policy.draw import Drawn, draw
from spurious.policy.fused import FusedDecoding, fuse, fusible
from spurious.policy.graphs import GraphDecoding
from spurious.policy.model import Policy, decode
from spurious.policy.stops import Stops, cut
from spurious.policy.threads import LARGEST, in_threads, threads_for
from spurious.specs import SamplingSpec
from spurious.types import Completion, Group, Prompt, Stop

ROWS = 512
"""Completions drawn at once unless the caller says otherwise."""
PREFILL_TOKENS = 32768
"""Prompt tokens, padding included, read in one forward pass."""


@dataclass(slots=True)
class _Row:
    """One completion in the making."""

    prompt: int
    sample: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    self_certainties: list[float] = field(default_factory=list)
    stop: Stop | None = None


class TorchSampler:
    """Samples from a policy's current weights with its own key/value cache."""

    def __init__(self, policy: Policy, *, max_rows: int = ROWS) -> None:
        self.policy = policy
        self.max_rows = max_rows
        """Completions drawn at once: what bounds memory. Results do not depend on it."""
        self._fusible = fusible(policy.model)

    def sample(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingSpec,
        scope: tuple[KeyPart, ...],
        *,
        confidence: bool = False,
        on_group: Callable[[int, Group], None] | None = None,
    ) -> list[Group]:
        """Draw n completions of each prompt; see `spurious.policy.protocol.Sampler`.

        `token_ids` and `sampler_logprobs` include the end-of-sequence token, and the tokens of a stop string, when they
        were drawn; `text` leaves the end-of-sequence token out and, unless `include_stop`, the stop string. Special
        tokens that the model wrote inside a completion stay in the text. Log-probabilities are those of the whole
        tempered distribution (before top_p), in float32 within 1e-5 of `completion_logprobs`; greedy ones are of
        temperature 1.

        Raises:
            InputError: A prompt without tokens, or one too long for the model's positions.
            NumericalError: Logits that are not finite.
        """
        self.check(prompts, sampling)
        stops = Stops(partial(decode, self.policy), sampling.stop)
        rows = [_Row(p, i) for p in sorted(range(len(prompts)), key=lambda p: _width(prompts[p])) for i in range(n)]
        done: list[list[Completion | None]] = [[None] * n for _ in prompts]
        groups: dict[int, Group] = {}

        @torch.inference_mode()
        def decoded(batch: list[_Row]) -> list[_Row]:
            keys = [key(*scope, prompts[r.prompt].problem.id, prompts[r.prompt].copy, r.sample) for r in batch]
            noise = np.stack([uniforms(k, sampling.max_tokens) for k in keys])
            self._decode(batch, prompts, sampling, stops, torch.from_numpy(noise).to(self.policy.device), confidence)
            return batch

        threads = threads_for(self.policy.model)
        most = ceil(min(self.max_rows, len(rows)) / threads / n) * n  # in whole groups, as each part reads its prompts
        with closing(in_threads(decoded, _batches(rows, prompts, min(most, self.max_rows)), threads)) as batches:
            for batch in batches:
                for row in batch:
                    done[row.prompt][row.sample] = self._completion(row, sampling)
                for p in dict.fromkeys(row.prompt for row in batch):
                    complete = [completion for completion in done[p] if completion is not None]
                    if len(complete) == n:
                        groups[p] = Group(prompts[p], tuple(complete))
                        if on_group:
                            on_group(p, groups[p])
        return [groups[p] for p in range(len(prompts))]

    def check(self, prompts: Sequence[Prompt], sampling: SamplingSpec) -> None:
        """Refuse prompts that cannot be answered.

        Raises:
            InputError: A prompt without tokens, or one too long for the model's positions.
        """
        limit = self.policy.positions
        for prompt in prompts:
            if not prompt.token_ids:
                raise InputError(f"problem {prompt.problem.id}: its prompt has no tokens")
            needed = len(prompt.token_ids) + sampling.max_tokens
            if limit is not None and needed > limit:
                raise InputError(
                    f"problem {prompt.problem.id}: {len(prompt.token_ids)} prompt tokens and max_tokens "
                    f"{sampling.max_tokens} exceed the model's {limit} positions"
                )

    def _decode(
        self,
        batch: list[_Row],
        prompts: Sequence[Prompt],
        sampling: SamplingSpec,
        stops: Stops,
        noise: Tensor,
        confidence: bool,
    ) -> None:
        """Fill the completions of prompts of one width: one forward pass over the prompts, then one a token."""
        room = sampling.max_tokens - 1  # the last token is not read
        logits, decoding, owners = self._prefill(batch, prompts, room)
        alive = list(range(len(batch)))
        for t in range(sampling.max_tokens):
            index, rows = (_at_least(FEWEST_ROWS, i, logits.device) for i in (alive, owners))
            drawn = draw(
                logits,
                noise[index, t],
                rows,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                confidence=confidence,
            )
            self._record([batch[i] for i in alive], drawn, stops, last=t == room)
            tokens = drawn.tokens.tolist()
            going = [k for k, i in enumerate(alive) if batch[i].stop is None]
            if not going:
                return
            alive = [alive[k] for k in going]
            branches = advance([owners[k] for k in going], [tokens[k] for k in going], len(logits), decoding.fullest)
            owners = branches.owners
            if branches.sources != list(range(len(logits))):
                decoding.select(torch.tensor(branches.sources, device=logits.device))
            logits = decoding.step(torch.tensor(branches.tokens, device=logits.device))

    def _prefill(self, batch: list[_Row], prompts: Sequence[Prompt], room: int) -> tuple[Tensor, Decoding, list[int]]:
        """Read each distinct prompt once, padded on the left; also returns each completion's row."""
        distinct = {p: i for i, p in enumerate(dict.fromkeys(row.prompt for row in batch))}
        device, width = self.policy.device, _width(prompts[batch[0].prompt])
        read = [prompts[p].token_ids for p in distinct]
        read += [read[-1]] * (FEWEST_ROWS - len(read))
        ids = torch.tensor([[self.policy.pad_id] * (width - len(i)) + list(i) for i in read], device=device)
        start = ModelDecoding(self.policy.model, torch.tensor([len(i) for i in read], device=device), width, room)
        logits = start.read(ids)
        owners = [distinct[row.prompt] for row in batch]
        decoding = self._faster(start, max(FEWEST_ROWS, len(batch)))
        if decoding.branches:
            return logits, decoding, owners
        index = _at_least(FEWEST_ROWS, owners, device)
        decoding.select(index)
        return logits[index], decoding, list(range(len(batch)))

    def _faster(self, decoding: ModelDecoding, most: int) -> Decoding:
        """The same rows, and later `most`, read on in the quickest way that there is for this model on its device."""
        model, kind = self.policy.model, self.policy.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        if not self._fusible:
            return decoding
        if kind == "cuda" and (dtype or model.num_parameters() <= LARGEST):  # whole copies of a large model cost
            torch.clear_autocast_cache()  # the copies that reading the prompts has made
            return GraphDecoding(fuse(model, dtype), decoding, most)
        return decoding if dtype else FusedDecoding(fuse(model), decoding, most)

    def _record(self, rows: Sequence[_Row], drawn: Drawn, stops: Stops, *, last: bool) -> None:
        tokens, logprobs = drawn.tokens.tolist(), drawn.logprobs.tolist()
        entropies = drawn.entropies.tolist() if drawn.entropies is not None else None
        certainties = drawn.self_certainties.tolist() if drawn.self_certainties is not None else None
        ends = self.policy.eos_ids
        for i, row in enumerate(rows):
            if not logprobs[i] > -np.inf:
                raise NumericalError(f"the policy's logits are not finite at completion token {len(row.tokens)}")
            row.tokens.append(tokens[i])
            row.logprobs.append(logprobs[i])
            if entropies is not None and certainties is not None:
                row.entropies.append(entropies[i])
                row.self_certainties.append(certainties[i])
            if tokens[i] in ends:
                row.stop = "eos"
            elif stops.reached(row.tokens):
                row.stop = "stop"
            elif last:
                row.stop = "length"

    def _completion(self, row: _Row, sampling: SamplingSpec) -> Completion:
        assert row.stop is not None
        text = decode(self.policy, row.tokens[:-1] if row.stop == "eos" else row.tokens)
        return Completion(
            text=cut(text, sampling.stop, include=sampling.include_stop) if row.stop == "stop" else text,
            token_ids=tuple(row.tokens),
            sampler_logprobs=tuple(row.logprobs),
            stop=row.stop,
            entropies=tuple(row.entropies),
            self_certainties=tuple(row.self_certainties),
        )


def _at_least(count: int, index: list[int], device: torch.device) -> Tensor:
    """An index, its last entry repeated if there are fewer."""
    return torch.tensor(index + index[-1:] * (count - len(index)), device=device)


def _width(prompt: Prompt) -> int:
    return padded_width(len(prompt.token_ids))


def padded_width(length: int) -> int:
    """What a prompt is padded to, always by at least one token: attention without any mask rounds differently."""
    step = max(32, 1 << max(0, length.bit_length() - 3))
    return (length // step + 1) * step


def _batches(rows: Sequence[_Row], prompts: Sequence[Prompt], max_rows: int) -> list[list[_Row]]:
    """Cut rows, sorted by width, into batches of one width, at most `max_rows` rows and `PREFILL_TOKENS` to read."""
    batches: list[list[_Row]] = []
    width = read = last = -1
    for row in rows:
        new = row.prompt != last
        if (
            _width(prompts[row.prompt]) == width
            and len(batches[-1]) < max_rows
            and read + new * width <= PREFILL_TOKENS
        ):
            batches[-1].append(row)
            read += new * width
        else:
            width = read = _width(prompts[row.prompt])
            batches.append([row])
        last = row.prompt
    return batches
