"""The fingerprint of a call: equal calls have the same one."""

from collections.abc import Iterable
from hashlib import blake2b

import orjson

from streamapp.llm.completion import Call


class Fingerprints:
    """Fingerprints of one route's calls: the same in every worker and after every restart.

    Args:
        scope: What the answer depends on besides the call: the route's name and what it leads
            to, so that an answer of yesterday's model is not given for today's.
    """

    def __init__(self, scope: Iterable[str]) -> None:
        self._base = blake2b(orjson.dumps(list(scope)), digest_size=16)

    def of(self, call: Call) -> str:
        """Return the fingerprint, 32 hexadecimal digits; empty where ``call`` is no JSON.

        Tenants never share one. The order of keys makes no difference, that of messages does.
        """
        content = (
            call.operation,
            call.tenant,
            call.prompt,
            call.messages,
            call.inputs,
            call.parameters,
            call.output_schema,
            *((call.sample,) if call.sample else ()),
        )
        try:
            text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            return ""  # a number above 64 bits, say: the provider refuses it by name
        digest = self._base.copy()
        digest.update(text)
        return digest.hexdigest()
