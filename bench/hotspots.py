"""Reads a profile: milliseconds per record by package, and the functions that cost most."""

import pstats
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[1])
_Function = tuple[str, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotspot:
    """A function's own time; a builtin's time is also counted with its callers' packages."""

    name: str
    own_ms: float
    total_ms: float
    calls: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotspots:
    """A profile, per record.

    Attributes:
        total_ms: Own time of everything but waiting.
        packages: Own milliseconds per record by package, largest first.
        functions: The functions by own time, largest first.
    """

    total_ms: float
    packages: list[tuple[str, float]]
    functions: list[Hotspot]

    @classmethod
    def read(cls, path: Path, *, records: int, top: int = 40) -> "Hotspots":
        """Return the hotspots of the profile at ``path``, divided by ``records``."""
        stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]  # not in typeshed
        packages: defaultdict[str, float] = defaultdict(float)
        functions = []
        for function, (_, calls, own_s, total_s, callers) in stats.items():
            if _is_waiting(function):
                continue
            scale = 1_000 / records
            functions.append(
                Hotspot(
                    name=_name(function),
                    own_ms=own_s * scale,
                    total_ms=total_s * scale,
                    calls=calls / records,
                )
            )
            if function[0] != "~" or not callers:
                packages[_package(function)] += own_s * scale
            else:
                for caller, (_, _, own_by_caller_s, _) in callers.items():
                    packages[_package(caller)] += own_by_caller_s * scale
        functions.sort(key=lambda hotspot: -hotspot.own_ms)
        return cls(
            total_ms=sum(hotspot.own_ms for hotspot in functions),
            packages=sorted(packages.items(), key=lambda item: -item[1]),
            functions=functions[:top],
        )


def _is_waiting(function: _Function) -> bool:
    return "poll" in function[2] and "select." in function[2]


def _package(function: _Function) -> str:
    path = function[0]
    if "site-packages/" in path:
        return path.partition("site-packages/")[2].partition("/")[0].removesuffix(".py")
    if path.startswith(_ROOT):
        return "/".join(path.removeprefix(_ROOT).strip("/").split("/")[:-1][:3])
    return "builtins" if path == "~" else "python"


def _name(function: _Function) -> str:
    path, line, name = function
    if path == "~":
        return name
    for start in ("site-packages/", _ROOT + "/"):
        if start in path:
            return f"{path.partition(start)[2]}:{line} {name}"
    return f"{'/'.join(path.split('/')[-2:])}:{line} {name}"
