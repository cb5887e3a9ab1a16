"""A server that lies: endless, huge, impossible or disordered answers."""

import math
import time
from typing import Any

import pytest
from fake_server import (
    PROMPTS,
    SAMPLING,
    Answer,
    Fake,
    Handler,
    answers,
    client,
    drips,
    expected,
    fine,
    floods,
    texts,
    unpacks_to_a_flood,
)

from spurious.errors import InputError, ServerError
from spurious.policy import server


@pytest.mark.parametrize(
    ("failure", "said"), [(floods, "more than 2,000 bytes"), (unpacks_to_a_flood, "more than 2,000 bytes")]
)
def test_a_body_that_does_not_end_is_given_up(
    fake: Fake, failure: Answer, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LARGEST_ANSWER", 2_000)
    fake.fails_first(1, failure)
    assert texts(client(fake).sample(PROMPTS[:1], 2, SAMPLING, ("scope",))) == expected(2)[:1]
    fake.answer = failure
    with pytest.raises(ServerError, match=said):
        client(fake, retries=0).sample(PROMPTS[:1], 1, SAMPLING, ("scope",))


def test_an_answer_that_drips_for_ever_is_given_up(fake: Fake) -> None:
    fake.answer = drips
    with pytest.raises(ServerError, match=r"has not ended after 0\.2 seconds"):
        client(fake, retries=0, timeout=0.2).sample(PROMPTS[:1], 1, SAMPLING, ("scope",))


@pytest.mark.parametrize("told", [[math.nan], [-math.inf], [10**400], [-1.0] * 9, [3.5], [True, "x"]])
def test_log_probabilities_that_cannot_be_are_absent(fake: Fake, told: list[Any]) -> None:
    fake.answer = answers(text="x", logprobs={"token_logprobs": told})
    assert client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("s",))[0].completions[0].sampler_logprobs == ()


def test_answers_in_another_order_keep_their_places(fake: Fake) -> None:
    def later_first(handler: Handler, payload: dict[str, Any]) -> None:
        time.sleep(0.05 * (payload["prompt"] == "prompt 0"))
        fine(handler, payload)

    fake.answer = later_first
    assert texts(client(fake).sample(PROMPTS, 2, SAMPLING, ("scope",))) == expected(2)


def test_a_redirect_is_not_followed(fake: Fake) -> None:
    fake.answer = lambda handler, payload: handler.reply(b"", 307, {"Location": "http://127.0.0.1:9/v1/completions"})
    with pytest.raises(InputError, match="status 307"):
        client(fake).sample(PROMPTS[:1], 1, SAMPLING, ("s",))
