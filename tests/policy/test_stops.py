from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.policy.model import Policy, decode, encode
from spurious.policy.stops import Stops, cut

ALPHABET = "ab 1\n.é🙂`\\"
texts = st.text(ALPHABET, max_size=40)
strings = st.lists(st.text(ALPHABET, min_size=1, max_size=5), min_size=1, max_size=3)


@settings(deadline=None, max_examples=200)
@given(text=texts, stop=strings)
def test_noticed_at_the_first_token_whose_text_holds_it(qwen: Policy, text: str, stop: list[str]) -> None:
    ids = encode(qwen, text)
    stops = Stops(partial(decode, qwen), stop)
    for n in range(1, len(ids) + 1):
        held = any(s in decode(qwen, ids[:n]) for s in stop)
        assert stops.reached(ids[:n]) == held
        if held:
            return


@pytest.mark.parametrize(
    ("include", "expected"),
    [(False, "x = 1"), (True, "x = 1\n\n")],
)
def test_the_first_stop_string_cuts_the_text(include: bool, expected: str) -> None:
    assert cut("x = 1\n\ny = 2", ["2", "\n\n"], include=include) == expected


def test_no_stop_string_never_stops(qwen: Policy) -> None:
    assert not Stops(partial(decode, qwen), []).reached(encode(qwen, "anything"))


def test_a_long_completion_is_not_decoded_again_and_again(qwen: Policy) -> None:
    decoded: list[int] = []

    def counting(ids: Sequence[int]) -> str:
        decoded.append(len(ids))
        return decode(qwen, ids)

    stops = Stops(counting, ["</answer>"])
    ids = encode(qwen, "a sentence without its end " * 30)
    for n in range(1, len(ids) + 1):
        stops.reached(ids[:n])
    assert max(decoded, default=0) <= 2
    assert len(decoded) <= len(set(ids))
