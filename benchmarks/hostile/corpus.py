"""Hostile answers: hand-written seeds, tokens to splice into them, and mutations of both.

Every seed is an attack or a spelling that a grader has stumbled over: towers of powers, factorials, deep nesting under
every name of a bracket, long runs, code in every LaTeX command, control, bidirectional and surrogate characters.
"""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

CANARY = "pwned"
"""The file that every injected piece of code would create where it runs."""

_CODE = (
    f"open('{CANARY}','w')",
    f"__import__('os').system('touch {CANARY}')",
    f'exec(chr(111)+\'pen("{CANARY}","w")\')',
    f"eval(compile('open(\"{CANARY}\",\"w\")','','exec'))",
    f"().__class__.__base__.__subclasses__()[0]('{CANARY}')",
    f"(lambda: open('{CANARY}','w'))()",
    f"getattr(__builtins__,'op'+'en')('{CANARY}','w')",
    f"[x for x in [open('{CANARY}','w')]]",
    f"\\_\\_import\\_\\_('os').system('touch {CANARY}')",
    f"ｏｐｅｎ('{CANARY}','w')",
    f"o\u200bpen('{CANARY}','w')",
    f"Integer(1).func(open('{CANARY}','w'))",
    f'sympify(\'open("{CANARY}","w")\')',
    f"`touch {CANARY}`",
    f"$(touch {CANARY})",
    f"\\immediate\\write18{{touch {CANARY}}}",
    f"\\input{{|touch {CANARY}}}",
    "\\openout0=" + CANARY,
)
_PATHS = (
    r"{}", r"\text{{{}}}", r"\mathrm{{{}}}", r"\operatorname{{{}}}", r"\frac{{{}}}{{2}}", r"\sqrt[{}]{{2}}",
    r"\sqrt{{{}}}", r"x_{{{}}}", r"x^{{{}}}", r"\begin{{pmatrix}}{}\\2\end{{pmatrix}}", r"\left[{},\pi\right]",
    r"\{{{}\}}", r"\binom{{{}}}{{1}}", r"\sum_{{i={}}}^{{3}} i", r"\log_{{{}}}(2)", r"({},\pi)", r"{}\%",
    r"{} \text{{ cm}}",
    r"\overline{{{}}}", r"\lim_{{x\to {}}} x", r"\int_{{0}}^{{{}}} x dx", r"{}!", r"|{}|", r"\lfloor {} \rfloor",
)  # fmt: skip
INJECTIONS = tuple(path.format(code) for path in _PATHS for code in _CODE)

ANSWERS = (
    "5", "-17", "0.333333", r"\frac{1}{2}", r"\frac12", "3 1/2", "1,234", r"1{,}234", "1.5e3", "50\\%", "x=2", "[0,1)",
    r"(-\infty,0)\cup(1,\infty)", r"\{1,2,3\}", "1, 2 and 3", "4:1", "10:30", "2516_8", r"\text{even}", "C", "(C) 5",
    r"\begin{pmatrix}1\\2\end{pmatrix}", r"1\pm\sqrt{19}", "x<1 or x>2", r"\{x \mid 2<x<3\}", r"90^\circ", "11^{th}",
    r"15\text{ cm}^2", r"2\sqrt{3}\pi", "x^2+2x+1", r"\sin(x)", r"\log_{2} 8", "5!", r"\binom{5}{2}", "½", "√2", "2²",
    "９９", "٣", "\u202e5\u202c", "5\u200b", "\ud8005", "5\x00", "\x1b[31m5", "−5", r"f(x)=x+1", r"R'_{12}", r"\infty",
)  # fmt: skip
BOMBS = (
    "9^{9^{9^{9}}}", "9^9^9^9", "9**9**9**9", "((9^{99})^{99})^{99}", "99999999!", "3!!!!!!", "((10!)!)!",
    "10^{100000}",
    r"\binom{1000000}{500000}", r"2^{-24000}", "1e99999", "1e3000/3", r"\frac{1}{3^{3000}}+\frac{1}{7^{3000}}",
    r"\sum_{k=1}^{1000000000} k", r"\prod_{k=1}^{99999} k", r"\int_{0}^{1000} \sin(x^{7}) \cos(e^{x}) dx",
    r"\lim_{n\to\infty} (1+1/n)^{n}", r"\gcd(2^{3000}-1, 2^{2999}-1)", r"7^{7^{7^{7}}} \pmod{10}", r"x^{x^{x^{x}}}",
    r"\sqrt{\sqrt{\sqrt{\sqrt{2}}}}", r"(x+1)^{3000}", r"(x+y+z+w)^{40}", r"\sin(\sin(\sin(\sin(10^{40}))))",
    r"\begin{matrix}1&2\\3&4\end{matrix}^{100}", r"\{1,2\}\cup\{3,4\}\cap\mathbb{R}\setminus\{5\}",
    "0.\\overline{123456789}",
    r"\frac{d}{dx} x^{x}", r"\log(\log(\log(1)))", "1/0", "0^0", r"\frac{0}{0}", r"\infty-\infty", r"\sqrt{-1}",
    r"i^{i}",
)  # fmt: skip
TEXTS = (
    "The answer is {}.", r"\boxed{{{}}}", r"so $x={}$", "<answer>{}</answer>", "<think>{}", r"</think>\boxed{{{}}}",
    r"\boxed{{3}} wait, \boxed{{{}}}", "Answer: {}\n\nHuman: no", r"\boxed{{{}", r"boxed{{{}}}", r"\fbox {{{}}}",
    r"\[ {} \]", "{}", "def f():\n    return {}", r"\boxed{{1}} and \boxed{{{}}}", "答案是{}。",
    "```python\nprint({})\n```",
)  # fmt: skip
TOKENS = (
    *("{", "}", "(", ")", "[", "]", r"\{", r"\}", "\\", "^", "_", "$", "$$", r"\(", r"\)", r"\[", r"\]", ",", ";"),
    *(":", "="),
    *("|", "!", "%", "-", "+", "*", "/", "**", "<", ">", "'", '"', "&", "#", "~", ".", "..", " ", "\n", "\t", "0"),
    *("9", "x"),
    *(r"\frac", r"\sqrt", r"\binom", r"\boxed", r"\boxed{", r"\fbox{", r"\text", r"\text{", r"\mathrm{", r"\left"),
    r"\right",
    *(r"\langle", r"\rangle", r"\lbrace", r"\rbrace", r"\lbrack", r"\rbrack", r"\lfloor", r"\rceil", r"\begin{matrix}"),
    *(r"\end{matrix}", r"\begin{array}", r"\end{array}", r"\\", r"\pm", r"\cup", r"\cap", r"\le", r"\ge", r"\ne"),
    r"\in",
    *(r"\approx", r"\infty", r"\pi", r"\cdot", r"\times", r"\overline{", r"\sum", r"\int", r"\lim", r"\log", r"\sin"),
    *(r"\operatorname{", r"\pmod", r"\mid", r"\mathbb{R}", r"\circ", r"\%", r"\,", r"\!", r"\quad", " and ", " or "),
    "</think>",
    *("<think>", "<answer>", "</answer>", "<|im_end|>", "answer is ", "答案", "\nHuman:", "cm", "p.m.", "(C)"),
    "percent",
    *("\u200b", "\u202e", "\u2066", "\ufeff", "\x00", "\x1b[2J", "\x7f", "\ud800", "\udfff", "\U0001d7d9", "½"),
    *("⁻¹", "ﷺ"),
    *("√", "∞", "⟨", "⟩", "｛", "｝", "（", "）", "［", "₂", "²", "٣", "π", "≤", "∑", "°", "\u0301", "🤯"),
    *("1" * 400, "e1000"),
)  # fmt: skip

