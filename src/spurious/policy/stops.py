"""Stop strings: noticed while tokens arrive, without decoding every row at every step."""

from collections.abc import Callable, Sequence


class Stops:
    """Finds stop strings in growing completions, given how a tokenizer decodes."""

    def __init__(self, decode: Callable[[Sequence[int]], str], strings: Sequence[str]) -> None:
        self._decode = decode
        self._strings = [string for string in strings if string]
        self._last = {string[-1] for string in self._strings}
        self._tail = max((len(string.encode()) for string in self._strings), default=0) + 5
        self._may_end: dict[int, bool] = {}

    def reached(self, ids: Sequence[int]) -> bool:
        """Whether the last token completed a stop string.

        A token whose text lacks every stop string's last character cannot, and that is remembered; for the rest only
        as many tokens are decoded as a stop string may have bytes, and some more for what a decoder does at the start.
        """
        if not self._strings:
            return False
        last = ids[-1]
        if last not in self._may_end:
            # Twice, because some decoders drop a leading space; a replacement character is a part of one.
            piece = self._decode([last, last])
            self._may_end[last] = not piece or "\ufffd" in piece or any(c in piece for c in self._last)
        if not self._may_end[last]:
            return False
        tail = self._decode(ids[-self._tail :])
        return any(string in tail for string in self._strings)


def cut(text: str, strings: Sequence[str], *, include: bool) -> str:
    """The text up to its first stop string, with or without it."""
    found = [(text.find(string), len(string)) for string in strings if string and string in text]
    if not found:
        return text
    start, length = min(found)
    return text[: start + length if include else start]
