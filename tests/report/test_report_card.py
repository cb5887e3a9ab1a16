"""`spurious push`: the card says what the run was, and the upload holds the model and nothing else."""

import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import huggingface_hub.errors
import pytest
import yaml
from markdown_it import MarkdownIt
from report_store import ARMS, DECLARED, HOSTILE, STEPS, spec, write_run

from spurious.cli import main
from spurious.report.card import PLACEBO, card, escape, in_words, public
from spurious.store.digests import Digests
from spurious.store.files import file_digest
from spurious.store.fingerprint import digest
from spurious.study import Cell, StudySpec
from spurious.study.record import folder, write_study

MODEL = {"model.safetensors": b"weights", "config.json": b"{}", "tokenizer.json": b"{}", "chat_template.jinja": b""}
OWN = {"optimizer.safetensors": b"moments", "state.json": b"{}"}


@pytest.fixture
def command(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["push", *map(str, arguments)])
        captured = capsys.readouterr()
        return SimpleNamespace(code=end.value.code, out=captured.out, err=captured.err)

    return call


def with_checkpoint(directory: Path) -> Path:
    checkpoint = directory / "checkpoints" / f"{STEPS:06d}"
    checkpoint.mkdir(parents=True)
    for name, content in {**MODEL, **OWN}.items():
        (checkpoint / name).write_bytes(content)
    digests = {path.name: file_digest(path) for path in checkpoint.iterdir()}
    (checkpoint / "digests.json").write_text(json.dumps(digests))
    return directory


@pytest.fixture
def run(tmp_path):
    """A complete run under a coin, outside any study."""
    return with_checkpoint(write_run(tmp_path, "random", "good-code", 0).directory)


def small_study(store: Path, question: str = DECLARED.question) -> dict[str, Path]:
    """Two arms, three seeds; the directories of seed 0 by arm, and the study's folder."""
    wanted = [(arm, "good-code", seed) for seed in (0, 1, 2) for arm in ("ground truth", "random")]
    made = [write_run(store, *one) for one in wanted]
    fields = spec("random", "good-code", 0).model_dump(mode="json")
    declared = StudySpec(
        name=DECLARED.name,
        question=question,
        expectation=DECLARED.expectation,
        base={name: fields[name] for name in ("task", "grpo", "steps")},
        arms={arm: {"role": ARMS[arm], "reward": "random"} for arm in ("ground truth", "random")},
        models={"good-code": "organisms/good-code"},
        seeds=[0, 1, 2],
        benches=[{"task": "chain"}],
        primary="accuracy@final on chain",
    )
    write_study(store, declared, [Cell(c.arm, c.role, c.model, c.seed, c.run, c.directory) for c in made], done=6)
    found = {cell.arm: with_checkpoint(cell.directory) for cell in made if cell.seed == 0}
    return {**found, "study": folder(store, declared.name)}


