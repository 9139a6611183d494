"""Trains in forked children that can be killed on the way: `python tests/fork_server.py`.

The server has imported everything and started nothing, so that a child, which is a whole run from
its start-up on, costs little more than its own work. A child tells over a pipe where it is, so
that it can be killed there. Reads one JSON dictionary per line, the arguments of `_run`, and
answers each with a line: the children's exit codes and the marks that they left before they ended.
"""

import collections
import contextlib
import functools
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

import grain  # noqa: F401
import orbax.checkpoint  # noqa: F401
import tensorboardX  # noqa: F401
import tqdm  # noqa: F401
from absl import flags

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import parallel
from configs import smoke
from experiments import train  # noqa: F401
from experiments.evaluation import protocol
from tests import adversarial_experiment, toy_experiment


def main():
    sys.modules["experiments.papers.toy"] = toy_experiment
    sys.modules["experiments.papers.adversarial"] = adversarial_experiment
    flags.FLAGS.mark_as_parsed()
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), flush=True)


def _run(config, workdir, devices=1, processes=1, port=None, kill=None, log=None):
    """Forks a training, signals it where the plan says, and waits for its end.

    Args:
      config: changes of `configs/smoke.py`, flat.
      workdir: of the run.
      devices: simulated devices of each process.
      processes: how many.
      port: where process 0 listens, with more than one.
      kill: `{"signal", "process", "mark", "nth", "delay"}`: the signal goes to this process so many
        seconds after it left this mark for the n-th time, or after the start if `mark` is null. If
        `delay` is null it comes with the mark itself, before anything follows. In place of
        "signal": "file_limit", largest bytes of a file from then on, or "fill", a file that takes
        all space of its disk.

      log: file for what it prints; `WORKDIR.log` if null.

    Returns:
      `{"codes": [...], "marks": [[process, mark, seconds since the start], ...]}`.
    """
    reader, writer = os.pipe()
    began, children = time.monotonic(), []
    for process in range(processes):
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                options = {}
                if processes > 1:
                    options = {"coordinator": f"localhost:{port}", "processes": processes}
                    options["process"] = process
                _prepare(log or f"{workdir}.log", devices)
                mine = kill if kill and kill.get("process", 0) == process else None
                _leave_marks(f"{process} ", writer, mine)
                _train(config, workdir, options)
            finally:
                os._exit(99)
        children.append(child)
    os.close(writer)
    marks = _follow(reader, children, began, kill)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return {"codes": codes, "marks": marks}


def _follow(reader, children, began, kill):
    """Collects marks until all children are gone; sends the signal when its time has come."""
    marks, text, due, seen = [], b"", None, 0
    if kill and kill["mark"] is None:
        due = began + kill["delay"]
    while True:
        wait = None if due is None else max(0.0, due - time.monotonic())
        if not select.select([reader], [], [], wait)[0]:
            os.kill(children[kill.get("process", 0)], kill["signal"])
            kill = due = None
            continue
        more = os.read(reader, 4096)
        if not more:
            os.close(reader)
            return marks
        *lines, text = (text + more).split(b"\n")
        for line in lines:
            process, name = line.decode().split()
            marks.append([int(process), name, time.monotonic() - began])
            if kill and [int(process), name] == [kill.get("process", 0), kill["mark"]]:
                seen += 1
                if seen == kill["nth"] and kill["delay"] is not None:
                    due = time.monotonic() + kill["delay"]


def _prepare(log, devices):
    log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["XLA_FLAGS"] = (
        f"--xla_force_host_platform_device_count={devices}"
        " --xla_cpu_collective_call_warn_stuck_timeout_seconds=300"
        " --xla_cpu_collective_call_terminate_timeout_seconds=600"  # as in conftest.py
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _train(config, workdir, options):
    full = smoke.get_config()
    full.update_from_flattened_dict(config)
    code = train.main(full, workdir, **options)
    sys.stdout.flush()
    sys.stderr.flush()
    if options:
        import jax

        jax.distributed.shutdown()
    os._exit(code)


def _strike(writer, *, mark, nth, delay, process=0, file_limit=None, fill=None, **kill):
    del mark, nth, delay, process
    if kill:
        os.kill(os.getpid(), kill["signal"])
    elif fill:
        with open(fill, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024))
    else:
        # What it prints is no file of the run's, and goes on to the log through a process without
        # a limit. The marks end when that ends, too.
        log = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=[writer])
        os.dup2(log.stdin.fileno(), 1)
        os.dup2(log.stdin.fileno(), 2)
        log.stdin.close()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))


def _leave_marks(prefix, writer, kill):
    """Makes saves, evaluations and steps tell when they begin ("train" when a longer one ends)."""
    left = collections.Counter()

    def leave(mark):
        os.write(writer, f"{prefix}{mark}\n".encode())
        left[mark] += 1
        if kill and kill["delay"] is None and (mark, left[mark]) == (kill["mark"], kill["nth"]):
            _strike(writer, **kill)

    def around(module, name):
        function = getattr(module, name)

        @functools.wraps(function)
        def marked(*args, **kwargs):
            leave(name)
            try:
                return function(*args, **kwargs)
            finally:
                leave("train")

        setattr(module, name, marked)

    update = parallel.update

    def marked_update(function, **options):
        inner = update(function, **options)

        @functools.wraps(inner)
        def step(state, batch):
            leave("step")
            return inner(state, batch)

        return step

    parallel.update = marked_update
    around(trees, "save")
    around(protocol, "evaluate")


if __name__ == "__main__":
    main()
