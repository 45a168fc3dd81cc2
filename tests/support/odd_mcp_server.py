"""An MCP server that does what none should, as a program: ``python -m`` and this module.

It needs no SDK. Its tools: ``junk`` writes what is no message before it answers, ``big`` gives
50 MB, ``last`` as well, with its id at the end, ``wrong`` gives no result of a tool, ``hang``
nothing, ``die`` ends the program, and ``where`` tells its process. Two of its tools have one name
for providers.
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
                tools = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
                say(asked["id"], result={"tools": tools})
            case "tools/call":
                call(asked["id"], asked["params"]["name"])
            case _ if "id" in asked:
                say(asked["id"], error={"code": -32601, "message": "unknown"})


if __name__ == "__main__":
    main()
