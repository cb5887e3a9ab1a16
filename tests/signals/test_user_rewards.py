import random
import sys
import textwrap
import types
import warnings

import numpy as np
import pytest

from spurious.errors import RewardError, SpecError
from spurious.keys import Draw
from spurious.signals import NotReproducibleWarning, build_reward, pay
from spurious.specs import RewardSpec

CONTRACT = """
def length(completions, *, label, problem, draw, **kwargs):
    return [float(len(text)) for text in completions]
"""


@pytest.fixture
def load(tmp_path):
    def build(source, function="reward", args=None, **form):
        (tmp_path / "mine.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return build_reward(RewardSpec(name=f"mine.py:{function}", args=args or {}, **form), base=tmp_path)

    return build


def test_a_users_function_is_paid_from(load, group, draw):
    built = load(CONTRACT, "length")
    assert pay(built, group(["", "ab"]), "4", draw) == (0.0, 2.0)
    assert built.name == "length"
    assert built.source == CONTRACT
    assert built.needs == frozenset()


def test_a_path_without_a_base_starts_at_the_working_directory(tmp_path, monkeypatch, group, draw):
    (tmp_path / "mine.py").write_text(CONTRACT)
    monkeypatch.chdir(tmp_path)
    assert pay(build_reward(RewardSpec(name="mine.py:length")), group(["abc"]), "4", draw) == (3.0,)
    assert pay(build_reward(RewardSpec(name=f"{tmp_path}/mine.py:length")), group(["abc"]), "4", draw) == (3.0,)


@pytest.mark.parametrize(
    ("signature", "seen"),
    [
        ("texts", "[]"),
        ("completions, label", "['label']"),
        ("completions, *, problem, draw=None", "['draw', 'problem']"),
        ("completions, entropies, extraction", "['entropies', 'extraction']"),
        ("completions, /, *, self_certainties=()", "['self_certainties']"),
        ("*args, label", "['args', 'label']"),
    ],
)
def test_a_function_gets_only_what_its_signature_takes(signature, seen, load, group, draw):
    source = f"""
    def reward({signature}):
        given = sorted(name for name in locals() if name not in ("completions", "texts"))
        assert str(given) == {seen!r}, given
        return [1.0, 1.0]
    """
    assert pay(load(source), group(["a", "b"]), "4", draw) == (1.0, 1.0)


def test_everything_is_offered_to_a_function_that_takes_anything(load, group, draw):
    source = """
    NAMES = ["draw", "entropies", "extraction", "label", "problem", "sampler_logprobs", "self_certainties"]

    def reward(completions, **kwargs):
        assert sorted(kwargs) == NAMES
        assert kwargs["extraction"] == "lenient"
        assert kwargs["sampler_logprobs"] == ((-0.5, -1.5),)
        assert kwargs["entropies"] == ((0.0, 1.0),)
        return [1]
    """
    assert pay(load(source), group(["a"]), "4", draw, "lenient") == (1.0,)


def test_what_a_signature_names_is_recorded_by_the_sampler(load):
    assert load("def reward(completions, entropies, **kwargs): return []").needs == {"entropies"}
    assert load("def reward(completions, sampler_logprobs): return []").needs == {"sampler_logprobs"}


def test_parameters_come_from_the_specification(load, group, draw):
    source = "def reward(completions, *, low, high=3): return [float(low + high)] * len(completions)"
    built = load(source, args={"low": 1})
    assert pay(built, group(["a"]), "4", draw) == (4.0,)
    assert built.name == "reward-1"
    with pytest.raises(SpecError, match=r"mine\.py:1: reward takes no argument 'lwo' from args; it takes high, low"):
        load(source, args={"lwo": 1})
    with pytest.raises(SpecError, match="takes no argument 'label' from args"):
        load("def reward(completions, label): return []", args={"label": "5"})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def reward(completions, tokenizer): return []",
            r"mine\.py:1: reward requires 'tokenizer'; there are only label",
        ),
        ("def reward(completions, label, /): return []", r"requires 'label'"),
        ("def reward(): return []", "completions as its first argument"),
        ("def reward(label, completions): return []", "completions as its first argument"),
        ("def reward(*, completions): return []", "completions as its first argument"),
        ("async def reward(completions): return []", "not a plain function"),
        ("class reward: pass", "not a plain function"),
        ("reward = 3", "not a plain function"),
        ("def other(completions): return []", r"mine\.py: no function 'reward'; it defines other"),
        ("x = 1\n\ndef reward(completions:\n    return []", r"mine\.py:3: syntax error"),
        (
            "import math\nimport no_such_module_anywhere\n",
            r"mine\.py:2: ModuleNotFoundError: .*no_such_module_anywhere",
        ),
        ("\n\nboom = 1 / 0\n", r"mine\.py:3: ZeroDivisionError"),
        ("import sys\nsys.exit(0)\n", r"mine\.py:2: SystemExit"),
        ("x = '\0'", r"mine\.py"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(source, message, load):
    with pytest.raises(RewardError, match=message) as caught:
        load(source)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(RewardError, match=r"gone\.py: the reward's file cannot be read: No such file"):
        build_reward(RewardSpec(name="gone.py:reward"), base=tmp_path)
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(RewardError, match=r"binary\.py: not a Python file"):
        build_reward(RewardSpec(name="binary.py:reward"), base=tmp_path)


@pytest.mark.parametrize("name", ["mine.py", "mine.py:", "mine.py:two words"])
def test_a_reference_without_a_function_is_refused(name):
    with pytest.raises(RewardError, match=r"path/to/file\.py:function"):
        build_reward(RewardSpec(name=name))


def test_a_users_reward_combines_nothing(load):
    with pytest.raises(SpecError, match=r"reward\.of: .* combines no others"):
        load(CONTRACT, "length", of=("format",))


def test_a_users_reward_can_be_combined(tmp_path, group, draw):
    (tmp_path / "mine.py").write_text("def short(completions): return [len(text) < 3 for text in completions]")
    spec = RewardSpec.model_validate({"all_of": [{"not_": "mine.py:short"}, "no_python"]})
    built = build_reward(spec, base=tmp_path)
    assert pay(built, group(["a", "abc", "python"]), "4", draw) == (0.0, 1.0, 0.0)
    assert "def short" in built.source
    assert built.name == "all_of-not_-short-no_python"


def test_the_digest_follows_source_function_and_parameters_but_not_the_path(tmp_path):
    source = "def a(completions, k=1): return []\ndef b(completions): return []\n"
    for name, text in [("one.py", source), ("two.py", source), ("three.py", source + "# changed\n")]:
        (tmp_path / name).write_text(text)

    def digest(name, **args):
        return build_reward(RewardSpec(name=name, args=args), base=tmp_path).digest

    assert digest("one.py:a") == digest("two.py:a")
    assert len({digest("one.py:a"), digest("one.py:b"), digest("three.py:a"), digest("one.py:a", k=2)}) == 4


def test_two_files_of_one_name_do_not_mix(tmp_path, group, draw):
    built = []
    for folder, value in [("a", 1), ("b", 2)]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"V = {value}\ndef reward(completions): return [V]")
        built.append(build_reward(RewardSpec(name="mine.py:reward"), base=tmp_path / folder))
    assert [pay(one, group(["x"]), "4", draw) for one in built] == [(1.0,), (2.0,)]