Mutation = Callable[[random.Random, str, str], str]


def _cut(rng: random.Random, text: str) -> tuple[int, int]:
    start = rng.randrange(len(text) + 1)
    return start, min(len(text), start + rng.randrange(1, 12))


def _insert(rng: random.Random, text: str, other: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(TOKENS) + text[at:]


def _remove(rng: random.Random, text: str, other: str) -> str:
    start, end = _cut(rng, text)
    return text[:start] + text[end:]


def _replace(rng: random.Random, text: str, other: str) -> str:
    start, end = _cut(rng, text)
    return text[:start] + rng.choice(TOKENS) + text[end:]


def _splice(rng: random.Random, text: str, other: str) -> str:
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]


def _repeat(rng: random.Random, text: str, other: str) -> str:
    start, end = _cut(rng, text)
    return text[:start] + text[start:end] * rng.choice((2, 3, 30)) + text[end:]


def _nest(rng: random.Random, text: str, other: str) -> str:
    before, after = rng.choice(
        (("{", "}"), ("(", ")"), (r"\boxed{", "}"), (r"\frac{1}{", "}"), (r"\sqrt", ""), ("$", "$"))
    )
    times = rng.choice((1, 1, 2, 3, 40))
    return before * times + text + after * times


def _character(rng: random.Random, text: str, other: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x110000)))) + text[at:]


_MUTATIONS: Sequence[Mutation] = (_insert, _insert, _remove, _replace, _replace, _splice, _repeat, _nest, _character)


def answer(rng: random.Random) -> str:
    """A hostile answer: a seed, changed up to four times."""
    text = rng.choice(rng.choice((ANSWERS, ANSWERS, BOMBS, INJECTIONS)))
    for _ in range(rng.randrange(5)):
        text = rng.choice(_MUTATIONS)(rng, text, rng.choice(ANSWERS))[:2000]
    return text


def completion(rng: random.Random) -> str:
    """A hostile completion: an answer in a text, both changed."""
    text = rng.choice(TEXTS).format(answer(rng))
    for _ in range(rng.randrange(3)):
        text = rng.choice(_MUTATIONS)(rng, text, rng.choice(TEXTS))[:4000]
    return text


def large(length: int) -> dict[str, str]:
    """Completions of about `length` characters that look for a scan that is not linear."""
    units = (
        "{", "}", r"\boxed{", r"\boxed{1}", r"\boxed{ ", "$", "$$ a", r"\(", r"\[ ", "\\", "answer is ", "1,", " ",
        "\ud800",
        "<answer>", "<think>", "</think>", "\nHuman", "(", "9", "x", "\n", r"\frac", r"\sqrt{", "答案", "A)", "''",
        r"\boxed{1} and ",
        "\ud800\udc00", "\u202e", r"\text{a}", "5 cm ", "=", "ﷺ",
    )  # fmt: skip
    texts = {f"{unit!r} repeated": unit * (length // len(unit)) for unit in units}
    texts |= {
        "nested boxes": r"\boxed{" * (length // 8) + "1" + "}" * (length // 8),
        "one long box": r"\boxed{" + "7" * length + "}",
        "a box of spaces": r"\boxed{" + " " * length + "}",
        "a box of boxes": r"\boxed{" + r"\boxed{}" * (length // 8) + "}",
    }
    return texts | {f"{name}, then a box": text + r" \boxed{5}" for name, text in texts.items()}


def keep(path: Path, name: str, record: dict[str, object]) -> None:
    """Put a record beside the others of a JSON file."""
    records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(records | {name: record}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
