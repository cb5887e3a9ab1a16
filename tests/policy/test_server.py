import time
from typing import Any

import pytest
from fake_server import (
    FAILURES,
    PROMPTS,
    SAMPLING,
    Answer,
    Fake,
    Handler,
    answers,
    client,
    expected,
    fine,
    hangs,
    texts,
    truncates,
)

from spurious.errors import InputError, ServerError
from spurious.policy import server
from spurious.policy.server import ServerSampler
from spurious.specs import SamplingSpec
from spurious.types import Group


def test_one_request_a_sample_each_with_its_keyed_seed(fake: Fake) -> None:
    groups = client(fake).sample(PROMPTS, 3, SAMPLING, ("scope",))
    assert texts(groups) == expected(3)
    assert [group.prompt for group in groups] == PROMPTS
    assert len(fake.requests) == 12
    assert {r["n"] for r in fake.requests} == {1}
    assert {r["path"] for r in fake.requests} == {"/v1/completions"}


def test_absent_logprobs_are_absent(fake: Fake) -> None:
    (group,) = client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("scope",), confidence=True)
    (completion,) = group.completions
    assert completion.sampler_logprobs == completion.token_ids == completion.entropies == ()
    assert completion.stop == "eos"


@pytest.mark.parametrize(
    "told",
    [{"token_logprobs": [-0.5, -1]}, {"content": [{"logprob": -0.5}, {"logprob": -1.0}]}],
    ids=["completions", "chat shape"],
)
def test_logprobs_are_kept_where_they_mean_what_we_mean(fake: Fake, told: dict[str, Any]) -> None:
    fake.answer = answers(text="x", logprobs=told)
    kept = {}
    for temperature in (0.0, 0.6, 1.0):
        sampling = SamplingSpec(max_tokens=8, temperature=temperature)
        kept[temperature] = client(fake).sample(PROMPTS[:1], 1, sampling, ("s",))[0].completions[0].sampler_logprobs
    assert kept == {0.0: (-0.5, -1.0), 0.6: (), 1.0: (-0.5, -1.0)}


@pytest.mark.parametrize("told", [{"token_logprobs": [None, -1.0]}, {"token_logprobs": "no"}, [], "no"])
def test_half_told_logprobs_are_absent(fake: Fake, told: Any) -> None:
    fake.answer = answers(text="x", logprobs=told)
    assert client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("s",))[0].completions[0].sampler_logprobs == ()


def test_sampling_is_passed_on(fake: Fake) -> None:
    sampling = SamplingSpec(max_tokens=7, temperature=0.6, top_p=0.9, stop=("\n\n",))
    client(fake, model="other").sample(PROMPTS[:1], 1, sampling, ("s",))
    sent = {name: fake.requests[0][name] for name in ("model", "max_tokens", "temperature", "top_p", "stop", "prompt")}
    assert sent == {
        "model": "other",
        "max_tokens": 7,
        "temperature": 0.6,
        "top_p": 0.9,
        "stop": ["\n\n"],
        "prompt": "prompt 0",
    }


def test_chat_sends_a_users_message(fake: Fake) -> None:
    fake.answer = answers(message={"role": "assistant", "content": "hello"}, finish_reason="length")
    (group,) = client(fake, chat=True).sample(PROMPTS[:1], 1, SAMPLING, ("s",))
    assert group.texts == ("hello",)
    assert group.completions[0].stop == "length"
    assert fake.requests[0]["path"] == "/v1/chat/completions"
    assert fake.requests[0]["messages"] == [{"role": "user", "content": "prompt 0"}]


