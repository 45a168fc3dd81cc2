"""The operation on the caches of a group."""

from typing_extensions import TypedDict

from streamapp.web.operations.operation import GROUP, Operation


class KeptAnswerBody(TypedDict):
    """An answer that a worker keeps for equal calls, made at ``created_at``, seconds (epoch)."""

    url: str
    tier: str
    created_at: float


class CacheEntryBody(TypedDict):
    """The workers that keep an answer, and what the first of them, the one asked or another, knows.

    A call is free at these workers, and at any where one names the tier ``redis``.
    """

    tier: str
    created_at: float
    workers: list[KeptAnswerBody]


OPERATIONS = (
    Operation(
        "GET",
        "/v1/cache/{fingerprint}",
        "Tell which workers keep the answer of a call, without the answer",
        CacheEntryBody,
        errors=(404, 503),
        places={"fingerprint": {"pattern": "^[0-9a-f]{32}$"}},
        access=GROUP,
    ),
)
