"""An MCP server that does what none should, as a program: ``python -m`` and this module.

It needs no SDK. Its tools: ``junk`` writes what is no message before it answers, ``big`` gives
50 MB, ``last`` as well, with its id at the end, ``wrong`` gives no result of a tool, ``hang``
nothing, ``die`` ends the program, and ``where`` tells its process. It offers more than any provider
takes: two tools of one name, one with a book for a description, and hundreds.
"""

import json
import os
import sys
from typing import Any

BIG = 50_000_000
CANARY = "MCP-CANARY"
NAMES = ("junk", "big", "last", "wrong", "hang", "die", "where", "get.order", "get__order", "no t")


def say(number: int, **fields: Any) -> None:
    """Send an answer."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": number, **fields}) + "\n")
    sys.stdout.flush()


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def call(number: int, name: str) -> None:
    """Do what the tool of that name does."""
    if name == "die":
        os._exit(3)
    elif name == "junk":
        sys.stdout.write(f"{CANARY} is no message\n\n")
        say(number, result=text("after junk"))
    elif name == "wrong":
        say(number, result={"content": CANARY})
    elif name == "big":
        say(number, result=text("x" * BIG))
    elif name == "last":
        result = json.dumps(text("x" * BIG))
        sys.stdout.write(f'{{"result":{result},"jsonrpc":"2.0","id":{number}}}\n')
        sys.stdout.flush()
    elif name != "hang":
        say(number, result=text(str(os.getpid())))


def listed() -> list[dict[str, Any]]:
    """Return the tools, and what no provider would take."""
    plain: dict[str, Any] = {"inputSchema": {"type": "object"}}
    found = [{**plain, "name": name} for name in NAMES]
    found.append({**plain, "name": "long", "description": "x" * 30_000})
    return found + [{**plain, "name": f"many{number}"} for number in range(200)]


def main() -> None:
    """Answer, until nobody asks any more."""
    for line in sys.stdin:
        asked = json.loads(line)
        match asked.get("method"):
            case "initialize":
                known = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {}}
                known["capabilities"] = {"tools": {}}
                say(asked["id"], result={**known, "serverInfo": {"name": "odd", "version": "1"}})
            case "tools/list":
                say(asked["id"], result={"tools": listed()})
            case "tools/call":
                call(asked["id"], asked["params"]["name"])
            case _ if "id" in asked:
                say(asked["id"], error={"code": -32601, "message": "unknown"})


if __name__ == "__main__":
    main()
