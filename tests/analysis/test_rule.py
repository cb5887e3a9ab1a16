import dataclasses
import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis import Differences, Evidence, Outcomes, compare, decide, margin_from, sign_of
from spurious.analysis.rule import holm_levels
from spurious.analysis.spending import nominal_levels
from spurious.analysis.statistics import holm
from spurious.errors import InputError

ALTERNATE = (1, -1, 1, -1, 0, 0, 1, -1, 1, -1)


def model(mean, spread=0.02, margin=0.06, n=10, problems=4):
    """Differences of n seeds around `mean`, in a pattern that leaves the mean exact for even n."""
    by_seed = mean + spread * np.array((ALTERNATE * 5)[:n], dtype=float)
    values = by_seed[:, None] + np.linspace(-0.1, 0.1, problems)
    return Evidence(Differences(tuple(range(n)), tuple(f"p{i}" for i in range(problems)), values), margin)


def signs(verdict):
    return [item.sign for item in verdict.models]


UP, DOWN, NONE, VAGUE = model(0.2), model(-0.2), model(0.0), model(0.0, spread=0.5)


@pytest.mark.parametrize(
    ("evidence", "word", "expected"),
    [
        ((UP, UP, UP), "earned", ["+", "+", "+"]),
        ((UP,), "earned", ["+"]),
        ((UP, model(0.4)), "earned", ["+", "+"]),  # of different size, and still earned
        ((UP, DOWN, NONE), "elicited", ["+", "-", "equivalent"]),
        ((UP, NONE), "elicited", ["+", "equivalent"]),
        ((UP, VAGUE), "underpowered", ["+", "undecided"]),  # significant here, not there: no difference shown
        ((DOWN, NONE), "worse", ["-", "equivalent"]),
        ((DOWN, VAGUE), "worse", ["-", "undecided"]),
        ((NONE, NONE, NONE), "indistinguishable", ["equivalent"] * 3),
        ((NONE, VAGUE), "underpowered", ["equivalent", "undecided"]),
        ((NONE, model(0.0, margin=None)), "underpowered", ["equivalent", "undecided"]),
        ((model(0.02, 0.01), VAGUE), "underpowered", ["+", "undecided"]),
    ],
)
def test_the_published_rule(evidence, word, expected):
    verdict = decide(dict(zip("abc", evidence, strict=False)))
    assert verdict.word == word
    assert signs(verdict) == expected


def test_a_small_effect_on_one_model_is_still_indistinguishable_when_all_intervals_are_within_the_margin():
    verdict = decide({"a": model(0.02, 0.01), "b": model(0.015, 0.03)})
    assert signs(verdict) == ["+", "equivalent"]
    assert not verdict.interactions[0].significant
    assert verdict.word == "indistinguishable"


def test_elicited_takes_a_pair_of_a_helped_and_a_failed_model():
    helped, open_, hurt = model(0.3, 0.02), model(0.1, 0.2), model(-0.3, 0.05)
    verdict = decide({"open": open_, "hurt": hurt})
    assert signs(verdict) == ["undecided", "-"]
    assert verdict.interactions[0].significant  # and still nobody was helped
    assert verdict.word == "worse"
    assert decide({"open": open_, "helped": helped, "hurt": hurt}).word == "elicited"


def test_a_smaller_gain_elsewhere_is_not_elicitation():
    # The interaction is significant, yet on b a gain of .1 is as likely as not: seeds are missing, not merit.
    verdict = decide({"a": model(0.4, 0.02), "b": model(0.1, 0.2)})
    assert signs(verdict) == ["+", "undecided"]
    assert verdict.interactions[0].significant
    assert not verdict.models[1].gain_excluded
    assert verdict.word == "underpowered"


def test_a_gain_is_excluded_below_the_margin_and_without_one_below_zero():
    slightly_harmful = model(-0.02, 0.03)
    low, high = decide({"a": slightly_harmful}).models[0].equivalence_interval
    assert low < -0.03 < high < 0
    wide = model(-0.1, 0.2)
    assert 0 < decide({"a": wide}).models[0].equivalence_interval[1] < 0.06
    assert decide({"a": wide}).models[0].gain_excluded
    assert not decide({"a": dataclasses.replace(wide, margin=None)}).models[0].gain_excluded
    assert decide({"a": dataclasses.replace(slightly_harmful, margin=None)}).models[0].gain_excluded


def test_an_early_look_says_worse_only_when_no_gain_can_come():
    hurt, open_ = model(-0.5, 0.01, n=4), model(0.1, 0.2, n=4)
    assert decide({"hurt": hurt, "open": open_}).word == "worse"
    early = decide({"hurt": hurt, "open": open_}, looks=(4, 10))
    assert (signs(early), early.word, early.next_look) == (["-", "undecided"], "underpowered", 10)
    assert decide({"hurt": hurt}, looks=(4, 10)).word == "worse"


