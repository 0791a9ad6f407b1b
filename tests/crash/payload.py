"""Messages whose whole content follows from (mid, n, size), so that each delivery proves its bytes.

    body    = "<mid>:<n>\n" + SHAKE-128 of that text, as long as wanted (at least 4 bytes)
    headers = on every message where SHA-256 of the text begins with a byte divisible by 5

mid is unique for ever in a run: producer, dot, counter. rdload writes the same in C++ (rdload/payload.h).
"""
import hashlib

from rockdove_raw import Message

MIN_FILL = 4


def make(mid, n, size):
    text = b"%s:%d\n" % (mid.encode(), n)
    fill = max(size - len(text), MIN_FILL)
    message = Message(body=text + hashlib.shake_128(text).digest(fill))
    digest = hashlib.sha256(text).digest()
    if digest[0] % 5 == 0:
        message.headers.add(name="mid", value=mid.encode())
        message.headers.add(name="digest", value=digest)
        message.content_type = "application/x-rockdove-test"
        message.correlation_id = mid
    return message


def check(message):
    """(mid, n) of an intact message; ValueError if anything in it differs from what was sent."""
    head, newline, _ = message.body[:100].partition(b"\n")
    mid, colon, n = head.decode("ascii", "replace").rpartition(":")
    if not newline or not colon or not n.isdigit():
        raise ValueError("not a test message: %r" % message.body[:40])
    if make(mid, int(n), len(message.body)) != message:
        raise ValueError("message %s differs from what was sent" % mid)
    return mid, int(n)


def mid_of(message):
    """The mid as far as it can be read, for reports about damaged messages."""
    return message.body[:100].partition(b":")[0].decode("ascii", "replace")
