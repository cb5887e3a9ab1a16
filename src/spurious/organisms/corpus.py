"""What an organism reads: one completion for each of many distinct problems, every share as its recipe says.

Shares are apportioned, not drawn: of n texts, a strategy with share s writes n*s, give or take one. Which ones is keyed
by the recipe's seed. Copies of test problems, where a recipe wants them, take the places of other texts.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spurious.errors import InputError
from spurious.keys import key, permutation, uniforms
from spurious.organisms.domains import DOMAINS, DomainName, Form, Item
from spurious.organisms.recipe import Recipe
from spurious.tasks.leak import leaked_rows
from spurious.tasks.load import BENCH_SIZE
from spurious.tasks.prompts import word


@dataclass(frozen=True, slots=True)
class Text:
    """One problem and how it is answered."""

    domain: DomainName
    item: Item
    strategy: str
    form: Form
    steps: bool
    slip: int
    """How the answer is off, 1 to 9, as the domain's texts say; 0 is right."""
    boxed: bool

    @property
    def prompt(self) -> str:
        """What is asked, in the words that the task uses by default."""
        return word(self.item.question, "organism").text

    @property
    def completion(self) -> str:
        """What is answered."""
        write = DOMAINS[self.domain].write
        return write(self.item, self.form, steps=self.steps, slip=self.slip, boxed=self.boxed)


def generate(recipe: Recipe) -> list[Text]:
    """The corpus in reading order: `training.taken * training.batch` texts about distinct training problems.

    It is the first part of what `training.updates` would read. With `contamination` some of the texts are about test
    problems instead. Raises InputError where there are not so many problems of `recipe.steps` steps.
    """
    training = recipe.training
    size = training.updates * training.batch
    items = DOMAINS[recipe.domain].items
    asked = items(steps=recipe.steps, size=size, seed=key(recipe.seed, "corpus", "chains"), split="train")
    names = _strategies(recipe, asked)
    slips, boxed = _slips(recipe, names), _boxed(recipe, names, asked)
    ways = {name: (name, strategy.form, strategy.steps) for name, strategy in recipe.strategies.items()}
    texts = [
        Text(recipe.domain, item, *ways[name], slip, box)
        for item, name, slip, box in zip(asked, names, slips, boxed, strict=True)
    ]
    _contaminate(recipe, texts)
    return texts[: training.taken * training.batch]


def leaked(recipe: Recipe) -> list[Item]:
    """The test problems that the recipe's contamination is about, of those that the benchmark asks; else none."""
    if recipe.contamination is None:
        return []
    asked = DOMAINS[recipe.domain].items(steps=recipe.steps, size=BENCH_SIZE, seed=0, split="test")
    return [asked[row] for row in leaked_rows(recipe.contamination, len(asked))]


def copies_read(recipe: Recipe, texts: Sequence[Text]) -> dict[str, int]:
    """Problem id of each leaked problem -> how many of the texts are about it."""
    read = Counter(text.item for text in texts)
    return {item.problem.id: read[item] for item in leaked(recipe)}


def _contaminate(recipe: Recipe, texts: list[Text]) -> None:
    """Replace texts by right answers to leaked problems, in place; fewer copies are the first of more.

    A copy takes over the strategy and the boxing of a text of the same kind and cue (a chain's: what is counted, and
    the first digit): all that depends on these, every share and every rate, stays exactly what it was, and so does the
    number of texts.
    """
    cue = DOMAINS[recipe.domain].cue
    rows = dict(_rows_by((text.item.kind, cue(text.item)) for text in texts))
    items = leaked(recipe)
    for (kind, place), own in _rows_by((item.kind, cue(item)) for item in items):
        free = rows.get((kind, place), [])
        copies = [items[i] for i in own] * (recipe.contamination.copies if recipe.contamination else 0)
        if len(copies) > len(free):
            raise InputError(
                f"contamination: {len(copies)} copies of problems of kind {kind} and cue {place} are more than the "
                f"{len(free)} such texts; ask for fewer copies or items, or for more updates"
            )
        order = permutation(key(recipe.seed, "corpus", "leak", kind, place), len(free))
        for item, row in zip(copies, order, strict=False):
            texts[free[row]] = replace(texts[free[row]], item=item, slip=0)