def test_a_changed_file_is_read_anew(load, group, draw):
    assert pay(load("def reward(completions): return [1]"), group(["x"]), "4", draw) == (1.0,)
    assert pay(load("def reward(completions): return [2]"), group(["x"]), "4", draw) == (2.0,)


def test_a_dataclass_in_the_file_works(load, group, draw):
    source = """
    from __future__ import annotations
    from dataclasses import dataclass

    @dataclass
    class Price:
        value: float

    def reward(completions):
        return [Price(0.5).value for _ in completions]
    """
    assert pay(load(source), group(["a"]), "4", draw) == (0.5,)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("[1.0]", r"reward 'reward' on problem 'p1' returned 1 values for 2 completions"),
        ("[1, 2, 3]", "returned 3 values for 2"),
        ("None", "returned None, not a list of 2 numbers"),
        ("1.0", "returned 1.0, not a list"),
        ("'ab'", "returned 'ab', not a list"),
        ("{0: 1, 1: 1}", "returned something of type dict"),
        ("(x for x in [1, 2])", "returned something of type generator"),
        ("[1.0, float('nan')]", r"problem 'p1': value 1 is nan, not a finite"),
        ("[-float('inf'), 1]", r"value 0 is -inf, not a finite"),
        ("[1, None]", "value 1 is None, not a number"),
        ("[1, '1']", "value 1 is '1', not a number"),
        ("[1, 1j]", "value 1 is something of type complex, not a number"),
        ("[1, [1]]", "value 1 is something of type list, not a number"),
        ("[1, 10**400]", "value 1 is too large"),
    ],
)
def test_what_is_not_one_finite_number_per_completion_is_refused(returned, message, load, group, draw):
    with pytest.raises(RewardError, match=message):
        pay(load(f"def reward(completions): return {returned}"), group(["a", "b"]), "4", draw)


