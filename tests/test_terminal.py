"""Nothing that a model, a file or a server wrote steers the terminal."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.cli import main
from spurious.progress import on_terminal
from spurious.study.display import watching
from spurious.terminal import say, visible

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\b\x7f\u202eevil\u2066\u200b\ud800\u2028"


def test_what_is_live_is_shown():
    assert visible("\x1b[31mred") == r"\x1b[31mred"
    assert visible("a\u202eb\x9b\ud800") == r"a\u202eb\x9b\ud800"
    assert visible("two\nlines\tand √2 语 é") == "two\nlines\tand √2 语 é"


@given(st.text(st.characters()))
def test_any_text_is_one_that_can_be_printed(text):
    seen = visible(text)
    seen.encode("utf-8")
    assert all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in seen)
    assert visible(seen) == seen


def test_a_line_goes_where_it_is_sent(capsys):
    say(ESCAPES)
    file = io.StringIO()
    say("x\x1b", file=file, end="")
    assert capsys.readouterr().out.isprintable() is False  # the line end
    assert file.getvalue() == r"x\x1b"


def called(capfd, *words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capfd.readouterr()
    return int(ended.value.code or 0), out + err


def harmless(text):
    return all(char in "\n\t" or (char.isprintable() and char not in "\x1b\x9b") for char in text)


def test_an_error_that_quotes_a_file_is_harmless(tmp_path, capfd):
    path = tmp_path / "rows\x1b[2J.jsonl"
    path.write_text('{"question": "q", "\\u001b]0;owned\\u0007": 1, "\\u202e": 2}\n', encoding="utf-8")
    code, said = called(capfd, "check-data", path)
    assert code == 2
    assert r"\x1b]0;owned\x07" in said
    assert harmless(said)


def test_a_table_that_quotes_a_file_is_harmless(tmp_path, capfd):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "", "answer": "\\u001b[2J\\u202e5"}\n', encoding="utf-8")
    _, said = called(capfd, "check-data", path)
    assert "row 1" in said
    assert harmless(said)


def test_a_failure_of_ours_is_told_harmlessly_and_has_status_1(tmp_path, capfd, monkeypatch):
    def breaks(*_, **__):
        raise RuntimeError("a completion said \x1b[2J\x9b")

    monkeypatch.setattr("spurious.tasks.check.check", breaks)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "q", "answer": "5"}\n', encoding="utf-8")
    code, said = called(capfd, "check-data", path)
    assert code == 1
    assert r"RuntimeError: a completion said \x1b[2J\x9b" in said
    assert harmless(said)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_shows_names_as_text(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with on_terminal() as progress:
        progress("train \x1b]0;owned\x07 [red]arm[/red]", 1, 2, "note\x9b2J[/]")
    assert "\x1b]0;" not in screen.getvalue()
    assert "\x9b" not in screen.getvalue()
    assert "[red]arm[/red]" in screen.getvalue()
    with watching() as watch:
        watch.say("arm \x1b]0;owned\x07")
    assert "\x1b]0;" not in screen.getvalue()
