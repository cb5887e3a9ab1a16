"""`spurious eval --server` and `spurious label --server` against servers that die, dawdle, fail and lie."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from fake_server import FAILURES, Fake, Handler, fine

from spurious.cli import main
from spurious.keys import key, uniforms
from spurious.policy.server import ServerSampler
from spurious.specs import TaskSpec
from spurious.tasks import load_task

SIZE, K = 12, 3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a test can afford, and no proxy between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert ServerSampler.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(ServerSampler.__init__.__kwdefaults__, "first_wait", 0.01)


class Served:
    """A fake server at one address, which can die and come back."""

    def __init__(self) -> None:
        self.port = 0
        self.server: Fake | None = None
        self.requests: list[dict[str, Any]] = []
        self.start()

    def start(self, dies_after: int | None = None) -> None:
        self.server = server = Fake(self.port)
        self.port = server.server_address[1]
        count = iter(range(10**9))

        def answer(handler: Handler, payload: dict[str, Any]) -> None:
            if dies_after is not None and next(count) >= dies_after:
                handler.close_connection = True
                threading.Thread(target=self.stop).start()
                return
            fine(handler, payload)

        server.answer = answer
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def stop(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            self.requests += server.requests
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.stop()


def status(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0)


def evaluate(url: str, out: Path) -> int:
    words = ("eval", "tiny", "--bench", "chain", "--bench.args.size", str(SIZE), "--k", str(K), "--max-tokens", "8")
    return status(*words, "--server", url, "--out", str(out))


def label(url: str, out: Path) -> int:
    words = ("label", "tiny", "--task", "chain", "--task.args.size", str(SIZE), "--votes", str(K))
    return status(*words, "--server", url, "--out", str(out / "votes.parquet"))


def rows(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / f"chain-k{K}.parquet")


def whole(table: pl.DataFrame) -> bool:
    """Every sample of every problem, each once."""
    places = table.select("problem_id", "sample").unique()
    return table.height == places.height == SIZE * K and table["problem_id"].n_unique() == SIZE


def test_an_evaluation_whose_server_dies_goes_on_with_the_next_call(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(served.url, tmp_path / "whole") == 0
    served.stop()
    served.start(dies_after=20)
    assert evaluate(served.url, tmp_path / "broken") == 1
    said = capsys.readouterr().err
    assert f"{served.url}/v1/completions: no usable answer in" in said
    assert not (tmp_path / "broken" / f"chain-k{K}.parquet").exists()
    asked_before = len(served.requests)
    served.start()
    assert evaluate(served.url, tmp_path / "broken") == 0
    served.stop()
    assert whole(rows(tmp_path / "broken"))
    assert rows(tmp_path / "broken").equals(rows(tmp_path / "whole"))
    again = len(served.requests) - asked_before
    assert again < SIZE * K  # what was complete was not asked again


def test_a_server_that_comes_back_while_it_is_asked_costs_only_time(served: Served, tmp_path: Path) -> None:
    assert evaluate(served.url, tmp_path / "whole") == 0
    served.stop()
    served.start(dies_after=20)
    back = threading.Thread(target=come_back, args=[served])
    back.start()
    assert evaluate(served.url, tmp_path / "broken") == 0
    back.join()
    assert rows(tmp_path / "broken").equals(rows(tmp_path / "whole"))


def come_back(served: Served) -> None:
    while served.server is not None:
        time.sleep(0.01)
    time.sleep(0.1)
    served.start()


def test_votes_of_a_server_that_dies_are_counted_once(served: Served, tmp_path: Path) -> None:
    assert label(served.url, tmp_path / "whole") == 0
    served.stop()
    served.start(dies_after=20)
    assert label(served.url, tmp_path / "broken") == 1
    served.start()
    assert label(served.url, tmp_path / "broken") == 0
    votes = pl.read_parquet(tmp_path / "broken" / "votes.parquet")
    assert votes.equals(pl.read_parquet(tmp_path / "whole" / "votes.parquet"))
    assert set(votes["n_samples"]) == {K}


def test_slow_and_failing_answers_and_wrong_counts_cost_only_time(served: Served, tmp_path: Path) -> None:
    assert evaluate(served.url, tmp_path / "whole") == 0
    assert served.server is not None
    failures = list(FAILURES.values())
    served.server.fails_first(2, lambda handler, payload: failures[payload["seed"] % len(failures)](handler, payload))
    prompt = served.server.answer

    def slowly(handler: Handler, payload: dict[str, Any]) -> None:
        time.sleep(0.05 * float(uniforms(key(payload["seed"]), 1)[0]))
        prompt(handler, payload)

    served.server.answer = slowly
    assert evaluate(served.url, tmp_path / "slow") == 0
    assert rows(tmp_path / "slow").equals(rows(tmp_path / "whole"))


SERVE = (sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve")


class Transformers:
    """`transformers serve` on a model directory."""

    def __init__(self, model: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = [*SERVE, str(model), "--device", "cpu", "--port", str(port)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )

    def wait(self) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended"
            try:
                if httpx.get(f"{self.url}/health", timeout=5).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_transformers_serve_is_killed_half_way_and_no_row_is_lost(
    organism_dir: Path, tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package, reason="`transformers serve` needs openai, uvicorn and fastapi")
    words = ["eval", str(organism_dir), "--bench", "chain", "--bench.args.size", "24", "--max-tokens", "32"]
    words += ["--template", "organism"]
    asked = [*words, "--server", f"http://127.0.0.1:{port}", "--out", str(tmp_path / "served")]
    first = Transformers(organism_dir, port)
    try:
        first.wait()
        journal = tmp_path / "served" / "chain.journal.jsonl"
        killer = threading.Thread(target=kill_after, args=[first, journal, 5])
        killer.start()
        assert status(*asked) == 1
        killer.join()
    finally:
        first.kill()
    done = len(journal.read_text().splitlines()) - 1
    assert 5 <= done < 24
    second = Transformers(organism_dir, port)
    try:
        second.wait()
        assert status(*asked) == 0
    finally:
        second.kill()
    assert status(*words, "--out", str(tmp_path / "here")) == 0
    served, here = (pl.read_parquet(tmp_path / name / "chain.parquet") for name in ("served", "here"))
    problems = [
        problem.id for problem in load_task(TaskSpec(name="chain", args={"split": "test", "size": 24})).problems
    ]
    assert served["problem_id"].to_list() == here["problem_id"].to_list() == problems
    same = (served["text"] == here["text"]).mean()
    assert isinstance(same, float)
    assert same > 0.8, list(zip(served["text"], here["text"], strict=True))
    assert json.loads((tmp_path / "served" / "manifest.json").read_text())["server"].endswith(str(port))


def kill_after(server: Transformers, journal: Path, lines: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if journal.exists() and len(journal.read_text().splitlines()) > lines:
            break
        time.sleep(0.005)
    server.kill()