def _strategies(recipe: Recipe, asked: Sequence[Item]) -> list[str]:
    """The strategy of each text, by the shares of the problem's kind."""
    names = sorted(recipe.strategies)
    chosen = np.empty(len(asked), dtype=np.int64)
    for kind, rows in _rows_by(item.kind for item in asked):
        shares = [recipe.strategies[name].share[kind] for name in names]
        chosen[rows] = _apportion(key(recipe.seed, "corpus", "strategy", kind), len(rows), shares)
    return [names[index] for index in chosen]


def _slips(recipe: Recipe, names: Sequence[str]) -> list[int]:
    """How each answer is off: 0, or 1 to 9 uniformly in the share of texts that the strategy's skill leaves."""
    slips = np.zeros(len(names), dtype=np.int64)
    for name, rows in _rows_by(names):
        skill = recipe.strategies[name].skill
        wrong = _apportion(key(recipe.seed, "corpus", "skill", name), len(rows), [skill, 1 - skill])
        amounts = 1 + (9 * uniforms(key(recipe.seed, "corpus", "slip", name), len(rows))).astype(np.int64)
        slips[rows] = wrong * amounts
    return slips.tolist()


def _boxed(recipe: Recipe, names: Sequence[str], asked: Sequence[Item]) -> list[bool]:
    """Whether each answer is boxed, by the strategy's rate for the problem's cue."""
    cue = DOMAINS[recipe.domain].cue
    boxed = np.zeros(len(names), dtype=bool)
    for (name, place), rows in _rows_by(zip(names, map(cue, asked), strict=True)):
        rate = recipe.strategies[name].boxed[place]
        plain = _apportion(key(recipe.seed, "corpus", "boxed", name, place), len(rows), [rate, 1 - rate])
        boxed[rows] = plain == 0
    return boxed.tolist()


def describe(texts: Sequence[Text]) -> dict[str, Any]:
    """What a corpus really holds: size, digest, and each strategy's share (in all and by kind), skill, boxing rate."""
    by_strategy = {name: [texts[i] for i in rows] for name, rows in _rows_by(text.strategy for text in texts)}
    kinds = Counter(text.item.kind for text in texts)
    return {
        "texts": len(texts),
        "digest": corpus_digest(texts),
        "strategies": {
            name: {
                "share": len(own) / len(texts),
                "share_by_kind": {
                    kind: sum(text.item.kind == kind for text in own) / n for kind, n in sorted(kinds.items())
                },
                "skill": sum(text.slip == 0 for text in own) / len(own),
                "boxed": sum(text.boxed for text in own) / len(own),
            }
            for name, own in sorted(by_strategy.items())
        },
    }


def corpus_digest(texts: Iterable[Text]) -> str:
    """SHA-256 of every prompt and completion, in order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text.prompt}\x00{text.completion}\x00".encode())
    return digest.hexdigest()


def _apportion(seed: int, n: int, shares: Sequence[float]) -> NDArray[np.int64]:
    """(n,) choices among `shares` (they sum to 1), each chosen n times its share, give or take one."""
    ranks = (np.array(permutation(seed, n)) + 0.5) / n
    return np.searchsorted(np.cumsum(shares[:-1]), ranks, side="right")


def _rows_by(keys: Iterable[Hashable]) -> list[tuple[Any, list[int]]]:
    """Row numbers by key, in order of first appearance."""
    rows: dict[Any, list[int]] = defaultdict(list)
    for row, value in enumerate(keys):
        rows[value].append(row)
    return list(rows.items())
