"""Unicode to the ASCII and LaTeX that the rest of the room reads."""

import re
import unicodedata

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-",
    "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "∗": "*", "∙": r"\cdot ", "÷": "/", "∕": "/",
    "⁄": "/",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ",
    "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp ",
    "°": r"^\circ ", "º": r"^\circ ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "。": ".", "、": ",", "٫": ".", "٬": ",", "⟨": "(", "⟩": ")", "〈": "(", "〉": ")", "∶": ":",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "ℕ": r"\mathbb{N}", "ℂ": r"\mathbb{C}",
    "€": "$", "£": "$", "¥": "$", "₹": "$", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "→": r"\to ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∣": r"\mid ", "∖": r"\setminus ",
}  # fmt: skip
_GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta"},
    **{"ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma"},
    **{"τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta"},
    **{"Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega"},
}
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")
_NAMED = _SYMBOLS | {letter: rf"\{name} " for letter, name in _GREEK.items()}


def scalar_text(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates replaced, so that it can be encoded and stored."""
    return text if text.isascii() else _LONE.sub("\ufffd", _PAIR.sub(_joined, text))


def _joined(match: re.Match[str]) -> str:
    return match.group().encode("utf-16", "surrogatepass").decode("utf-16")


def to_latex(text: str) -> str:
    """Map full-width and non-Latin digits, fractions, superscripts, operators and Greek letters to ASCII and LaTeX.

    Invisible characters (zero-width, bidirectional marks, other controls) vanish; unknown ones stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_character, text))


def _character(char: str) -> str:
    if " " <= char <= "~":
        return char
    if char in _NAMED:
        return _NAMED[char]
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category.startswith("Z") or char in "\t\n\r\v\f":
        return " "
    if category in ("Cf", "Cc"):
        return ""
    decomposition = unicodedata.decomposition(char)
    if decomposition.startswith("<fraction>"):
        numerator, denominator = "".join(chr(int(code, 16)) for code in decomposition.split()[1:]).split("⁄")
        return rf"\frac{{{numerator}}}{{{denominator}}}" if denominator else char
    if decomposition.startswith(("<super>", "<sub>")):
        plain = unicodedata.normalize("NFKC", char)
        mark = "^" if decomposition.startswith("<super>") else "_"
        return mark + "{" + "".join(_NAMED.get(c, c) for c in plain) + "}"
    if decomposition.startswith(("<wide>", "<font>", "<compat>", "<small>", "<narrow>")):
        return "".join(_NAMED.get(c, c) for c in unicodedata.normalize("NFKC", char))
    return char
