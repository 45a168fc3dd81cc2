"""Reads a profile: CPU milliseconds per record by step, by package and by function."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.steps import BESIDE, STEPS, Frame, step_of

_ROOT = str(Path(__file__).resolve().parents[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotspot:
    """A function, with what it calls (total) and without (own): C functions are its own."""

    name: str
    own_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotspots:
    """A profile, in CPU milliseconds per record.

    Attributes:
        total_ms: Of the worker's main thread.
        others_ms: Of its other threads: the Kafka consumer's above all.
        samples: How many stacks were seen; a share of 1 % of 1,000 is uncertain by a third.
        steps: By step, in a record's order, and what belongs to none.
        packages: Own time by package, largest first.
        functions: The functions by own time, largest first.
    """

    total_ms: float
    others_ms: float
    samples: int
    steps: list[tuple[str, float]]
    packages: list[tuple[str, float]]
    functions: list[Hotspot]

    @classmethod
    def read(cls, path: Path, *, records: int, top: int = 40) -> "Hotspots":
        """Return the hotspots of the profile at ``path``, divided by ``records``."""
        return cls.of(json.loads(path.read_text()), records=records, top=top)

    @classmethod
    def of(cls, profile: Mapping[str, Any], *, records: int, top: int = 40) -> "Hotspots":
        """Return the hotspots of a profile as ``bench.profiled`` writes it."""
        scale = 1_000 / records
        steps = dict.fromkeys([*STEPS, BESIDE], 0.0)
        packages: defaultdict[str, float] = defaultdict(float)
        own: defaultdict[Frame, float] = defaultdict(float)
        total: defaultdict[Frame, float] = defaultdict(float)
        for spent_s, frames in profile["stacks"]:
            stack: list[Frame] = [tuple(frame) for frame in frames]
            ms = spent_s * scale
            steps[step_of(stack)] += ms
            packages[_package(stack[0])] += ms
            own[stack[0]] += ms
            for frame in set(stack):
                total[frame] += ms
        ranked = sorted(own.items(), key=lambda item: -item[1])
        return cls(
            total_ms=profile["main_s"] * scale,
            others_ms=profile["others_s"] * scale,
            samples=profile["samples"],
            steps=list(steps.items()),
            packages=sorted(packages.items(), key=lambda item: -item[1]),
            functions=[
                Hotspot(name=_name(frame), own_ms=ms, total_ms=total[frame])
                for frame, ms in ranked[:top]
            ],
        )

    def as_json(self) -> dict[str, Any]:
        """Return the profile as one JSON object, milliseconds rounded."""
        return {
            "total_ms": round(self.total_ms, 4),
            "others_ms": round(self.others_ms, 4),
            "samples": self.samples,
            "steps": {step: round(ms, 4) for step, ms in self.steps},
            "packages": {package: round(ms, 4) for package, ms in self.packages},
            "functions": [asdict(spot) for spot in self.functions],
        }


def _package(frame: Frame) -> str:
    path = frame[0]
    if "site-packages/" in path:
        return path.partition("site-packages/")[2].partition("/")[0].removesuffix(".py")
    if path.startswith(_ROOT):
        return "/".join(path.removeprefix(_ROOT).strip("/").split("/")[:-1][:3])
    return "python"


def _name(frame: Frame) -> str:
    path, line, name = frame
    for start in ("site-packages/", _ROOT + "/"):
        if start in path:
            return f"{path.partition(start)[2]}:{line} {name}"
    return f"{'/'.join(path.split('/')[-2:])}:{line} {name}"
