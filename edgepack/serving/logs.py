"""What does the server write about itself: one JSON object a line, and never a value of a sample?"""

import logging
import sys
import time
import traceback
from functools import lru_cache
from typing import Any, TextIO

import orjson


class Log:
    """Writes events to a stream.

    Args:
        stream: Where lines go.
        requests: Whether answered requests are worth a line; refused ones are in any case.
    """

    def __init__(self, stream: TextIO | None = None, *, requests: bool = True) -> None:
        self._stream = stream or sys.stdout
        self.requests = requests

    def event(self, level: str, event: str, **facts: Any) -> None:
        """Write one line."""
        line = {"time": stamp(), "level": level, "event": event, **facts}
        try:
            self._stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode())
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more; requests are answered all the same
            return

    def failure(self, event: str, error: BaseException) -> None:
        """Write where an error that nobody expected came from; its own text may hold data and stays out."""
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        self.event("error", event, error=type(error).__name__, trace=frames[-8:])


class Handler(logging.Handler):
    """Turns what uvicorn and asyncio log into such lines."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if record.exc_info and record.exc_info[1]:
            self._log.failure(record.name, record.exc_info[1])
        else:
            self._log.event(record.levelname.lower(), record.name, message=record.getMessage()[:1000])


def stamp() -> str:
    """The time in UTC, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    return f"{_seconds(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(1)
def _seconds(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