@pytest.mark.parametrize(
    "returned",
    ["[True, False]", "(1, 0)", "np.array([1.0, 0.0])", "[np.float32(1), np.bool_(False)]", "[np.int64(1), 0.0]"],
)
def test_numbers_of_every_kind_become_floats(returned, load, group, draw):
    paid = pay(load(f"import numpy as np\ndef reward(completions): return {returned}"), group(["a", "b"]), "4", draw)
    assert paid == (1.0, 0.0)
    assert all(type(value) is float for value in paid)


def test_a_function_that_fails_is_named_with_its_line_and_problem(load, group, draw):
    source = "def reward(completions):\n    return helper(completions)\n\ndef helper(texts):\n    return texts[99]\n"
    message = r"reward 'reward' on problem 'p1' failed at .*mine\.py:5: IndexError: tuple index out of range"
    with pytest.raises(RewardError, match=message):
        pay(load(source), group(["a"]), "4", draw)


AMBIENT = {
    "random": ("import random", "[random.random() for _ in completions]"),
    "a coin that never falls": ("import random", "[random.random() < 0 for _ in completions]"),
    "numpy": ("import numpy as np", "np.random.rand(len(completions))"),
    "a fresh generator": ("import numpy as np", "np.random.default_rng().random(len(completions))"),
    "the operating system": ("import secrets", "[secrets.randbelow(10**9) for _ in completions]"),
    "the clock": ("import time", "[time.perf_counter_ns() for _ in completions]"),
    "memory": ("from itertools import count\nCALLS = count()", "[next(CALLS) for _ in completions]"),
    "memory that runs out": ("CALLS = [1]", "[CALLS.pop() for _ in completions]"),
}


@pytest.mark.parametrize("kind", AMBIENT)
def test_ambient_randomness_is_warned_of_once(kind, load, group, draw):
    head, returned = AMBIENT[kind]
    built = load(f"{head}\ndef reward(completions): return {returned}")
    with pytest.warns(NotReproducibleWarning, match=r"reward 'reward' is not reproducible") as caught:
        assert len(pay(built, group(["a"]), "4", draw)) == 1
    assert len(caught) == 1
    if kind != "memory that runs out":
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pay(built, group(["b"]), "4", draw)


def test_ambient_randomness_is_noticed_whenever_it_begins(load, group, draw):
    source = """
    import random

    def reward(completions):
        return [random.random() if text == "now" else 0.0 for text in completions]
    """
    built = load(source)
    pay(built, group(["not yet"]), "4", draw)
    with pytest.warns(NotReproducibleWarning, match=r"draws from the global generator of random;"):
        pay(built, group(["now"]), "4", draw)


def test_ambient_randomness_inside_a_combination_is_noticed(tmp_path, group, draw):
    (tmp_path / "mine.py").write_text(
        "import random\ndef coin(completions): return [random.random() < 0.5] * len(completions)"
    )
    built = build_reward(RewardSpec.model_validate({"shuffled": "mine.py:coin"}), base=tmp_path)
    with pytest.warns(NotReproducibleWarning, match="'coin'"):
        pay(built, group(["a", "b"]), "4", draw)


def test_the_generator_of_torch_is_watched_where_torch_is_loaded(load, group, draw, monkeypatch):
    state = np.zeros(2)
    torch = types.ModuleType("torch")
    torch.get_rng_state = lambda: types.SimpleNamespace(numpy=lambda: state)
    torch.advance = lambda: np.add(state, 1, out=state)
    monkeypatch.setitem(sys.modules, "torch", torch)
    built = load("""
    import sys

    def reward(completions):
        if completions[0] == "draw":
            sys.modules["torch"].advance()
        return [0.0]
    """)
    pay(built, group(["a"]), "4", draw)
    with pytest.warns(NotReproducibleWarning, match="global generator of torch"):
        pay(built, group(["draw"]), "4", draw)


def test_a_keyed_draw_is_not_warned_of(load, group):
    built = load("def reward(completions, draw): return draw.uniforms(len(completions))")
    paid = [pay(built, group(["a", "b"]), "4", Draw(0, step, "p1")) for step in (0, 0, 1)]
    assert paid[0] == paid[1] != paid[2]


def test_watching_leaves_the_global_generators_alone(load, group, draw):
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    pay(load(CONTRACT, "length"), group(["a"]), "4", draw)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
