"""The worker pool: kills what hangs, survives what dies, starts from anywhere.

Capital letters are what the symbolic step alone reads.
"""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from pebble.pool import process

from spurious.errors import SpuriousError
from spurious.verify import equal, pool, verify_many

HANGS = r"\int_{0}^{1000} \sin(x^{7}) \cos(e^{x}) dx"
"""Its value takes far longer than any deadline, on any machine."""
SCRIPT = 'from spurious.verify import equal\nprint(equal("X+1", "1+X"), equal("X+1", "X+2"))\n'


def hanging_pair(n):
    return f"{HANGS}+{n}", f"1+{HANGS}+{n}"


def test_a_hang_is_cut_off_and_the_pool_lives_on():
    assert equal("X+1", "1+X") == "correct"
    for n in range(3):
        start = time.perf_counter()
        assert equal(*hanging_pair(n)) == "timeout"
        assert equal(f"X+{n}", f"{n}+X") == "correct"
        assert time.perf_counter() - start < pool.PATIENCE  # cut off by what it computed, not by the clock


def test_a_worker_that_is_kept_waiting_has_time_left():
    """On a busy machine a second of the clock may hold little work: a comparison is not blamed for that."""
    assert equal("Q+1", "1+Q") == "correct"
    workers = [one for one in multiprocessing.active_children() if one.name == "pebble_pool_worker"]
    outcome = []
    stop_workers()
    grading = threading.Thread(target=lambda: outcome.append(equal("Q+2", "2+Q")))
    grading.start()
    time.sleep(1.5 * pool.DEADLINE)
    waited = not outcome
    for worker in workers:
        os.kill(worker.pid, signal.SIGCONT)
    grading.join()
    assert waited
    assert outcome == ["correct"]


def stop_workers():
    for worker in multiprocessing.active_children():
        if worker.name == "pebble_pool_worker":
            os.kill(worker.pid, signal.SIGSTOP)


def test_workers_that_somebody_stopped_are_replaced(monkeypatch):
    assert equal("P+1", "1+P") == "correct"
    monkeypatch.setattr(pool, "SILENCE", 1.0)
    stop_workers()
    assert equal("P+2", "2+P") == "correct"


def test_workers_that_never_answer_are_an_error(monkeypatch):
    assert equal("L+1", "1+L") == "correct"
    monkeypatch.setattr(pool, "SILENCE", 0.5)
    monkeypatch.setattr(pool, "close", lambda: None)
    stop_workers()
    with pytest.raises(SpuriousError, match="do not answer"):
        equal("L+2", "2+L")
    monkeypatch.undo()
    pool.close()


def test_a_hang_in_a_batch_harms_no_neighbor():
    gold, answer = hanging_pair(10)
    pairs = [(rf"\boxed{{{n}+X}}", f"X+{n}") for n in range(100, 120)]
    pairs.insert(7, (rf"\boxed{{{answer}}}", gold))
    statuses = [grade.status for grade in verify_many(pairs)]
    assert statuses.pop(7) == "timeout"
    assert set(statuses) == {"correct"}


def test_a_dead_worker_is_a_failed_grade_and_is_replaced():
    assert equal("X+1", "1+X") == "correct"
    outcome = []
    grading = threading.Thread(target=lambda: outcome.append(equal(*hanging_pair(20))))
    grading.start()
    time.sleep(0.3)
    for worker in multiprocessing.active_children():
        if worker.name == "pebble_pool_worker" and worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
    grading.join()
    assert outcome == ["failed"]
    assert equal("Y+1", "1+Y") == "correct"


def break_pool():
    """What pebble does where every worker dies before it has taken up its work."""
    pool._pool._pool_manager.handle_broken_pool(BrokenProcessPool("All workers expired"))


def test_a_broken_pool_is_replaced_and_leaves_nothing():
    assert equal("B+1", "1+B") == "correct"
    open_files = len(os.listdir("/proc/self/fd"))
    for n in range(2, 5):
        broken = pool._pool
        old = {one.pid for one in multiprocessing.active_children() if one.name == "pebble_pool_worker"}
        break_pool()
        assert equal(f"B+{n}", f"{n}+B") == "correct"
        assert pool._pool is not broken
        assert old.isdisjoint(one.pid for one in multiprocessing.active_children())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= open_files


