"""A sampler that speaks to any OpenAI-compatible server: vLLM, SGLang, llama.cpp, `transformers serve`.

One request a sample, because servers disagree on `n`, each with its own seed. A server's texts are not reproducible
in general (many ignore the seed under load); what was lost to a failing server is asked again, never replaced.
"""

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from time import monotonic
from typing import Any

import httpx

from spurious.errors import InputError, ServerError
from spurious.keys import KeyPart, key, uniforms
from spurious.policy.stops import cut
from spurious.specs import SamplingSpec
from spurious.types import Completion, Group, Prompt, Stop

LONGEST_WAIT = 60.0
"""Seconds between two attempts, at most."""
LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer, unpacked: a completion of 65,536 tokens with their log-probabilities takes about a tenth."""
MOST_CHARACTERS = 256
"""Characters a token of a completion may stand for on average; a longer text was not sampled with this token limit."""
SHOWN = 200
"""Characters of a server's answer in a message."""
_RETRIED = {408, 409, 425, 429}


class _Unusable(Exception):
    """An attempt that may be repeated: no answer, an answer that says to come back, or one that is not a completion."""

    def __init__(self, problem: str, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.wait = wait
        """Seconds that the server asks to wait."""


class ServerSampler:
    """Samples from an OpenAI-compatible server, for evaluation and labeling."""

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        chat: bool = False,
        api_key_env: str = "OPENAI_API_KEY",
        in_flight: int = 16,
        timeout: float = 600.0,
        retries: int = 6,
        first_wait: float = 0.5,
    ) -> None:
        """Prepare to sample.

        Args:
            url: Where the server listens, with or without `/v1`.
            model: The model's name at the server; null takes the only one it lists.
            chat: Send the prompt as a user's message to `/v1/chat/completions`, where the server puts its own template
                around it, instead of as it is to `/v1/completions`.
            api_key_env: The environment variable that holds the key, if the server wants one.
            in_flight: Requests at a time, at most.
            timeout: Seconds of silence after which a request counts as failed, and seconds that an answer may take from
                its first byte to its last.
            retries: Further attempts of one request, on 429, 5xx, a broken connection, silence or a broken answer.
            first_wait: Seconds before the first retry; doubled for each further one, times a keyed 0.5 to 1.5.
        """
        self.url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self.model = model
        self.chat = chat
        self.in_flight = in_flight
        self.retries = retries
        self.timeout = timeout
        self.first_wait = first_wait
        secret = os.environ.get(api_key_env)
        self._client = httpx.Client(
            timeout=timeout,
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
            limits=httpx.Limits(max_connections=in_flight),
        )

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
        """Draw n completions of each prompt's text; see `spurious.policy.protocol.Sampler`.

        `on_group` is called in this thread as soon as a group is complete, so after an error the caller has all that is
        done and need only ask for the rest. `token_ids` and the confidences stay empty. `sampler_logprobs` are
        kept at temperature 1 and 0 only, since servers report those of the untempered distribution, and only of texts
        not shortened here. A stop reason `eos` may be a stop string that the server does not tell from it. With
        `include_stop` the stop strings are not sent, because servers drop them, but looked for here.

        Raises:
            ServerError: The server stayed unreachable or kept answering nonsense; the url and the last error are named.
            InputError: The server refuses the request (another 4xx), or the url is none.
        """
        if not prompts:
            return []
        stopping = threading.Event()
        model = self.model or self._only_model(stopping)
        found: list[list[Completion | None]] = [[None] * n for _ in prompts]
        groups: dict[int, Group] = {}
        failure: BaseException | None = None
        with ThreadPoolExecutor(self.in_flight) as pool:
            asked: dict[Future[Completion], tuple[int, int]] = {
                pool.submit(
                    self._ask, model, prompt, sampling, (*scope, prompt.problem.id, prompt.copy, i), stopping
                ): (p, i)
                for p, prompt in enumerate(prompts)
                for i in range(n)
            }
            try:
                for future in as_completed(asked):
                    p, i = asked[future]
                    try:
                        found[p][i] = future.result()
                    except (ServerError, InputError) as error:
                        failure = failure or error
                        stopping.set()
                        continue
                    complete = [completion for completion in found[p] if completion is not None]
                    if len(complete) == n:
                        groups[p] = Group(prompts[p], tuple(complete))
                        if on_group:
                            on_group(p, groups[p])
            finally:
                stopping.set()
        if failure is not None:
            raise failure
        return [groups[p] for p in range(len(prompts))]

    def _only_model(self, stopping: threading.Event) -> str:
        body = self._attempts("GET", "/models", None, key("models"), stopping, lambda body: body)
        listed = body.get("data") if isinstance(body, Mapping) else None
        names = (
            [str(m["id"]) for m in listed if isinstance(m, Mapping) and "id" in m] if isinstance(listed, list) else []
        )
        if len(names) != 1:
            raise InputError(f"{self.url}: name the model; the server lists {', '.join(names)[:SHOWN] or 'none'}")
        return names[0]

    def _ask(
        self, model: str, prompt: Prompt, sampling: SamplingSpec, scope: tuple[KeyPart, ...], stopping: threading.Event
    ) -> Completion:
        seed = key(*scope)
        payload: dict[str, Any] = {
            "model": model,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "n": 1,
            "seed": seed % 2**31,
        }
        if sampling.stop and not sampling.include_stop:
            payload["stop"] = list(sampling.stop)
        if self.chat:
            payload |= {"messages": [{"role": "user", "content": prompt.text}], "logprobs": True}
        else:
            payload |= {"prompt": prompt.text, "logprobs": 1}
        path = "/chat/completions" if self.chat else "/completions"
        completion: Completion = self._attempts(
            "POST", path, payload, seed, stopping, lambda body: _completion(body, sampling)
        )
        return completion

    def _attempts(
        self,
        method: str,
        path: str,
        payload: Mapping[str, Any] | None,
        seed: int,
        stopping: threading.Event,
        read: Callable[[Any], Any],
    ) -> Any:
        """One request until it is answered, with exponential waits whose jitter is keyed; none once all is stopping."""
        if stopping.is_set():
            raise ServerError(f"{self.url}{path}: not asked any more, another request has failed")
        jitter = uniforms(key("backoff", seed), self.retries + 1)
        for attempt in range(self.retries + 1):
            try:
                return read(self._once(method, path, payload))
            except _Unusable as error:
                problem = error
            wait = max(problem.wait, self.first_wait * 2**attempt * (0.5 + float(jitter[attempt])))
            if attempt < self.retries and stopping.wait(min(wait, LONGEST_WAIT)):
                break
        raise ServerError(f"{self.url}{path}: no usable answer in {attempt + 1} attempts; last: {problem}") from problem

    def _once(self, method: str, path: str, payload: Mapping[str, Any] | None) -> Any:
        """The JSON of one answer."""
        try:
            with self._client.stream(method, self.url + path, json=payload) as response:
                text = self._body(response)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise InputError(f"{self.url}: not a server's url: {error}") from error
        except httpx.RequestError as error:
            raise _Unusable(f"{type(error).__name__}: {error}") from error
        status = f"status {response.status_code}: {text[:SHOWN]}"
        if response.status_code >= 500 or response.status_code in _RETRIED:
            raise _Unusable(status, _seconds(response.headers.get("Retry-After")))
        if not response.is_success:
            raise InputError(f"{self.url}{path}: the server refuses the request, {status}")
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _Unusable(f"not JSON ({error}): {text[:SHOWN]}") from error

    def _body(self, response: httpx.Response) -> str:
        """An answer's text; what does not end, in bytes or in time, is given up."""
        end = monotonic() + self.timeout
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER:
                raise _Unusable(f"an answer of more than {LARGEST_ANSWER:,} bytes")
            if monotonic() > end:
                raise _Unusable(f"an answer that has not ended after {self.timeout:g} seconds")
        return b"".join(parts).decode("utf-8", "replace")