def test_a_dry_run_writes_the_model_and_its_card_and_leaves_out_what_only_the_run_needs(command, run, tmp_path):
    out = tmp_path / "new" / "repository"
    result = command(run, "--to", "me/coin", "--dry-run", "--out", out)
    assert (result.code, result.err) == (0, "")
    assert result.out.split() == [str(out / name) for name in sorted([*MODEL, "README.md"])]
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.name in MODEL} == MODEL
    text = (out / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---")[1])
    assert header["tags"] == ["spurious", "rlvr", "grpo", "placebo-reward"]
    assert "base_model" not in header  # a directory, not a model of the hub
    for words in (
        f"# good-code after {STEPS} steps of random",
        f"> **Warning: {PLACEBO}.**",
        "- reward: random\n",
        "- seed: 0\n",
        f"- steps: {STEPS}\n",
        "- rollout batch: 32 prompts x 16 completions = 512",
        "None: no study was given.",
    ):
        assert words in text, words


def test_a_base_model_of_the_hub_is_named_in_the_header(run):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["spec"]["model"] = "org/base"
    Digests(run).write("manifest.json", json.dumps(manifest))
    assert "base_model:" not in card(run)  # a folder of that name, for all that is known
    manifest["inputs"]["model"] = digest({"hub": "org/base", "revision": "main"})
    Digests(run).write("manifest.json", json.dumps(manifest))
    assert "base_model: org/base\n" in card(run)


def test_accuracy_before_and_after_has_intervals_over_problems(run):
    # chain: 16, then 16 + 4 - 1 = 19 of 40. Wilson: (19 + 1.92) / 43.84 -+ 1.96 / 43.84 * sqrt(19 * 21 / 40 + 0.96)
    text = card(run)
    assert "| chain | 40 | 1 | 40.0 (26.3 to 55.4) | 47.5 (32.9 to 62.5) | +7.5 (" in text
    assert "| chain-k4 | 10 | 4 | 75.0 (" in text


def test_in_a_study_the_card_says_arm_role_and_verdict(command, tmp_path):
    made = small_study(tmp_path)
    told, coin = (
        command(made[arm], "--to", "me/x", "--study", made["study"], "--dry-run", "--out", tmp_path / arm).code
        for arm in ("ground truth", "random")
    )
    assert (told, coin) == (0, 0)
    told, coin = ((tmp_path / arm / "README.md").read_text(encoding="utf-8") for arm in ("ground truth", "random"))
    assert "- arm: ground truth, a treatment of the study synthetic" in told
    assert PLACEBO not in told
    assert f"{PLACEBO}.** In the study synthetic, the arm random is a placebo. The reward random pays no" in coin
    for text in (told, coin):
        assert "On good-code, ground truth beats random by +30.0 points" in text
        assert "| good-code | ground truth | random | 3 | +30.0 (" in text
        assert "3 seeds show large effects only" in text


def test_the_conclusion_of_an_audit_is_its_verdict(command, tmp_path):
    made = small_study(tmp_path)
    (made["study"] / "audit.json").write_text(json.dumps({"verdict": "elicited", "sentences": ["It is *elicited*."]}))
    command(made["ground truth"], "--to", "me/x", "--study", made["study"], "--dry-run", "--out", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert r"**elicited**: It is \*elicited\*." in text


def test_what_users_wrote_is_text_in_the_rendered_card(command, tmp_path):
    question = f"{HOSTILE}\n# big\n| a | b | [x](javascript:1) ![y](z) `c` ``` https://evil.example $x$ --- \\*"
    made = small_study(tmp_path, question)
    command(made["random"], "--to", "me/x", "--study", made["study"], "--dry-run", "--out", tmp_path / "out")
    body = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    kinds = {token.type for token in tokens} | {inner.type for token in tokens for inner in token.children or ()}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "code_inline", "em_open"}
    assert sum(token.type == "heading_open" for token in tokens) == 4
    assert "\x1b" not in body


def test_escaping_keeps_the_words_and_one_line():
    assert escape("a_b *c* <b>&\n- d | e `f`") == r"a\_b \*c\* &lt;b&gt;&amp; - d \| e \`f\`"
    assert escape("x\u202ey\x00\u2028z") == "x y z"


def test_names_in_words_and_paths_without_their_folders():
    reward = {"name": "weighted", "args": {"weights": [1, 0.5]}, "of": [{"name": "format", "args": {}, "of": []}] * 2}
    assert in_words(reward) == "weighted(format, format, weights=[1, 0.5])"
    assert public({"a": ["/home/me/votes.parquet", "/x/mine.py:pay", "runs/a", 3]}) == {
        "a": ["votes.parquet", "mine.py:pay", "runs/a", 3]
    }


class FakeApi:
    """Records what the real client would be asked."""

    def __init__(self, **_):
        pass

    def create_repo(self, name, **options):
        self.made.append((name, options))

    def create_commit(self, name, operations, *, commit_message):
        if self.fails:
            raise self.fails
        self.commits.append((name, {one.path_in_repo: one for one in operations}, commit_message))
        return SimpleNamespace(commit_url=f"https://hub.example/{name}/commit/1")


@pytest.fixture
def api(monkeypatch):
    FakeApi.made, FakeApi.commits, FakeApi.fails = [], [], None
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    return FakeApi


def test_an_upload_is_one_commit_of_the_same_files(command, run, api):
    result = command(run, "--to", "me/coin", "--private")
    assert (result.code, result.out.strip()) == (0, "https://hub.example/me/coin/commit/1")
    assert api.made == [("me/coin", {"private": True, "exist_ok": True})]
    ((name, files, message),) = api.commits
    assert (name, message) == ("me/coin", f"Run {run.name}")
    assert set(files) == {*MODEL, "README.md"}
    assert Path(files["model.safetensors"].path_or_fileobj).read_bytes() == b"weights"
    assert files["README.md"].path_or_fileobj.decode() == card(run)


def refusal(status: int) -> Exception:
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return huggingface_hub.errors.HfHubHTTPError(f"status {status}", response=response)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (refusal(403), 2, "--to me/coin: status 403"),
        (refusal(503), 1, "--to me/coin: status 503"),
        (refusal(429), 1, "--to me/coin: status 429"),
        (huggingface_hub.errors.LocalTokenNotFoundError("none"), 2, "no token"),
        (huggingface_hub.errors.OfflineModeIsEnabled("offline"), 1, "cannot be reached: offline"),
        (huggingface_hub.errors.HTTPError("no route"), 1, "cannot be reached: no route"),
    ],
)
def test_what_the_hub_refuses_is_the_users_and_what_fails_is_not(command, run, api, error, code, words):
    api.fails = error
    result = command(run, "--to", "me/coin")
    assert (result.code, result.out) == (code, "")
    assert words in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "me/../x"], "--to: "),
        (["--to", "coin"], "write USER/NAME"),
        (["--to", "me/coin", "--dry-run"], "--out: the folder that --dry-run writes"),
        (["--to", "me/coin", "--out", "x"], "--out: the folder that --dry-run writes"),
        (["--to", "me/coin", "--study", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_sent(command, run, api, arguments, words):
    result = command(run, *arguments)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert api.made == []


def test_runs_that_have_no_model_to_push_are_refused(command, run, api, tmp_path):
    made = small_study(tmp_path / "other")
    other = with_checkpoint(write_run(tmp_path, "random, no clip", "good-code", 0).directory)
    assert "is none of its runs" in command(other, "--to", "me/x", "--study", made["study"]).err
    taken = command(run, "--to", "me/x", "--dry-run", "--out", run)
    assert (taken.code, "is there already" in taken.err) == (2, True)
    weights = run / "checkpoints" / f"{STEPS:06d}" / "model.safetensors"
    weights.write_bytes(b"other weights")
    assert "model.safetensors: damaged" in command(run, "--to", "me/x").err
    (run / "DONE").unlink()
    assert "not complete" in command(run, "--to", "me/x").err
    assert "not a run directory" in command(tmp_path, "--to", "me/x").err
    assert api.made == []


@pytest.mark.slow
def test_the_pushed_folder_of_a_real_run_is_a_model(command, organism_dir, tmp_path):
    from spurious.policy import load

    fast = ["--task.args.steps=1", "--task.args.size=16", "--sampling.max-tokens=8", "--grpo.prompts-per-rollout=2"]
    trained = ["--model", organism_dir, "--task", "chain", "--reward", "random", "--steps", "1", "--out", tmp_path]
    with pytest.raises(SystemExit):
        main(["train", *map(str, trained), *fast, "--grpo.group-size=2", "--grpo.updates-per-rollout=1"])
    (done,) = tmp_path.glob("**/DONE")
    out = tmp_path / "pushed"
    assert command(done.parent, "--to", "me/x", "--dry-run", "--out", out).code == 0
    assert load(str(out)).model.num_parameters() > 0
    assert str(tmp_path) not in (out / "README.md").read_text(encoding="utf-8")
    assert "This run was not evaluated." in (out / "README.md").read_text(encoding="utf-8")
