"""A process that has imported what a worker imports, and forks a child for each start of a test.

Nearly all CPU of a start goes into imports, 1.4 s for a worker; a fork takes a hundredth of it.
Started by `tests.support.forked` alone. A child is what `python -m MODULE ARGS` would be: it has
the arguments, variables, directory and files of its start and nothing of the server's but modules;
its parent is the test process, as of any other child of a test.
"""

import array
import gc
import importlib
import inspect
import json
import os
import runpy
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from streamapp.telemetry.lean_import import import_structlog
from tests.support.forked import LARGEST

#: What a worker has imported when it is ready.
MODULES = (
    *("streamapp.cli.worker", "faust.cli.faust", "streamapp.bootstrap", "uvloop"),
    *(f"streamapp.processors.{n}" for n in ("classify", "embed", "extract", "generate")),
    *(f"streamapp.processors.{n}" for n in ("summarize", "translate")),
    *(
        "faust.app.router",
        "faust.events",
        "faust.topics",
        "faust.tables.sets",
        "faust.fixups.django",
    ),
    *("faust.stores.memory", "faust.transport.utils", "faust.web.cache.backends.memory"),
    "encodings.idna",
)


def import_all() -> None:
    """Import as a worker does."""
    import_structlog()
    for name in MODULES:
        importlib.import_module(name)
    inspect.getmodule(inspect.currentframe())  # finds the files of all modules, and keeps them
    mapping = importlib.import_module("mode.utils.imports").FactoryMapping
    for plugins in [one for one in gc.get_objects() if type(one) is mapping]:
        plugins.get_alias(next(iter(plugins.aliases)))  # reads the metadata of all packages
    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, f"a fork would lose the threads of an import: {threads}"


def serve(requests: socket.socket) -> tuple[dict[str, Any], Sequence[int]]:
    """Fork a child for each request; return the request and its files in the child.

    Two answers go back: the number of the request with the child's id, and, by the child once it
    leads a group of its own and can be signalled, with 0.

    Raises:
        SystemExit: The test process has ended.
    """
    while True:
        message, passed = _next(requests)
        if not message:
            raise SystemExit
        request, files = json.loads(message), array.array("i", passed[0][2])
        # The test process adopts children whose parent has ended: so this one ends at once.
        parent = os.fork()
        if parent == 0:
            parent = os.getpid()
            child = os.fork()
            if child:
                requests.send(f"{request['number']} {child}".encode())
                os._exit(0)
            while os.getppid() == parent:
                time.sleep(0.001)
            os.setsid()
            requests.send(f"{request['number']} 0".encode())
            return request, files
        os.waitpid(parent, 0)
        for file in files:
            os.close(file)


def _next(requests: socket.socket) -> tuple[bytes, Any]:
    """Return the next request and what came with it; nothing once the test process has ended."""
    try:
        message, passed, _, _ = requests.recvmsg(LARGEST, socket.CMSG_SPACE(3 * 4))
    except ConnectionResetError:
        return b"", ()
    return message, passed


def become(request: dict[str, Any], files: Sequence[int], path: Sequence[str]) -> None:
    """Give this process what the request asks for, and nothing that is the server's.

    Args:
        request: Variables, directory and arguments.
        files: Those of stdin, stdout and stderr.
        path: Where Python by itself looks for modules.
    """
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    added = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [os.getcwd(), *added, *path]
    sys.path_importer_cache.clear()
    sys.argv[1:] = request["arguments"]


if __name__ == "__main__":
    gc.disable()
    import_all()
    gc.freeze()  # else a child's collector would write to every page that it shares
    gc.enable()
    connection = socket.socket(fileno=int(sys.argv[1]))
    imported = {name.partition(".")[0] for name in sys.modules}
    try:
        connection.send(json.dumps(sorted(imported)).encode())
    except BrokenPipeError:
        sys.exit()  # the test process has ended meanwhile
    asked, passed_files = serve(connection)
    connection.detach()
    become(asked, passed_files, sys.path[1:])
    # To the end of this module and the interpreter: exit codes and what runs at exit are Python's.
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
