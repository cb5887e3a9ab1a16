import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.keys import Draw, key, permutation, uniforms

parts = st.lists(st.one_of(st.text(max_size=5), st.integers(-5, 5)), min_size=1, max_size=4)


@given(parts, parts)
def test_keys_collide_only_for_equal_parts(a, b):
    assert (key(*a) == key(*b)) == (a == b)


def test_a_key_does_not_depend_on_the_process():
    script = "from spurious.keys import key; print(key(3, 'sample', 'abc'))"
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(there.stdout) == key(3, "sample", "abc")


@pytest.mark.parametrize("part", [True, 1.5, None, b"x"])
def test_only_strings_and_integers_make_a_key(part):
    with pytest.raises(TypeError, match="strings and integers"):
        key(part)


@given(st.integers(0, 2**64 - 1), st.integers(0, 50), st.integers(0, 50))
def test_a_shorter_request_is_a_prefix(seed, n, m):
    assert uniforms(seed, max(n, m))[:n].tolist() == uniforms(seed, n).tolist()


def test_uniforms_are_uniform():
    draws = np.concatenate([uniforms(key("test", i), 50) for i in range(2000)])
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert draws.min() >= 0
    assert draws.max() < 1
    # chi-square with 19 degrees of freedom: 43.8 is its 99.9th percentile
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8


def test_first_draws_of_neighboring_keys_are_uncorrelated():
    first = np.array([uniforms(key("test", i), 1)[0] for i in range(4000)])
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.06


@given(st.integers(0, 2**32), st.integers(0, 30))
def test_a_permutation_has_every_index_once(seed, n):
    assert sorted(permutation(seed, n)) == list(range(n))


def test_draws_are_fresh_for_every_coordinate_and_purpose():
    base = Draw(0, 0, "p", 0)
    others = [Draw(1, 0, "p", 0), Draw(0, 1, "p", 0), Draw(0, 0, "q", 0), Draw(0, 0, "p", 1)]
    assert base.uniforms(4) == Draw(0, 0, "p", 0).uniforms(4)
    seen = [tuple(draw.uniforms(4)) for draw in [base, *others]] + [tuple(base.uniforms(4, "other"))]
    assert len(set(seen)) == len(seen)
