"""A server whose answers the test decides, and the ways in which it may fail."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spurious.keys import key
from spurious.policy.server import ServerSampler
from spurious.specs import SamplingSpec
from spurious.types import Group, Problem, Prompt

SAMPLING = SamplingSpec(max_tokens=8)
PROMPTS = [Prompt(Problem(f"p{i}", "q", "a", "test"), f"prompt {i}", ()) for i in range(4)]
Answer = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    server: "Fake"
    counted = False

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.reply({"data": [{"id": name} for name in self.server.models]})

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(payload | {"path": self.path, "auth": self.headers.get("Authorization")})
            self.server.busy += 1
            self.server.busiest = max(self.server.busiest, self.server.busy)
        self.counted = True
        try:
            self.server.answer(self, payload)
        finally:
            self.answered()

    def answered(self) -> None:
        """No longer in flight: before the reply is sent, as the client may ask again before this thread goes on."""
        if self.counted:
            self.counted = False
            with self.server.lock:
                self.server.busy -= 1

    def reply(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answered()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Fake(ThreadingHTTPServer):
    """A server whose answers the test decides."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.busy = self.busiest = 0
        self.models = ["tiny"]
        self.answer: Answer = fine

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error here."""

    def fails_first(self, times: int, failure: Answer) -> None:
        """Fail the first so many requests of every (prompt, seed), then answer."""
        seen: dict[tuple[str, int], int] = {}

        def answer(handler: Handler, payload: dict[str, Any]) -> None:
            asked = (payload["prompt"], payload["seed"])
            with self.lock:
                seen[asked] = seen.get(asked, 0) + 1
            (failure if seen[asked] <= times else fine)(handler, payload)

        self.answer = answer


def choice(text: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "finish_reason": "stop"} | more


def fine(handler: Handler, payload: dict[str, Any]) -> None:
    handler.reply({"choices": [choice(f"{payload['prompt']} seed {payload['seed']}")]})


def answers(**one: Any) -> Answer:
    return lambda handler, payload: handler.reply({"choices": [{"finish_reason": "stop"} | one]})


def client(fake: Fake, **changes: Any) -> ServerSampler:
    settings: dict[str, Any] = {"model": "tiny", "timeout": 5.0, "retries": 3, "first_wait": 0.001}
    return ServerSampler(f"http://127.0.0.1:{fake.server_address[1]}", **(settings | changes))


def texts(groups: list[Group]) -> list[list[str]]:
    return [list(group.texts) for group in groups]


def expected(n: int) -> list[list[str]]:
    return [[f"{p.text} seed {key('scope', p.problem.id, 0, i) % 2**31}" for i in range(n)] for p in PROMPTS]


def closes(handler: Handler, payload: dict[str, Any]) -> None:
    handler.close_connection = True


def truncates(handler: Handler, payload: dict[str, Any]) -> None:
    handler.reply(b'{"choices": [{"text": "half a')


def breaks_off(handler: Handler, payload: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def hangs(handler: Handler, payload: dict[str, Any]) -> None:
    time.sleep(0.4)


def drips(handler: Handler, payload: dict[str, Any]) -> None:
    """Never silent for long, and never done."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)
    handler.close_connection = True


def floods(handler: Handler, payload: dict[str, Any]) -> None:
    handler.reply(b" " * 3_000)


def unpacks_to_a_flood(handler: Handler, payload: dict[str, Any]) -> None:
    handler.reply(gzip.compress(b" " * 1_000_000), headers={"Content-Encoding": "gzip"})


FAILURES = {
    "429": lambda handler, payload: handler.reply({"error": "slow down"}, 429),
    "500": lambda handler, payload: handler.reply(b"oops", 500),
    "503 with a wait": lambda handler, payload: handler.reply(b"", 503, {"Retry-After": "0"}),
    "closed": closes,
    "truncated JSON": truncates,
    "broken off": breaks_off,
    "no choices": lambda handler, payload: handler.reply({"choices": []}),
    "two choices": lambda handler, payload: handler.reply({"choices": [choice("a"), choice("b")]}),
    "no list": lambda handler, payload: handler.reply(["what"]),
    "no text": answers(text=None),
    "no finish reason": answers(text="x", finish_reason=None),
    "deep JSON": lambda handler, payload: handler.reply(b"[" * 200_000),
    "a number of many digits": lambda handler, payload: handler.reply(b'{"choices": ' + b"9" * 9_000 + b"}"),
    "more text than was asked for": lambda handler, payload: handler.reply({"choices": [choice("x" * 9_999)]}),
    "no UTF-8": lambda handler, payload: handler.reply(b'{"choices": [{"text": "\xff\xfe'),
    "429 with a long wait": lambda handler, payload: handler.reply(b"", 429, {"Retry-After": "9" * 400}),
    "503 until a date": lambda handler, payload: handler.reply(b"", 503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59"}),
}
