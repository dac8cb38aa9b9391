"""Processes that do jobs in parallel."""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait

import rich.progress
from rich.console import Console

from ..errors import UserError


def bar() -> dict:
    """How rich's progress bars are shown: to people, while they wait."""
    return dict(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def stop(number: int, _=None) -> None:
    """Handle a signal: leave with the shell's exit code for it, undisturbed while cleaning up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


class Workers:
    """Processes for parallel jobs, started when there are some; a single one is this process itself.

    Unlike those of the standard library's pools they clean up when a signal ends them, and it is noticed when
    one is killed.

    Args:
        count (int): How many.
    """

    def __init__(self, count: int):
        self.count = count
        self.processes = {}

    def __enter__(self) -> 'Workers':
        return self

    def __exit__(self, *_):
        for pipe, process in self.processes.items():
            process.terminate()
            pipe.close()  # Python drops an exit that falls into a destructor or a callback; this ends it, too
        for process in self.processes.values():
            process.join()

    def run(self, function: Callable[[list], list], items: Iterable, what: str) -> list:
        """Call a function with parts of the items; return all that it returns, in any order.

        Args:
            function (Callable): Takes and returns a list. Raises UserError or OSError, nothing else.
            items (Iterable): What it takes.
            what (str): What the progress bar says.
        """
        items = list(items)
        size = -(-len(items) // (16 * self.count)) or 1
        jobs = [items[first : first + size] for first in range(0, len(items), size)]
        results = self._share(function, jobs) if min(self.count, len(jobs)) > 1 else map(function, jobs)
        return [x for result in rich.progress.track(results, what, len(jobs), **bar()) for x in result]

    def _share(self, function: Callable, jobs: list[list]) -> Iterator[list]:
        while len(self.processes) < min(self.count, len(jobs)):
            self._start()
        jobs, busy = iter(jobs), set()
        try:
            for pipe, job in zip(self.processes, jobs):
                pipe.send((function, job))
                busy.add(pipe)
            while busy:
                for pipe in wait(busy):
                    answer = pipe.recv()
                    if isinstance(answer, Exception):
                        raise answer
                    if job := next(jobs, None):
                        pipe.send((function, job))
                    else:
                        busy.remove(pipe)
                    yield answer
        except (EOFError, ConnectionError):
            raise UserError('a worker process died: is there too little memory? Try --workers 1') from None

    def _start(self) -> None:
        spawn = multiprocessing.get_context('spawn')  # a forked one can inherit a lock that a thread holds
        here, there = spawn.Pipe()
        process = spawn.Process(target=_work, args=(there,), daemon=True)
        # Ctrl-C in a terminal reaches all processes; only this one shall act on it.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, previous)
        there.close()
        self.processes[here] = process


def _work(pipe: Connection) -> None:
    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(EOFError, ConnectionError):  # whoever started this process is gone
        while True:
            function, job = pipe.recv()
            try:
                answer = function(job)
            except (UserError, OSError) as error:
                answer = error
            pipe.send(answer)
