"""How are two trainings compared on a machine whose speed changes within minutes?

Both run in one process, each in a thread of its own, and only the one that holds the baton goes on: it is handed over
every few batches, so that both meet the same machine. Time counts for whoever holds it.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

BATCHES = 10
"""Batches of a turn: a second or two, long beside what waits in the queues of the input pipeline."""


def seconds(*trainings: Callable[[Any], None], batches: int = BATCHES) -> list[float]:
    """Train in turns until all are done; returns how long each held the baton, in seconds.

    Args:
        trainings: Each trains with the tf_keras callback that it is given. The first has the first turn.
        batches: Training batches of a turn.

    Raises:
        BaseException: What a training raised.
    """
    runners = [_Runner(training, batches) for training in trainings]
    for runner, following in zip(runners, runners[1:] + runners[:1], strict=True):
        runner.following = following
    runners[0].turn.release()
    for runner in runners:
        runner.thread.join()
    for runner in runners:
        if runner.failure is not None:
            raise runner.failure
    return [runner.seconds for runner in runners]


class _Runner:
    """One of the trainings."""

    def __init__(self, training: Callable[[Any], None], batches: int) -> None:
        self.following: _Runner = self
        self.turn = threading.Semaphore(0)
        self.done = False
        self.failure: BaseException | None = None
        self.seconds = 0.0
        self.start = 0.0
        self.thread = threading.Thread(target=self._run, args=(training, batches))
        self.thread.start()

    def _run(self, training: Callable[[Any], None], batches: int) -> None:
        """Train, and leave the baton to the others afterwards."""
        self._take()
        try:
            training(_every(batches, self._pass))
        except BaseException as error:
            self.failure = error
        self.done = True
        self._hand_over()

    def _pass(self) -> None:
        """End a turn and wait for the next one."""
        self._hand_over()
        self._take()

    def _take(self) -> None:
        self.turn.acquire()
        self.start = time.perf_counter()

    def _hand_over(self) -> None:
        self.seconds += time.perf_counter() - self.start
        receiver = self.following
        while receiver.done and receiver is not self:
            receiver = receiver.following
        receiver.turn.release()


def _every(batches: int, call: Callable[[], None]) -> Any:
    """A callback that calls after every so many training batches."""
    import tf_keras

    class Every(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        def on_train_begin(self, logs: Any = None) -> None:
            self.seen = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen += 1
            if self.seen % batches == 0:
                call()

    return Every()
