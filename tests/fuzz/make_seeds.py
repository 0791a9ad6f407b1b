"""Writes the seeds of tests/fuzz/seeds anew: small, well-formed inputs from which a fuzzer finds its way, and old finds.

    PYTHONPATH=tests/interop python3 tests/fuzz/make_seeds.py"""
import os
import struct

from rockdove_raw import Frame, Message, SeqRange, admin, data, message, session

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")


def write(target, name, content):
    folder = os.path.join(HERE, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)


def frames():
    for field in Frame.DESCRIPTOR.oneofs_by_name["kind"].fields:
        frame = Frame(request_id=field.number)
        getattr(frame, field.name).SetInParent()
        yield field.name, frame
    yield "hello_full", Frame(request_id=1, hello=session.Hello(
        version_min=1, version_max=1, client_name="demo", features=["a", "b"], producer_id="p", producer_epoch=3))
    yield "consume_full", Frame(request_id=2**63, consume=data.Consume(
        queue="jobs", name="w", consumer=1, credit_messages=10, held=[SeqRange(first_seq=1, last_seq=9, epoch=2, lease=3)]))
    yield "settle_full", Frame(request_id=7, settle=data.Settle(
        consumer=1, outcome=data.RETRY, reason="why", after_ms=5,
        ranges=[SeqRange(first_seq=1, last_seq=2, epoch=1, lease=1)] * 3))
    yield "create_full", Frame(request_id=8, queue_create=admin.QueueCreate(
        name="jobs", settings=admin.QueueSettings(lease_ms=1, backoff_factor=2.5, max_bytes=2**40)))


def publishes():
    plain = data.Publish(queue="jobs", messages=[Message(body=b"hello"), Message(), Message(body=b"x" * 300)])
    yield "plain", plain.SerializeToString()
    rich = Message(body=b"b", content_type="t", subject="a.b", correlation_id="c", reply_to="r", traceparent="p",
                   tracestate="s", priority=4, headers=[message.Header(name="n", value=b"v")] * 3)
    yield "rich", data.Publish(queue="jobs", producer_seq=7, oldest_unconfirmed=3, messages=[rich] * 2).SerializeToString()
    yield "unsupported", data.Publish(queue="q", messages=[Message(key="k", ttl_ms=6)]).SerializeToString()
    one = b"\x7a\x03\x0a\x01a"
    yield "fields_between", b"\x0a\x01q" + one + b"\x18\x05" + one + b"\x20\x01" + one
    yield "queue_last", one + one + b"\x0a\x01q"
    yield "unknown_fields", b"\xc2\x3e\x01x" + one + b"\x0a\x01q" + b"\xb8\x3e\x05"
    yield "long_tag", b"\x0a\x01q" + b"\xfa\x00\x03\x0a\x01a" + one
    yield "long_length", b"\x0a\x01q" + b"\x7a\x83\x00\x0a\x01a" + one
    yield "not_utf8_subject", b"\x0a\x01q" + b"\x7a\x04\x22\x02\xff\xfe"
    yield "not_utf8_header", b"\x0a\x01q" + b"\x7a\x06\x12\x04\x0a\x02\xff\xfe"
    yield "bad_queue_replaced", bytes.fromhex("78030a01ab7a000a01610a0171")  # found by the fuzzer
    yield "cut", (b"\x0a\x01q" + one)[:-1]
    yield "group", b"\x0a\x01q" + one + b"\x0b\x0c"


def filters():
    sent = Message(body=b"b", subject="eu.orders", key="customer-9", priority=7,
                   headers=[message.Header(name="region", value=b"eu"), message.Header(name="n", value=b"12")])
    texts = {
        "plain": "priority = 7", "all": "NOT (priority >= 7 AND header.region IN ('eu', 'us') OR age > 1h30m)",
        "like": "subject LIKE 'eu.%' AND key NOT LIKE '%_-\\_9'", "null": "header['n'] IS NOT NULL AND reply_to IS NULL",
        "time": "commit_time > '2024-02-29T08:00:00.250Z' AND commit_time < '2027-03-01'", "state": "state IN ('ready','dead')",
        "numbers": "header.n > -9223372036854775808 AND header.n <> 9223372036854775807 AND attempts <= 3",
        "quotes": "header['it''s'] = ''''", "deep": "NOT " * 20 + "size=1", "terms": " OR ".join(["size=1"] * 100),
        "list": "size IN (" + ",".join(["1"] * 100) + ")", "unknown": "priorty = 3", "cut": "key = 'abc"}
    for name, text in texts.items():
        yield name, text.encode() + b"\0" + sent.SerializeToString()
    yield "no_message", b"size = 0"
    yield "like_only", b"a%b_%\0axxbcb"


def records():
    yield "namespace", b"\x00" + b"\x01\x05"
    yield "head", b"\x02" + b"\x09"
    yield "index", b"\x03" + b"\x02\x40\x80\x01"
    yield "state", b"\x04" + b"\x02\x00\x02\x03\x01\x01\x05\x02\x01\x01\x00\x00\x03\x64\x01w"
    yield "state_empty", b"\x04" + b"\x00\x00"
    messages = b"\x7a\x03\x0a\x01a\x7a\x00"
    yield "block", b"\x08" + struct.pack("<IIq", 2, 0, 1_700_000_000_000) + messages
    yield "block_short", b"\x08" + struct.pack("<IIq", 3, 0, 1) + messages
    yield "block_many", b"\x08" + struct.pack("<IIq", 2**32 - 1, 0, 1) + messages
    yield "seal", b"\x09" + b"key-payload"
    for kind in range(10):
        yield "zeros_%d" % kind, bytes([kind]) + bytes(40)
        yield "ones_%d" % kind, bytes([kind]) + b"\x01" * 40


def main():
    for name, frame in frames():
        write("frame", name, frame.SerializeToString())
    write("frame", "two_kinds", Frame(ping=session.Ping()).SerializeToString() + Frame(pong=session.Pong()).SerializeToString())
    write("frame", "unknown_kind", b"\x08\x4d\xa2\x06\x02\x01\x02")
    write("frame", "empty", b"")
    for name, content in publishes():
        write("publish", name, content)
    for name, content in filters():
        write("filter", name, content)
    for name, content in records():
        write("record", name, content)
    for name, text in [("id", b"01JYYNM7000000008000000001"), ("small", b"01jyynm7ooooooll8000000001"), ("name", b"a.b_c:d-9"),
                       ("dot", b".a"), ("long", b"n" * 129), ("first", b"80000000000000000000000000")]:
        write("text", name, text)


if __name__ == "__main__":
    main()