def test_holm_is_over_models_and_interactions_are_a_family_of_their_own():
    # p = .03 alone is significant; beside two models without effect it is not.
    weak = model(0.0, spread=0.1)
    lone = Evidence(dataclasses.replace(weak.differences, values=weak.differences.values + 0.075), None)
    assert 0.017 < decide({"a": lone}).models[0].p < 0.05
    assert signs(decide({"a": lone})) == ["+"]
    assert signs(decide({"a": lone, "b": VAGUE, "c": VAGUE})) == ["undecided"] * 3


@given(st.lists(st.integers(0, 100).map(lambda i: i / 1000), min_size=1, max_size=6))
def test_for_one_look_the_levels_are_holms(ps):
    levels = holm_levels(ps, lambda error: error, 0.05)
    significant = [p <= level for p, level in zip(ps, levels, strict=True)]
    assert significant == [adjusted <= 0.05 + 1e-12 for adjusted in holm(ps)]


def closed_test(ps, level, alpha):
    """Closed testing with Bonferroni in every intersection, spelled out over all subsets."""
    subsets = [subset for subset in product((False, True), repeat=len(ps)) if any(subset)]

    def rejected(subset):
        chosen = [p for p, member in zip(ps, subset, strict=True) if member]
        return min(chosen) <= level(alpha / len(chosen))

    return [all(rejected(subset) for subset in subsets if subset[i]) for i in range(len(ps))]


@given(
    st.lists(st.integers(0, 60).map(lambda i: i / 1000), min_size=1, max_size=4),
    st.sampled_from([0, 1, 2]),
)
def test_for_several_looks_the_levels_are_the_closed_test(ps, look):
    def level(error):
        return nominal_levels((4, 7, 10), error)[look]

    levels = holm_levels(ps, level, 0.05)
    assert [p <= asked for p, asked in zip(ps, levels, strict=True)] == closed_test(ps, level, 0.05)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_seeds_decide_nothing(n):
    verdict = decide({"a": model(0.9, 0.0, n=n), "b": model(0.9, 0.0, n=n)})
    assert verdict.word == "underpowered"
    assert signs(verdict) == ["undecided", "undecided"]
    assert any("three are the least" in sentence for sentence in verdict.sentences)


def test_one_seed_is_about_this_run_only():
    verdict = decide({"a": model(0.2, n=1)})
    assert verdict.models[0].basis == "problems"
    assert any("this run only" in sentence for sentence in verdict.sentences)


def test_one_model_with_few_seeds_leaves_the_audit_undecided():
    assert decide({"a": UP, "b": model(-0.9, 0.1, n=2)}).word == "underpowered"


def test_arms_that_never_differ_are_indistinguishable():
    still = Evidence(Differences((0, 1, 2), ("p", "q"), np.zeros((3, 2))), 0.05)
    verdict = decide({"a": still})
    assert verdict.word == "indistinguishable"
    assert verdict.models[0].interval == (0.0, 0.0)
    assert verdict.models[0].detectable == 0.0


def test_seeds_without_spread_are_judged_over_problems():
    moved = np.tile([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0], (5, 1))
    verdict = decide({"a": Evidence(Differences(tuple(range(5)), tuple("abcdefgh"), moved), 0.05)})
    assert verdict.models[0].basis == "problems"
    assert verdict.word == "earned"
    assert any("over problems" in sentence for sentence in verdict.sentences)


def test_without_a_gain_of_ground_truth_nothing_is_indistinguishable():
    verdict = decide({"a": model(0.0, margin=None)})
    assert verdict.word == "underpowered"
    assert any("ground truth did not gain" in sentence for sentence in verdict.sentences)


def test_margin_is_a_quarter_of_the_gain():
    gain = Differences((0, 1, 2), ("p", "q"), np.array([[0.4, 0.4], [0.5, 0.3], [0.45, 0.45]]))
    assert margin_from(gain) == pytest.approx(0.25 * (0.4 + 0.4 + 0.45) / 3)


@pytest.mark.parametrize("values", [[[0.4, 0.4], [-0.4, -0.4]], [[0.0, 0.0], [0.0, 0.0]], [[-0.3, -0.2], [-0.2, -0.2]]])
def test_there_is_no_margin_where_ground_truth_does_not_gain(values):
    assert margin_from(Differences((0, 1), ("p", "q"), np.array(values))) is None


def test_there_is_no_margin_from_a_single_number():
    assert margin_from(Differences((0,), ("p",), np.array([[0.5]]))) is None


