"""`python -m frameworks URL KEY FRAMEWORK`: its last line is one JSON object, by try."""

import asyncio
import importlib
import inspect
import json
import sys
import traceback
from typing import Any

from frameworks.asked import FRAMEWORK

module = importlib.import_module(f"frameworks.try_{FRAMEWORK}")
found: dict[str, Any] = {}
# One loop for all of them, as programs have: their clients' connections belong to it.
with asyncio.Runner() as runner:
    for name, tried in inspect.getmembers(module, inspect.isfunction):
        if tried.__module__ != module.__name__ or name.startswith("_"):
            continue
        try:
            value = tried()
            found[name] = runner.run(value) if inspect.iscoroutine(value) else value
        except Exception:  # each is told of by itself
            found[name] = {"error": traceback.format_exc()[-2000:]}
sys.stdout.write("\n" + json.dumps(found))  # some print there too
