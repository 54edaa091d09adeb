"""Decompresses messages of permessage-deflate with zlib.

Each message on standard input is its length, four bytes, the lowest first, and the payload. The answers on standard
output are the same for what each becomes, or ff ff ff ff for one that is refused.
"""

import struct
import sys
import zlib

TAIL = b"\x00\x00\xff\xff"
FINAL = b"\x01\x00\x00\xff\xff"


def inflate(payload):
    """Returns the message, or None if the payload is none (RFC 7692, 7.2.2 and 7.2.3.4)."""
    message = b""
    rest = payload + TAIL
    decompressor = zlib.decompressobj(-15)
    while True:
        message += decompressor.decompress(rest)
        if not decompressor.eof:
            break
        # A block with BFINAL set: others may follow, which refer to those before it.
        rest = decompressor.unused_data
        if rest in (b"", TAIL):
            return message
        decompressor = zlib.decompressobj(-15, zdict=message[-32768:])
    # It has ended with a block if another one can follow.
    more = decompressor.decompress(FINAL)
    complete = more == b"" and decompressor.eof and decompressor.unused_data == b""
    return message if complete else None


while head := sys.stdin.buffer.read(4):
    try:
        message = inflate(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
    except zlib.error:
        message = None
    if message is None:
        sys.stdout.buffer.write(b"\xff\xff\xff\xff")
    else:
        sys.stdout.buffer.write(struct.pack("<I", len(message)) + message)
