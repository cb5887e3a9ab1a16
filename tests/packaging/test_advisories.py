import json
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import advisories  # noqa: E402


def entry(*events, versions=(), name="Some_Package", ecosystem="PyPI"):
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return {"package": {"name": name, "ecosystem": ecosystem}, "ranges": ranges, "versions": list(versions)}


def advisory(*entries, **more):
    return {"id": "PYSEC-1", "summary": "it breaks", "affected": list(entries), **more}


@pytest.fixture
def pinned(tmp_path):
    path = tmp_path / "constraints.txt"
    path.write_text("# exact\nsome-package==1.5.0\nother==2.0  # why\n")
    return path


@pytest.mark.parametrize(
    ("version", "inside"),
    [
        ("0.9", False),
        ("1.0", True),
        ("1.9", True),
        ("2.0", False),
        ("2.5", False),
        ("3.0", True),
        ("3.1", True),
        ("3.2", False),
    ],
)
def test_a_range_is_from_introduced_to_before_fixed_and_through_last_affected(version, inside):
    events = [{"introduced": "1.0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"last_affected": "3.1"}]
    assert advisories.affected(Version(version), entry(*events)) == inside
    assert advisories.affected(Version(version), entry(*reversed(events))) == inside


def test_introduced_in_zero_is_every_version():
    assert advisories.affected(Version("0.0.1.dev1"), entry({"introduced": "0"}))


def test_a_listed_version_is_meant_however_it_is_spelled():
    assert advisories.affected(Version("1.5"), entry(versions=["nonsense", "1.5.0"]))


@pytest.mark.parametrize("packed", [True, False])
def test_it_names_the_package_the_advisory_and_what_mends_it(tmp_path, pinned, packed, capsys):
    text = json.dumps(advisory(entry({"introduced": "0"}, {"fixed": "1.6"})))
    source = tmp_path / ("all.zip" if packed else "all")
    if packed:
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("PYSEC-1.json", text)
    else:
        source.mkdir()
        (source / "PYSEC-1.json").write_text(text)
    assert advisories.main([str(source), "--constraints", str(pinned)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "some-package 1.5.0: PYSEC-1: it breaks (fixed in 1.6)",
        "2 pinned packages, 1 affected",
    ]


@pytest.mark.parametrize(
    "other",
    [
        advisory(entry({"introduced": "0"}), withdrawn="2026-01-01T00:00:00Z"),
        advisory(entry({"introduced": "0"}, ecosystem="npm")),
        advisory(entry({"introduced": "1.6"})),
        advisory(entry({"introduced": "0"}, name="third")),
    ],
    ids=["withdrawn", "of another registry", "later versions", "not pinned"],
)
def test_what_does_not_concern_a_pin_is_not_named(tmp_path, pinned, other):
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(other))
    assert advisories.hits(advisories.pins(pinned), folder) == []
    assert advisories.main([str(folder), "--constraints", str(pinned)]) == 0


def test_what_is_not_an_archive_is_refused(tmp_path, pinned, capsys):
    (tmp_path / "all.zip").write_bytes(b"no")
    assert advisories.main([str(tmp_path / "all.zip"), "--constraints", str(pinned)]) == 2
    assert "advisories:" in capsys.readouterr().err


def test_a_constraint_that_pins_nothing_is_named(tmp_path):
    (tmp_path / "c.txt").write_text("a==1\nb>=2\n")
    with pytest.raises(ValueError, match=r"line 2: 'b>=2' does not pin one version"):
        advisories.pins(tmp_path / "c.txt")


def test_every_line_of_our_constraints_is_a_pin():
    assert advisories.pins(ROOT / "constraints.txt")["torch"] == Version("2.13.0")
