"""The end of a worker's process, also while the thread of its Kafka client still runs."""

import logging
import os
import sys
import threading
from contextlib import suppress

from mode.threads import WorkerThread


def leave_if_threads_run(code: object) -> None:
    """End the process where a client's thread outlives the worker; else return.

    The thread waits in uvloop, outside of Python. What wakes it there while the interpreter is
    taken down asks for an interpreter that is gone: SIGSEGV in place of the exit code (CPython
    3.11, `PyGILState_Ensure`). So the log is written to its end, and that is all.

    Args:
        code: Of a `SystemExit`.
    """
    if not any(isinstance(thread, WorkerThread) for thread in threading.enumerate()):
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
