"""`python -m tests.support.small_disk`: the worker, where no file can grow past a megabyte."""

import resource
import runpy
import sys

LIMIT = 1_000_000

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    sys.argv = ["streamapp", "worker"]
    runpy.run_module("streamapp", run_name="__main__")
