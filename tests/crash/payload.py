"""Messages whose whole content follows from (mid, n, size), so that each delivery proves its bytes.

    body    = "<mid>:<n>\n" + SHAKE-128 of that text, as long as wanted (at least 4 bytes)
    headers = on every message where SHA-256 of the text begins with a byte divisible by 5

mid is unique for ever in a run: producer, dot, counter. rdload writes the same in C++ (rdload/payload.h). What a message asks of the
broker stands behind it, so that it too can be proved: ~kNAME key, ~pN priority, ~dMS delay, ~tMS time to live, ~u deduplicated by mid,
~sNAME subject order.NAME.
"""
import hashlib

from rockdove_raw import Message

MIN_FILL = 4


def properties(mid):
    """What the message asks for: {letter: value}."""
    return {part[0]: part[1:] for part in mid.split("~")[1:]}


def make(mid, n, size):
    text = b"%s:%d\n" % (mid.encode(), n)
    fill = max(size - len(text), MIN_FILL)
    message = Message(body=text + hashlib.shake_128(text).digest(fill))
    digest = hashlib.sha256(text).digest()
    asked = properties(mid)
    message.key = asked.get("k", "")
    if "p" in asked:
        message.priority = int(asked["p"])
    if "s" in asked:
        message.subject = "order." + asked["s"]
    message.delay_ms = int(asked.get("d", 0))
    message.ttl_ms = int(asked.get("t", 0))
    if "u" in asked:
        message.dedup_id = mid
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