def _completion(body: Any, sampling: SamplingSpec) -> Completion:
    """The one completion of an answer, in either endpoint's shape."""
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        count = len(choices) if isinstance(choices, list) else "no list of"
        raise _Unusable(f"{count} choices where one was asked for")
    choice = choices[0]
    message = choice.get("message")
    raw = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    if not isinstance(raw, str):
        raise _Unusable("a choice without text")
    if len(raw) > MOST_CHARACTERS * sampling.max_tokens + SHOWN:
        raise _Unusable(f"a text of {len(raw):,} characters where {sampling.max_tokens:,} tokens were asked for")
    text = cut(raw, sampling.stop, include=sampling.include_stop)
    whole = not any(stop and stop in raw for stop in sampling.stop)
    return Completion(
        text=text,
        token_ids=(),
        sampler_logprobs=_logprobs(choice.get("logprobs"), sampling.max_tokens)
        if whole and sampling.temperature in (0, 1)
        else (),
        stop=_stop_reason(choice, sampling) if whole else "stop",
    )


def _stop_reason(choice: Mapping[str, Any], sampling: SamplingSpec) -> Stop:
    """Why it ended. vLLM names the stop string in `stop_reason`, SGLang in `matched_stop`; others do not tell."""
    reason = choice.get("finish_reason")
    if reason == "length":
        return "length"
    if reason not in ("stop", "eos", "eos_token", "stop_sequence"):
        raise _Unusable(f"finish_reason {reason!r}")
    named = (choice.get("stop_reason"), choice.get("matched_stop"))
    return "stop" if any(isinstance(name, str) and name in sampling.stop for name in named) else "eos"


def _logprobs(told: Any, most: int) -> tuple[float, ...]:
    """Log-probabilities in the shape of either endpoint; empty where the server tells none, not all, or over `most`."""
    if not isinstance(told, Mapping):
        return ()
    content = told.get("content")
    values = told.get("token_logprobs")
    if isinstance(content, list):
        values = [entry.get("logprob") if isinstance(entry, Mapping) else None for entry in content]
    if not isinstance(values, list) or len(values) > most or not all(map(_is_logprob, values)):
        return ()
    return tuple(float(value) for value in values)


def _is_logprob(value: Any) -> bool:
    """Whether a value is one: a NaN and an infinity are not, zero may be missed by a rounding."""
    return isinstance(value, float | int) and -1e6 < value < 0.01


def _seconds(header: str | None) -> float:
    """A Retry-After header in seconds; the other form, a date, is answered by our own waits."""
    return float(header) if header is not None and header.isdecimal() else 0.0
