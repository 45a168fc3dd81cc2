"""The unpacking of bodies, never into more than the server takes."""

import zlib

#: Most parts of one body: zlib copies the rest for each, which many empty ones would abuse.
MEMBERS = 100


def unpacked(body: bytes, encoding: str, *, most: int) -> bytes:
    """Return what was packed.

    Args:
        body: Not empty.
        encoding: ``gzip``, or ``deflate``, which some send without zlib's head.
        most: Of what is longer, only one byte more than this is returned.

    Raises:
        ValueError: It is not packed so, or cut short.
    """
    bare = encoding == "deflate" and body[0] & 0xF != 8
    wbits = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32
    found = b""
    for _ in range(MEMBERS):
        unpacker = zlib.decompressobj(wbits)
        try:
            found += unpacker.decompress(body, most + 1 - len(found))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        body = unpacker.unused_data
        if len(found) > most or (unpacker.eof and not body):
            return found
        if not unpacker.eof:
            break
    raise ValueError("cut short, or of too many parts")
