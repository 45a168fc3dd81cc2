"""A split: the label that a key gets, by its hash alone, so always the same one."""

import math
from collections.abc import Mapping
from hashlib import blake2b

_BITS = 52  # so that both ends of (0, 1) stay open in a double


def choose(shares: Mapping[str, int], sticky: bytes, *, salt: str) -> str:
    """Return one of the labels, each for its share of all keys.

    Weighted rendezvous hashing: each label scores the key, the best score wins. So a change of
    the shares moves only as many keys as it must, whatever the order of the labels.

    Args:
        shares: Positive weights by label, at least one.
        sticky: The key.
        salt: Keys fall independently for different salts.
    """
    return max(shares, key=lambda label: _score(shares[label], f"{salt}@{label}:", sticky))


def _score(weight: int, salt: str, sticky: bytes) -> float:
    number = int.from_bytes(blake2b(salt.encode() + sticky, digest_size=8).digest())
    return -weight / math.log(((number >> (64 - _BITS)) + 0.5) * 2.0**-_BITS)
