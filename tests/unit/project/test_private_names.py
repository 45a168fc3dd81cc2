"""The private names of Faust, mode, aiokafka and aiohttp that the code uses.

An upgrade that moves one fails here by its name; docs/faust-private.md is the list for readers.
"""

import ast
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import streamapp

# The first test imports the whole package and parses Faust.
pytestmark = pytest.mark.timeout(60)

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "faust-private.md"
LIBRARIES = ("faust", "mode", "aiokafka", "aiohttp")
#: Name -> class that defines it, and how: a method that the library calls (``called``, which ours
#: replaces), one that ours calls (``method``), or an attribute that it sets (``set``).
PRIVATE = {
    "_add_gap": ("faust.transport.consumer:Consumer", "called"),
    "_assignment": ("aiokafka.consumer.fetcher:FetchResult", "set"),
    "_auto_offset_reset": ("aiokafka:AIOKafkaConsumer", "set"),
    "_build_offsets": ("faust.tables.recovery:Recovery", "called"),
    "_changelog_topic_name": ("faust.tables.base:Collection", "called"),
    "_buffer": ("aiokafka.record.default_records:_DefaultRecordBatchPy", "set"),
    "_client": ("aiokafka:AIOKafkaConsumer", "set"),
    "_closed": ("aiokafka.consumer.fetcher:Fetcher", "set"),
    "_closing": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "set"),
    "_commit_lock": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "set"),
    "_committed_offset": ("faust.transport.consumer:Consumer", "set"),
    "_conns": ("aiokafka.client:AIOKafkaClient", "set"),
    "_consumer": ("faust.app.base:App", "set"),
    "_coordination_task": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "set"),
    "_coordinator": ("aiokafka:AIOKafkaConsumer", "set"),
    "_create_connection": ("aiohttp:BaseConnector", "called"),
    "_create_directories": ("faust.app.base:App", "called"),
    "_create_fetch_waiter": ("aiokafka.consumer.fetcher:Fetcher", "method"),
    "_create_worker_consumer": (
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread",
        "called",
    ),
    "_current_request": ("aiohttp.web:RequestHandler", "set"),
    "_db_for_partition": ("faust.stores.rocksdb:Store", "method"),
    "_dbs": ("faust.stores.rocksdb:Store", "set"),
    "_do_commit_offsets": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "method"),
    "_enabled_blueprints": ("faust.web.base:Web", "called"),
    "_ensure_consumer": ("faust.transport.drivers.aiokafka:AIOKafkaConsumerThread", "method"),
    "_ensure_producer": ("faust.transport.drivers.aiokafka:Producer", "method"),
    "_error": ("aiokafka.consumer.fetcher:FetchError", "set"),
    "_fetch_max_wait_ms": ("aiokafka:AIOKafkaConsumer", "set"),
    "_fetch_records": ("faust.transport.drivers.aiokafka:AIOKafkaConsumerThread", "called"),
    "_fetch_task": ("aiokafka.consumer.fetcher:Fetcher", "set"),
    "_fetcher": ("aiokafka:AIOKafkaConsumer", "set"),
    "_force_close": ("aiohttp.web:RequestHandler", "set"),
    "_get": ("aiohttp:BaseConnector", "called"),
    "_get_external_topic_distribution": (
        "faust.assignor.partition_assignor:PartitionAssignor",
        "called",
    ),
    "_get_active_partitions": ("faust.transport.consumer:Consumer", "method"),
    "_isolation_level": ("aiokafka:AIOKafkaConsumer", "set"),
    "_kwargs": ("aiohttp.web:Server", "set"),
    "_make_server": ("aiohttp.web_runner:BaseRunner", "called"),
    "_metadata_update": ("aiokafka.client:AIOKafkaClient", "method"),
    "_new_consumer": ("faust.app.base:App", "called"),
    "_new_producer": ("faust.app.base:App", "called"),
    "_new_consumer_thread": ("faust.transport.consumer:ThreadDelegateConsumer", "called"),
    "_new_store_by_url": ("faust.tables.base:Collection", "called"),
    "_new_web": ("faust.app.base:App", "called"),
    "_notify": ("aiokafka.consumer.fetcher:Fetcher", "method"),
    "_on_partitions_assigned": ("faust.app.base:App", "method"),
    "_on_partitions_revoked": ("faust.app.base:App", "called"),
    "_on_rebalance_when_stopped": ("faust.app.base:App", "called"),
    "_open_for_partition": ("faust.stores.rocksdb:Store", "called"),
    "_partition": ("aiokafka:AIOKafkaProducer", "method"),
    "_partition_records": ("aiokafka.consumer.fetcher:FetchResult", "set"),
    "_paused_partitions": ("faust.transport.consumer:Consumer", "set"),
    "_pending_tasks": ("aiokafka.consumer.fetcher:Fetcher", "set"),
    "_perform_assignment": (
        "faust.assignor.partition_assignor:PartitionAssignor",
        "called",
    ),
    "_pos": ("aiokafka.record.default_records:_DefaultRecordBatchPy", "set"),
    "_push_error_to_user": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "called"),
    "_read_offset": ("faust.transport.consumer:Consumer", "set"),
    "_read_msg": ("aiokafka.record.default_records:_DefaultRecordBatchPy", "called"),
    "_records": ("aiokafka.consumer.fetcher:Fetcher", "set"),
    "_records_iterator": ("aiokafka.consumer.fetcher:PartitionRecords", "set"),
    "_recovery": ("faust.tables.manager:TableManager", "set"),
    "_redirect_stdouts": ("mode.worker:Worker", "method"),
    "_release": ("aiohttp:BaseConnector", "called"),
    "_runner": ("faust.web.drivers.aiohttp:Web", "set"),
    "_seek": ("faust.transport.consumer:Consumer", "called"),
    "_sender": ("aiokafka:AIOKafkaProducer", "set"),
    "_send_req": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "called"),
    "_set_current_event": ("faust.streams:Stream", "method"),
    "_set_error": ("aiokafka.consumer.fetcher:Fetcher", "called"),
    "_setup_logging": ("mode.worker:Worker", "called"),
    "_stop_commit_offsets_refresh_task": (
        "aiokafka.consumer.group_coordinator:GroupCoordinator",
        "method",
    ),
    "_stop_heartbeat_task": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "method"),
    "_subscriptions": ("aiokafka.consumer.fetcher:Fetcher", "set"),
    "_thread": ("faust.transport.consumer:ThreadDelegateConsumer", "set"),
    "_to_message": ("faust.transport.drivers.aiokafka:Consumer", "called"),
    "_unpack_records": ("aiokafka.consumer.fetcher:PartitionRecords", "method"),
    "_update_channels": ("faust.tables.manager:TableManager", "method"),
    "_versions": ("aiokafka.conn:AIOKafkaConnection", "set"),
    "_wait_consume_future": ("aiokafka.consumer.fetcher:Fetcher", "set"),
    "_wait_on_metadata": ("aiokafka.client:AIOKafkaClient", "method"),
    "_writer": ("aiokafka.conn:AIOKafkaConnection", "set"),
}
#: Without an underscore, and in no documentation either.
UNPROMISED = {
    "active_offsets": ("faust.tables.recovery:Recovery", "set"),
    "apply_changelog_batch": ("faust.tables.base:Collection", "called"),
    "completed": ("faust.tables.recovery:Recovery", "set"),
    "coordinator_lookup": ("aiokafka.client:AIOKafkaClient", "called"),
    "external_topic_distribution": (
        "faust.assignor.partition_assignor:PartitionAssignor",
        "method",
    ),
    "offset_key": ("faust.stores.rocksdb:Store", "set"),
    "on_changelog_event": ("faust.tables.base:Collection", "called"),
    "on_rebalance_end": ("faust.app.base:App", "called"),
    "on_recovery_completed": ("faust.tables.base:Collection", "called"),
    "persisted_offset": ("faust.stores.rocksdb:Store", "called"),
    "reset_generation": ("aiokafka.consumer.group_coordinator:GroupCoordinator", "called"),
    "wait_first": ("mode.services:Service", "called"),
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def modules() -> Iterator[ModuleType]:
    """Yield every module of the package but the two that start a worker."""
    for found in pkgutil.walk_packages(streamapp.__path__, "streamapp."):
        if found.name not in ("streamapp.app", "streamapp.__main__"):
            yield importlib.import_module(found.name)


def is_name(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def is_super(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and is_name(node.func, "super")


def names_on_foreign_objects(tree: ast.AST) -> Iterator[str]:
    """Yield private attributes of anything but ``self``; those of ``os``, ``sys`` are public.

    So is a named tuple's ``_replace``: the underscore keeps it apart from fields.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr):
            continue
        if node.attr == "_replace":
            continue
        if not is_name(node.value, "self", "cls", "os", "sys") and not is_super(node.value):
            yield node.attr


def class_nodes(tree: ast.AST) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def names_of_bases(node: ast.ClassDef) -> Iterator[str]:
    """Yield the private names that a class defines, or reads from itself."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and is_private(inner.name):
            yield inner.name
        elif (
            isinstance(inner, ast.Attribute)
            and is_private(inner.attr)
            and is_name(inner.value, "self")
        ):
            yield inner.attr


def parsed(path: str | Path) -> ast.Module:
    """Return a file's tree; nobody keeps it: each collection of garbage would walk it again."""
    return ast.parse(Path(path).read_text())


def names_set_by(owner: type) -> set[str]:
    """Return the attributes that the class itself assigns or declares."""
    declared = {*vars(owner), *vars(owner).get("__annotations__", ())}
    return declared | names_set_in(inspect.getfile(owner))[owner.__name__]


@cache
def names_set_in(path: str) -> Mapping[str, set[str]]:
    """Return name of a file's class -> the attributes that it assigns."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in class_nodes(parsed(path)):
        for inner in ast.walk(node):
            if (
                isinstance(inner, ast.Attribute)
                and isinstance(inner.ctx, ast.Store)
                and is_name(inner.value, "self")
            ):
                found[node.name].add(inner.attr)
    return found


@cache
def called_in(library: str) -> set[str]:
    """Return the attributes that a library's code reads from anything but ``super()``."""
    file = importlib.import_module(library).__file__
    return {
        node.attr
        for path in Path(str(file)).parent.rglob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and not is_super(node.value)
    }


def foreign_bases(module: ModuleType, node: ast.ClassDef) -> list[type]:
    """Return the library's classes among the bases; also of a class inside a function."""
    names = [ast.unparse(base).partition("[")[0] for base in node.bases]
    known = {**vars(module)}
    classes: list[Any] = []
    for name in names:
        found: Any = known.get(name.partition(".")[0])
        for part in name.split(".")[1:]:
            found = getattr(found, part, None)
        if inspect.isclass(found):
            classes += found.__mro__
    return [one for one in dict.fromkeys(classes) if one.__module__.partition(".")[0] in LIBRARIES]


@cache
def in_use() -> Mapping[str, set[str]]:
    """Return private name of a library -> files of ours that use it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in modules():
        path = Path(inspect.getfile(module))
        tree = parsed(path)
        file = str(path.relative_to(ROOT))
        own = {name for node in class_nodes(tree) for name in names_of_bases(node)} - PRIVATE.keys()
        for name in names_on_foreign_objects(tree):
            if name not in own:
                found[name].add(file)
        for node in class_nodes(tree):
            bases = foreign_bases(module, node)
            for name in names_of_bases(node):
                if any(name in names_set_by(base) for base in bases):
                    found[name].add(file)
    return dict(found)


def rows() -> dict[str, set[str]]:
    """Return name -> files, as the page's first table says."""
    table = PAGE.read_text().partition("## Private")[2].partition("\n## ")[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found[cells[0].strip("`")] = {
                f"streamapp/{name}" for name in re.findall(r"`([\w/]+\.py)`", cells[2])
            }
    return found


def owner_of(path: str) -> type:
    module, _, name = path.partition(":")
    owner: type = getattr(importlib.import_module(module), name)
    # A test before this one may have put ours in its place.
    return next(one for one in owner.__mro__ if one.__module__.partition(".")[0] in LIBRARIES)


def test_every_private_name_in_use_is_listed() -> None:
    """A new use of a library's private name needs a row here and on the page."""
    assert set(in_use()) == set(PRIVATE)


def test_the_page_names_the_files_that_use_each() -> None:
    """What readers are told is what the code does."""
    assert rows() == in_use()


def test_the_page_names_tests_that_exist() -> None:
    """Each file of tests that the page points to is there."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE.read_text()))

    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", [*PRIVATE, *UNPROMISED])
def test_the_library_still_has(name: str) -> None:
    """The class defines or sets it; what ours replaces is still called by the library."""
    path, kind = {**PRIVATE, **UNPROMISED}[name]
    owner = owner_of(path)

    assert name in names_set_by(owner), f"{path} has no {name}"
    if kind == "called":
        library = owner.__module__.partition(".")[0]
        assert name in called_in(library), f"nothing in {library} calls {name} any more"


@pytest.mark.parametrize("name", [name for name, (_, kind) in PRIVATE.items() if kind == "called"])
def test_what_replaces_it_takes_what_the_library_hands_over(name: str) -> None:
    """Our method has the parameters of the one that it replaces, in their order."""
    theirs = list(inspect.signature(getattr(owner_of(PRIVATE[name][0]), name)).parameters)
    for file in in_use()[name]:
        for node in ast.walk(parsed(ROOT / file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                ours = [argument.arg for argument in node.args.args]

                assert len(ours) == len(theirs), f"{file}: {name}({', '.join(theirs)})"
