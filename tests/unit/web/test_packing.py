"""Unpacking: exact, bounded, and never of half a body."""

import gzip
import zlib

import pytest

from streamapp.web.packing import MEMBERS, unpacked

TEXT = b'{"type":"echo"}' * 9
BARE = zlib.compressobj(wbits=-15)
BARE_TEXT = BARE.compress(TEXT) + BARE.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
        pytest.param("gzip", gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]), id="parts"),
        pytest.param("deflate", zlib.compress(TEXT), id="deflate"),
        pytest.param("deflate", BARE_TEXT, id="without zlib's head"),
    ],
)
def test_body_is_as_it_was(encoding: str, body: bytes) -> None:
    """Whatever clients mean by the two names."""
    assert unpacked(body, encoding, most=1_000) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"abc", id="something else"),
        pytest.param(gzip.compress(TEXT)[:-9], id="gzip cut short"),
        pytest.param(zlib.compress(TEXT)[:-5], id="deflate cut short"),
        pytest.param(gzip.compress(TEXT) + b"abc", id="something behind it"),
        pytest.param(gzip.compress(b"") * (MEMBERS + 1), id="too many parts"),
    ],
)
def test_what_is_not_packed_so_is_refused(encoding: str, body: bytes) -> None:
    """Half of a body is none."""
    with pytest.raises(ValueError, match=r"."):
        unpacked(body, encoding, most=1_000)


def test_no_more_is_unpacked_than_wanted() -> None:
    """A small body cannot become a large one in memory."""
    bomb = gzip.compress(bytes(100_000_000))

    assert len(unpacked(bomb, "gzip", most=1_000)) == 1_001
    assert len(unpacked(gzip.compress(b"x" * 900) * 2, "gzip", most=1_000)) == 1_001