def test_a_pool_that_breaks_after_it_was_asked_for_is_asked_for_again(monkeypatch):
    assert equal("D+1", "1+D") == "correct"
    running, given = pool._running, []

    def breaks_once():
        given.append(running())
        if len(given) == 1:
            break_pool()
        return given[-1]

    monkeypatch.setattr(pool, "_running", breaks_once)
    assert equal("D+2", "2+D") == "correct"
    assert len(given) == 2


def test_a_worker_cannot_take_all_memory():
    future = pool._running().schedule(bytearray, args=[3 << 30])
    assert isinstance(future.exception(timeout=20), MemoryError)
    assert equal("Z+1", "1+Z") == "correct"


def test_closing_and_starting_again():
    pool.close()
    assert equal("U+1", "1+U") == "correct"
    pool.close()
    pool.close()


def test_threads_share_the_pool():
    results = {}

    def grade(n):
        results[n] = [equal(f"T+{n}+{k}", f"{k}+{n}+T") for k in range(5)]

    threads = [threading.Thread(target=grade, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: ["correct"] * 5 for n in range(4)}


PROCESSES = """
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from spurious.verify import equal

def grade(n):
    return equal(f"X+{n}", f"{n}+X")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[2] == "daemonic":
        with context.Pool(2) as processes:
            print(processes.map(grade, [1, 2]))
            processes.close()
            processes.join()
    else:
        with ProcessPoolExecutor(2, mp_context=context) as processes:
            print(list(processes.map(grade, [1, 2])))
"""


@pytest.mark.parametrize("kind", ["daemonic", "executor"])
@pytest.mark.parametrize("how", ["spawn", "fork", "forkserver"])
def test_processes_of_multiprocessing_grade_and_end(how, kind, tmp_path):
    (tmp_path / "script.py").write_text(PROCESSES)
    command = [sys.executable, tmp_path / "script.py", how, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as script:
        assert script.communicate(timeout=60)[0] == "['correct', 'correct']\n"
    until = time.monotonic() + 20
    while of_session(script.pid):
        assert time.monotonic() < until, "processes were left behind"
        time.sleep(0.1)


def of_session(leader):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended just now
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


FORKS = """
import os
from spurious.verify import equal, pool
assert equal("X+1", "1+X") == "correct"
pid = os.fork()
if pid == 0:
    status = equal("W+1", "1+W")
    pool.close()
    os._exit(0 if status == "correct" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(equal("V+1", "1+V"))
"""


def test_a_forked_child_starts_its_own():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("correct\n", "")


def test_a_worker_that_starts_as_the_pool_stops_still_finds_its_locks(monkeypatch):
    pool.close()
    running = pool._running()
    running.schedule(os.getpid).result(timeout=60)
    workers = running._pool_manager.worker_manager
    mutex = workers.workers_channel.mutex
    names = [lock._semlock.name for lock in (mutex.reader_mutex, mutex.writer_mutex)]
    del mutex
    found, stop = [], process.stop_process

    def stop_process(worker):
        found.extend(Path("/dev/shm", f"sem.{name.lstrip('/')}").exists() for name in names)
        stop(worker)

    monkeypatch.setattr(process, "stop_process", stop_process)
    pool.close()
    assert found
    assert all(found)


@pytest.mark.parametrize("how", ["stdin", "command", "unguarded file"])
def test_any_script_may_grade_and_runs_once(how, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    arguments = {"stdin": ["-"], "command": ["-c", SCRIPT], "unguarded file": [str(path)]}[how]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=SCRIPT if how == "stdin" else "",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "correct wrong\n"
    assert done.stderr == ""


def test_the_fast_path_starts_no_process_and_imports_no_parser():
    code = (
        "import sys\nfrom spurious.verify import canonical, unparsable_golds, verify_many\n"
        "grades = verify_many([(r'\\boxed{7}', '7'), (r'\\boxed{1/2}', '0.5'), ('', '7'), (r'\\boxed{8}', '7')])\n"
        "print([grade.status for grade in grades], canonical('0.5'), unparsable_golds(['7', '1/2']))\n"
        "print([name for name in ('sympy', 'math_verify', 'pebble', 'torch') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["['correct', 'correct', 'absent', 'wrong'] 1/2 {}", "[]"]