def test_interval_and_margin_are_the_numbers_of_the_rule():
    item = decide({"a": model(0.01, 0.05)}).models[0]
    half = 1.8331129326536335 * 0.05 * np.sqrt(8 / 9) / np.sqrt(10)  # t with 9 df at .95; eight of ten seeds off by .05
    assert item.equivalence_interval == pytest.approx((0.01 - half, 0.01 + half))
    assert item.by_seed[1] == (1, pytest.approx(-0.04))


def test_a_look_widens_intervals_and_asks_for_more_seeds():
    once, sooner = decide({"a": model(0.0, 0.5, n=4)}), decide({"a": model(0.0, 0.5, n=4)}, looks=(4, 7, 10))
    assert (once.confidence, once.equivalence_confidence, once.next_look) == (0.95, 0.9, None)
    assert sooner.confidence > 0.95
    assert sooner.equivalence_confidence > 0.9
    assert sooner.next_look == 7
    assert decide({"a": model(0.0, 0.5, n=10)}, looks=(4, 7, 10)).next_look is None


def test_a_decided_audit_stops():
    verdict = decide({"a": model(0.2, n=4)}, looks=(4, 7, 10))
    assert (verdict.word, verdict.next_look) == ("earned", None)


@pytest.mark.parametrize(
    ("evidence", "looks", "message"),
    [
        ({}, (), "at least one"),
        ({"a": model(0.2, n=5)}, (4, 10), "'a' has 5 seeds, the planned looks are at 4, 10"),
        ({"a": model(0.2, n=4), "b": model(0.2, n=10)}, (4, 10), "differ in their number of seeds"),
        ({"a": Evidence(Differences((0,), ("p",), np.ones((1, 1))), None)}, (), "'a': one seed on one problem"),
    ],
)
def test_input_that_cannot_be_judged_is_refused(evidence, looks, message):
    with pytest.raises(InputError, match=message):
        decide(evidence, looks=looks)


@pytest.mark.parametrize("evidence", [(UP, UP), (UP, DOWN), (DOWN, NONE), (NONE, NONE), (UP, VAGUE), (UP,)])
def test_sentences_say_the_word_every_model_and_no_more_than_it(evidence):
    named = dict(zip(("good-code", "bad-code"), evidence, strict=False))
    verdict = decide(named)
    assert verdict.sentences[0].lower().startswith(verdict.word)
    for name in named:
        assert sum(sentence.startswith(f"{name}: ") for sentence in verdict.sentences) == 1
    assert all(sentence.endswith(".") for sentence in verdict.sentences)


def test_a_lone_model_is_told_what_it_cannot_show():
    assert any("opposite prior" in sentence for sentence in decide({"a": UP}).sentences)
    assert not any("opposite prior" in sentence for sentence in decide({"a": UP, "b": UP}).sentences)


def test_a_verdict_is_plain_json():
    read = json.loads(json.dumps(dataclasses.asdict(decide({"a": UP, "b": DOWN}))))
    assert read["word"] == "elicited"
    assert read["models"][0]["by_seed"][0] == [0, pytest.approx(0.22)]


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), min_size=1, max_size=3),
    st.sampled_from([3, 4, 10]),
)
def test_turning_the_arms_around_turns_the_signs_around(shapes, n):
    evidence = {f"m{i}": model(mean / 30, spread / 30, n=n) for i, (mean, spread) in enumerate(shapes)}
    turned = {
        name: Evidence(dataclasses.replace(item.differences, values=-item.differences.values), item.margin)
        for name, item in evidence.items()
    }
    swap = {"+": "-", "-": "+"}
    assert [swap.get(sign, sign) for sign in signs(decide(turned))] == signs(decide(evidence))


@pytest.mark.parametrize(
    ("values", "margin", "adjusted", "sign"),
    [
        ([0.10, 0.12, 0.11], 0.03, 0.05, "+"),
        ([-0.10, -0.12, -0.11], 0.03, 0.05, "-"),
        ([0.10, 0.12, 0.11], 0.03, 0.051, "undecided"),  # significant alone, not among what was declared with it
        ([0.010, 0.012, 0.011], 0.03, 0.2, "equivalent"),
        ([0.010, 0.012, 0.011], 0.03, 0.01, "+"),  # an effect that is shown is not called none for being small
        ([0.010, 0.012, 0.011], None, 0.2, "undecided"),
        ([0.10, 0.12], 0.03, 0.001, "undecided"),
        ([0.010, 0.0101], 0.03, 1.0, "undecided"),
    ],
)
def test_the_sign_of_a_comparison(values, margin, adjusted, sign):
    problems = tuple(f"p{i}" for i in range(4))
    treatment = Outcomes(tuple(range(len(values))), problems, np.repeat(np.array(values)[:, None], 4, axis=1), 1, None)
    placebo = replace(treatment, means=np.zeros_like(treatment.means))
    assert sign_of(compare(treatment, placebo, seed=0, margin=margin), adjusted) == sign