@pytest.mark.parametrize(
    ("include", "text", "sent"), [(False, "yes", ["</a>"]), (True, "yes</a>", None)], ids=["dropped", "included"]
)
def test_a_stop_string_the_server_ignored_is_cut_here(
    fake: Fake, include: bool, text: str, sent: list[str] | None
) -> None:
    fake.answer = answers(text="yes</a> and more", logprobs={"token_logprobs": [-1.0] * 4}, finish_reason="length")
    sampling = SamplingSpec(max_tokens=8, stop=("</a>",), include_stop=include)
    (completion,) = client(fake).sample(PROMPTS[:1], 1, sampling, ("s",))[0].completions
    assert (completion.text, completion.stop, completion.sampler_logprobs) == (text, "stop", ())
    assert fake.requests[0].get("stop") == sent


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
def test_a_named_stop_string_is_told_from_the_end(fake: Fake, field: str) -> None:
    fake.answer = answers(text="yes", **{field: "</a>"})
    sampling = SamplingSpec(max_tokens=8, stop=("</a>",))
    assert client(fake).sample(PROMPTS[:1], 1, sampling, ("s",))[0].completions[0].stop == "stop"


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_passing_failure_costs_only_time(fake: Fake, failure: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST_WAIT", 0.01)
    fake.fails_first(2, failure)
    assert texts(client(fake).sample(PROMPTS, 2, SAMPLING, ("scope",))) == expected(2)
    assert len(fake.requests) == 24


def test_silence_is_a_failure_too(fake: Fake) -> None:
    fake.fails_first(1, hangs)
    assert texts(client(fake, timeout=0.1).sample(PROMPTS[:1], 2, SAMPLING, ("scope",))) == expected(2)[:1]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (FAILURES["500"], "status 500: oops"),
        (truncates, "not JSON"),
        (FAILURES["two choices"], "2 choices where one was asked for"),
        (FAILURES["no finish reason"], "finish_reason None"),
    ],
)
def test_a_lasting_failure_names_the_url_and_the_last_error(fake: Fake, failure: Answer, said: str) -> None:
    fake.answer = failure
    with pytest.raises(ServerError, match=rf"http://127\.0\.0\.1:\d+/v1/completions: .* in 4 attempts; last: .*{said}"):
        client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("s",))
    assert len(fake.requests) == 4


def test_what_was_done_before_the_failure_is_kept_and_the_rest_can_be_asked_again(fake: Fake) -> None:
    def dies_at_the_last_prompt(handler: Handler, payload: dict[str, Any]) -> None:
        (FAILURES["500"] if payload["prompt"] == "prompt 3" else fine)(handler, payload)

    fake.answer = dies_at_the_last_prompt
    done: dict[int, Group] = {}
    sampler = client(fake, in_flight=2)
    with pytest.raises(ServerError):
        sampler.sample(PROMPTS, 2, SAMPLING, ("scope",), on_group=done.__setitem__)
    assert sorted(done) == [0, 1, 2]
    fake.answer = fine
    rest = sampler.sample(PROMPTS[3:], 2, SAMPLING, ("scope",))
    assert texts([done[0], done[1], done[2], *rest]) == expected(2)


def test_a_failure_stops_the_queue(fake: Fake) -> None:
    fake.answer = FAILURES["500"]
    with pytest.raises(ServerError, match="in 4 attempts"):
        client(fake, in_flight=2).sample(PROMPTS, 50, SAMPLING, ("s",))
    assert len(fake.requests) < 30


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refused_request_is_the_users_fault_and_not_repeated(fake: Fake, status: int) -> None:
    fake.answer = lambda handler, payload: handler.reply({"error": "no such model"}, status)
    with pytest.raises(InputError, match=rf"status {status}: .*no such model"):
        client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("s",))
    assert len(fake.requests) == 1


def test_nobody_listens(fake: Fake) -> None:
    unused = Fake()
    unused.server_close()
    with pytest.raises(ServerError, match="ConnectError"):
        client(unused).sample(PROMPTS[:1], 1, SAMPLING, ("s",))


def test_not_a_url() -> None:
    with pytest.raises(InputError, match="nonsense/v1: not a server's url"):
        ServerSampler("nonsense", "m").sample(PROMPTS[:1], 1, SAMPLING, ("s",))


def test_requests_in_flight_are_bounded(fake: Fake) -> None:
    def slow(handler: Handler, payload: dict[str, Any]) -> None:
        time.sleep(0.02)
        fine(handler, payload)

    fake.answer = slow
    client(fake, in_flight=3).sample(PROMPTS, 6, SAMPLING, ("s",))
    assert 2 <= fake.busiest <= 3


def test_the_only_model_is_found(fake: Fake) -> None:
    client(fake, model=None).sample(PROMPTS[:1], 1, SAMPLING, ("s",))
    assert fake.requests[0]["model"] == "tiny"


@pytest.mark.parametrize("models", [[], ["a", "b"]])
def test_several_models_or_none_must_be_named(fake: Fake, models: list[str]) -> None:
    fake.models = models
    with pytest.raises(InputError, match="name the model; the server lists"):
        client(fake, model=None).sample(PROMPTS[:1], 1, SAMPLING, ("s",))


def test_the_key_comes_from_the_environment(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("s",))
    monkeypatch.setenv("MY_KEY", "secret")
    client(fake, api_key_env="MY_KEY").sample(PROMPTS[:1], 1, SAMPLING, ("s",))
    assert [r["auth"] for r in fake.requests] == [None, "Bearer secret"]


def test_no_prompts_no_requests(fake: Fake) -> None:
    assert client(fake, model=None).sample([], 2, SAMPLING, ("s",)) == []
