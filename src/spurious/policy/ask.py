"""From problems to prompts: a template puts the question into words, the tokenizer into ids."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spurious.policy.model import Policy, chat_renderer, prompt_ids
from spurious.specs import SamplingSpec, TaskSpec
from spurious.tasks import Task
from spurious.tasks.prompts import resolve, word
from spurious.types import Problem, Prompt

LONG = 64
"""Questions, the longest of all, that are put into tokens to see how long prompts get."""


@dataclass(frozen=True)
class Asker:
    """How a task is asked of one policy; of a server's model (no policy here) the words are all there is."""

    template: str
    """The concrete template: a name of `spurious.tasks.prompts.TEMPLATES`."""
    policy: Policy | None
    prefix: str = ""
    """Words put into the assistant's mouth."""

    def prompts(self, problems: Iterable[Problem]) -> list[Prompt]:
        """One prompt a problem, in order; a problem that comes again is its next copy."""
        seen: Counter[str] = Counter()
        prompts = []
        for problem in problems:
            prompts.append(self._prompt(problem, copy=seen[problem.id]))
            seen[problem.id] += 1
        return prompts

    def sampling(self, sampling: SamplingSpec) -> SamplingSpec:
        """The sampling with the template's own stop strings added."""
        wording = word("?", self.template, chat_renderer(self.policy) if self.policy else None)
        stop = tuple(dict.fromkeys((*sampling.stop, *wording.stop)))
        return sampling.model_copy(update={"stop": stop, "include_stop": sampling.include_stop or wording.include_stop})

    def _prompt(self, problem: Problem, copy: int) -> Prompt:
        chat = chat_renderer(self.policy) if self.policy else None
        wording = word(problem.question, self.template, chat, self.prefix)
        ids = prompt_ids(self.policy, wording.text, problem.question) if self.policy else ()
        return Prompt(problem, wording.text, ids, copy)


def longest_prompt(ask: Asker, problems: Sequence[Problem]) -> int:
    """Tokens of the longest prompt, as far as the longest questions tell."""
    longest = sorted(problems, key=lambda problem: len(problem.question))[-LONG:]
    return max(len(prompt.token_ids) for prompt in ask.prompts(longest))


def asker(spec: TaskSpec, task: Task, policy: Policy | None) -> Asker:
    """How `spec` asks `task` of a policy, or of a server's model where `policy` is None.

    `auto` means the task's own template, and where that is `auto` too, the tokenizer's chat template if it has one.

    Raises:
        SpecError: an unknown template, or one that needs a chat template where there is none.
    """
    template = task.template if spec.template == "auto" else spec.template
    return Asker(resolve(template, chat_renderer(policy) if policy else None), policy, spec.prefix)
