"""Each limit of docs/protocol.md, at its last good value and one beyond; and frames that are small on the wire and would be
large in memory, if anybody built objects from them before counting."""
import argparse
import os
import shutil
import struct
import sys
import tempfile
import time
import unittest

import rockdove_raw as raw
from broker import SANITIZED, SLOW, Broker
from rockdove_raw import BrokerError, Closed, Connection, Frame, Message, admin, data, message, session

OPTIONS = None
FRAME_LIMIT = 16 * 2**20 + 65536
MESSAGE_LIMIT = 16 * 2**20


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def framed(payload):
    return struct.pack("<I", len(payload)) + payload


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="rockdove-limits-")
        cls.broker = Broker(OPTIONS.daemon, os.path.join(cls.folder, "data"), os.path.join(cls.folder, "log"))
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        alive = cls.broker.running()
        cls.broker.kill()
        shutil.rmtree(cls.folder, True)
        if not alive:
            raise AssertionError("the broker died")

    def setUp(self):
        self.connection = Connection(self.broker.address)
        self.queue = self.id().split(".")[-1][:100]
        self.connection.create_queue(self.queue)

    def tearDown(self):
        self.connection.close()

    def refused(self, code, function, *args, **fields):
        with self.assertRaises(BrokerError) as caught:
            function(*args, **fields)
        self.assertEqual(caught.exception.code, code, caught.exception)
        self.assertFalse(caught.exception.error.closes)
        self.connection.request(ping=session.Ping())  # and the connection goes on

    def closes(self, connection, code, seconds=2):
        """The broker answers with this code, or its answer is lost in the reset; it closes soon in either case."""
        begun = time.monotonic()
        try:
            frame = connection.receive(seconds + 3)
            self.assertEqual(raw.code_name(frame.error.code), code, frame)
            self.assertTrue(frame.error.closes)
            with self.assertRaises(Closed):
                connection.receive(seconds)
        except Closed:
            pass
        self.assertLess(time.monotonic() - begun, seconds * SLOW)

    def test_names_have_at_most_128_bytes(self):
        for size, good in ((128, True), (129, False)):
            name = "n" * size
            calls = [lambda: self.connection.create_queue(name),
                     lambda: self.connection.consume(self.queue, name=name, consumer=size)]
            for call in calls:
                if good:
                    call()
                else:
                    self.refused("INVALID", call)
        Connection(self.broker.address, producer_id="p" * 128).close()
        with self.assertRaises(BrokerError):
            Connection(self.broker.address, producer_id="p" * 129)
        with self.assertRaises(BrokerError):
            Connection(self.broker.address, namespace="p" * 129)

    def test_ranges_of_one_lease_must_not_overlap(self):
        self.connection.consume(self.queue, credit=10, consumer=5)
        self.connection.publish(self.queue, [Message(body=b"x")] * 4)
        held = self.connection.receive(10).deliver
        ranges = [data.SeqRange(first_seq=first, last_seq=last, epoch=held.epoch, lease=held.lease)
                  for first, last in ((1, 2), (2, 4))]
        self.refused("INVALID", self.connection.settle, 5, "ACK", ranges)
        ranges[1].first_seq = 3
        self.connection.settle(5, "ACK", ranges)
        self.assertEqual(self.connection.show_queue(self.queue).started, 0)

    def test_headers_are_at_most_64(self):
        good = Message(headers=[message.Header(name="h%d" % i) for i in range(64)])
        self.connection.publish(self.queue, [good])
        good.headers.add(name="one-more")
        self.refused("INVALID", self.connection.publish, self.queue, [good])

    def test_headers_have_at_most_16_kib_together(self):
        good = Message(headers=[message.Header(name="a" * 100, value=bytes(8000)),
                                message.Header(name="b" * 84, value=bytes(8200))])
        self.assertEqual(sum(len(h.name) + len(h.value) for h in good.headers), 16384)
        self.connection.publish(self.queue, [good])
        good.headers[0].value += b"x"
        self.refused("INVALID", self.connection.publish, self.queue, [good])

    def test_header_names_have_1_to_128_bytes_without_control_characters(self):
        for name, good in (("n", True), ("n" * 128, True), ("n" * 129, False), ("", False), ("\x1f", False),
                           ("\x00", False), ("ä", True), (" ", True)):
            one = Message(headers=[message.Header(name=name)])
            if good:
                self.connection.publish(self.queue, [one])
            else:
                self.refused("INVALID", self.connection.publish, self.queue, [one])

    def test_texts_must_be_utf8_since_receivers_parse_them(self):
        for number in (3, 4, 5, 6, 7, 8):  # content_type ... tracestate
            with self.subTest(field=number):
                self.refused("INVALID", self.publish_raw, field(number, b"\xff\xfe"))
        self.refused("INVALID", self.publish_raw, field(2, field(1, b"\xff\xfe")))
        self.publish_raw(field(2, field(1, b"n") + field(2, b"\xff")) + field(1, b"\xff"))  # bytes may be anything

    def test_unusual_encodings_are_stored_and_come_back(self):
        """Tags and lengths longer than need be are legal protobuf, and must not spoil what is stored."""
        one = field(1, b"a")
        body = field(1, self.queue.encode()) + b"\xfa\x00" + varint(len(one)) + one + b"\x7a\x83\x00" + one
        try:
            confirm = self.send_raw(body)
            self.assertEqual(confirm.count, 2)
        except BrokerError as error:
            self.assertIn(error.code, ("INVALID", "PROTOCOL"))
            return
        self.connection.publish(self.queue, [Message(body=b"behind")])
        self.connection.close()
        self.broker.kill()
        self.broker.start()
        self.connection = Connection(self.broker.address)
        self.connection.consume(self.queue)
        got = []
        while len(got) < 3:
            got += [m.body for m in self.connection.next_delivery().messages]
        self.assertEqual(got, [b"a", b"a", b"behind"])
        self.assertEqual(self.connection.show_queue(self.queue).damaged, 0)

    def publish_raw(self, encoded_message):
        return self.send_raw(field(1, self.queue.encode()) + field(15, encoded_message))

    def send_raw(self, publish):
        self.connection.send_bytes(framed(b"\x08\x63" + field(10, publish)))
        answer = self.connection.receive()
        if answer.WhichOneof("kind") == "error":
            raise BrokerError(answer.error)
        return answer.confirm

    def test_text_properties_have_at_most_1_kib(self):
        for name in ("content_type", "subject", "correlation_id", "reply_to", "traceparent", "tracestate"):
            self.connection.publish(self.queue, [Message(**{name: "x" * 1024})])
            self.refused("INVALID", self.connection.publish, self.queue, [Message(**{name: "x" * 1025})])

    def test_a_message_has_at_most_16_mib_encoded(self):
        overhead = len(Message(body=bytes(MESSAGE_LIMIT - 10)).SerializeToString()) - (MESSAGE_LIMIT - 10)
        largest = Message(body=bytes(MESSAGE_LIMIT - overhead))
        self.assertEqual(len(largest.SerializeToString()), MESSAGE_LIMIT)
        self.assertEqual(self.connection.publish(self.queue, [largest]).count, 1)
        self.refused("TOO_LARGE", self.connection.publish, self.queue, [Message(body=bytes(MESSAGE_LIMIT - overhead + 1))])
        self.connection.consume(self.queue, credit=1)
        self.assertEqual(self.connection.next_delivery(20).messages[0], largest)
        peeked = self.connection.request(queue_peek=admin.QueuePeek(name=self.queue))
        self.assertEqual(len(peeked.messages[0].message.body), len(largest.body))

    def test_a_frame_has_at_most_16_mib_and_64_kib(self):
        publish = field(1, self.queue.encode()) + field(15, field(1, bytes(FRAME_LIMIT // 2 - 200))) * 2
        payload = b"\x08\x63" + field(10, publish)
        filler = FRAME_LIMIT - len(payload) - 4  # an unknown field in front: two bytes of tag, two of length
        payload = field(1000, bytes(filler)) + payload
        self.assertEqual(len(payload), FRAME_LIMIT)
        self.connection.send_bytes(framed(payload))
        answer = self.connection.receive(20)
        self.assertEqual((answer.request_id, answer.confirm.count), (99, 2), answer)
        for length in (FRAME_LIMIT + 1, 2**31, 2**32 - 1):
            with Connection(self.broker.address) as other:
                other.send_bytes(struct.pack("<I", length))
                self.closes(other, "TOO_LARGE")
        with Connection(self.broker.address) as other:
            other.send_bytes(struct.pack("<I", 0))
            self.closes(other, "PROTOCOL")

    def test_a_frame_before_login_has_at_most_4_kib(self):
        name = "n" * 100

        def hello(size):
            frame = Frame(request_id=1, hello=session.Hello(version_min=1, version_max=1, client_name=name))
            payload = frame.SerializeToString()
            return framed(field(1000, bytes(size - len(payload) - 4)) + payload)

        for size, good in ((4096, True), (4097, False)):
            with Connection(self.broker.address, hello=False) as other:
                raw_hello = hello(size)
                self.assertEqual(len(raw_hello), size + 4)
                other.send_bytes(raw_hello)
                if good:
                    self.assertEqual(other.receive().WhichOneof("kind"), "welcome")
                else:
                    self.closes(other, "TOO_LARGE")
        for length in (0, 2**31, 2**32 - 1):
            with Connection(self.broker.address, hello=False) as other:
                other.send_bytes(struct.pack("<I", length))
                self.closes(other, "PROTOCOL" if length == 0 else "TOO_LARGE")

    def test_credit_is_at_most_65535(self):
        self.connection.consume(self.queue, credit=65535)
        self.refused("INVALID", self.connection.consume, self.queue, name="b", consumer=2, credit=65536)
        self.connection.send(Frame(request_id=50, credit=data.Credit(consumer=1, credit_messages=65535)))
        self.connection.send(Frame(request_id=51, credit=data.Credit(consumer=1, credit_messages=65536)))
        answer = self.connection.receive()
        self.assertEqual((answer.request_id, raw.code_name(answer.error.code)), (51, "INVALID"))

    def test_pages_have_at_most_1000_entries(self):
        listing = lambda limit: self.connection.request(queue_list=admin.QueueList(limit=limit))
        peek = lambda limit: self.connection.request(queue_peek=admin.QueuePeek(name=self.queue, limit=limit))
        for page in (listing, peek):
            page(1000)
            self.refused("INVALID", page, 1001)
            self.refused("INVALID", page, 2**32 - 1)

    def test_reasons_have_at_most_1_kib(self):
        self.connection.publish(self.queue, [Message(), Message()])
        self.connection.consume(self.queue)
        delivery = self.connection.next_delivery()
        one = [raw.seq_range(1, 1, delivery.epoch, delivery.lease)]
        self.refused("INVALID", self.connection.settle, 1, "REJECT", one, reason="x" * 1025)
        self.assertEqual(self.connection.settle(1, "REJECT", one, reason="x" * 1024).count, 1)

    def test_a_publish_has_at_most_4096_messages(self):
        self.assertEqual(self.connection.publish(self.queue, [Message()] * 4096).count, 4096)
        self.refused("INVALID", self.connection.publish, self.queue, [Message()] * 4097)
        self.refused("INVALID", self.connection.publish, self.queue, [Message()] * 5000)

    def test_a_frame_full_of_empty_messages_is_counted_not_built(self):
        before = self.broker.resident_bytes()
        bomb = field(1, self.queue.encode()) + bytes([0x7A, 0]) * (8 * 2**20)
        self.connection.send_bytes(framed(bytes([0x08, 9]) + field(10, bomb)))
        begun = time.monotonic()
        answer = self.connection.receive(10)
        self.assertEqual((answer.request_id, raw.code_name(answer.error.code)), (9, "INVALID"))
        self.assertLess(time.monotonic() - begun, 2 * SLOW)
        self.assertTrue(SANITIZED or self.broker.resident_bytes() - before < 64 << 20)

    def test_floods_of_ranges_are_refused(self):
        self.connection.publish(self.queue, [Message()] * 10)
        self.connection.consume(self.queue, credit=65535)
        delivery = self.connection.next_delivery()
        one = raw.seq_range(1, 1, delivery.epoch, delivery.lease)
        self.refused("INVALID", self.connection.settle, 1, "ACK", [one] * 4097)
        self.refused("INVALID", self.connection.extend, 1, [one] * 4097)
        self.refused("INVALID", self.connection.consume, self.queue, name="b", consumer=2, held=[one] * 4097)
        before = self.broker.resident_bytes()
        for number, bomb in ((16, field(3, b"") * 4_000_000), (18, field(2, b"") * 4_000_000),
                             (12, field(1, self.queue.encode()) + field(12, b"") * 4_000_000)):
            self.connection.send_bytes(framed(bytes([0x08, 9]) + field(number, bomb)))
            answer = self.connection.receive(10)
            self.assertEqual((answer.request_id, raw.code_name(answer.error.code)), (9, "TOO_LARGE"))
        self.connection.request(ping=session.Ping())
        self.assertTrue(SANITIZED or self.broker.resident_bytes() - before < 64 << 20)

    def test_frames_other_than_publish_have_at_most_128_kib(self):
        for size, good in ((128 << 10, True), ((128 << 10) + 1, False)):
            show = field(1, self.queue.encode())
            show += field(1000, bytes(size - len(show) - 5))
            self.assertEqual(len(show), size)
            self.connection.send_bytes(framed(b"\x08\x09" + field(33, show)))
            answer = self.connection.receive()
            self.assertEqual(answer.WhichOneof("kind"), "queue_info" if good else "error")
            self.assertTrue(good or raw.code_name(answer.error.code) == "TOO_LARGE")

    def test_ranges_as_wide_as_they_can_be_are_answered_quickly(self):
        self.connection.publish(self.queue, [Message()] * 1000)
        self.connection.consume(self.queue, credit=1000)
        got = 0
        while got < 1000:
            delivery = self.connection.next_delivery()
            got += len(delivery.messages)
        # Nobody holds such leases.
        wide = [raw.seq_range(1, 2**48 - 1, delivery.epoch, 2**32 - 1 - number) for number in range(4000)]
        begun = time.monotonic()
        answer = self.connection.extend(1, wide)
        self.assertEqual(answer.count, 0)
        self.assertTrue(answer.stale)
        self.assertLess(time.monotonic() - begun, 2 * SLOW)
        for first, last in ((0, 5), (5, 4), (1, 2**48), (1, 2**64 - 1)):
            self.refused("INVALID", self.connection.extend, 1, [raw.seq_range(first, last, delivery.epoch, 1)])
        everything = raw.seq_range(1, 2**48 - 1, delivery.epoch, delivery.lease)
        self.assertEqual(self.connection.settle(1, "ACK", [everything]).count, 1000)

    def test_answers_that_nobody_reads_end_the_connection(self):
        for number in range(200):
            self.connection.create_queue("of-the-list-%d" % number)
        ask = framed(Frame(request_id=9, queue_list=admin.QueueList(limit=200)).SerializeToString())
        with Connection(self.broker.address) as other:
            other.send_bytes(ask * 2000)
            with self.assertRaises(Closed):
                while True:
                    other.receive(20)
        self.connection.request(ping=session.Ping())

    def test_a_client_may_ask_while_a_large_message_is_on_its_way_to_it(self):
        body = bytes(15 << 20)  # more than sockets buffer, and more than answers may wait
        self.connection.publish(self.queue, [Message(body=body)])
        with Connection(self.broker.address) as other:
            other.send(Frame(request_id=1, consume=data.Consume(queue=self.queue, name="c", consumer=1,
                                                                credit_messages=1)))
            self.assertEqual(other.receive(20).WhichOneof("kind"), "consume_ok")
            while not other.readable():  # the message has begun to come
                pass
            for number in range(3):
                other.send(Frame(request_id=10 + number, ping=session.Ping()))
                self.connection.request(ping=session.Ping())
            kinds = [other.receive(20).WhichOneof("kind") for _ in range(4)]
        self.assertEqual(kinds, ["deliver", "pong", "pong", "pong"])

    def test_answers_from_the_disk_are_refused_not_piled_up_past_8_mib(self):
        for _ in range(40):  # more than stays in memory for a queue that nobody consumes
            self.connection.publish(self.queue, [Message(body=bytes(1 << 20))])
        before = self.broker.resident_bytes()
        peek = framed(Frame(request_id=9, queue_peek=admin.QueuePeek(name=self.queue, limit=4)).SerializeToString())
        with Connection(self.broker.address) as other:
            other.send_bytes(peek * 100)
            kinds = [other.receive(20) for _ in range(100)]
            refused = [frame for frame in kinds if frame.WhichOneof("kind") == "error"]
            self.assertTrue(all(raw.code_name(frame.error.code) == "RATE_LIMITED" for frame in refused))
            self.assertTrue(all(not frame.error.closes for frame in refused))
            self.assertGreaterEqual(len(kinds) - len(refused), 8)
            self.assertGreater(len(refused), 0)
            whole = Frame(request_id=9, queue_peek=admin.QueuePeek(name=self.queue, limit=100, max_bytes=16 << 20))
            other.send(whole)
            self.assertEqual(len(other.receive(20).queue_peek_reply.messages), 15)  # one answer may be large
        self.assertLess(self.broker.resident_bytes() - before, (64 << 20) * SLOW)

    def test_before_login_repeated_fields_have_at_most_16_entries(self):
        Connection(self.broker.address, features=["f"] * 16).close()
        with Connection(self.broker.address, hello=False) as other:
            with self.assertRaises((BrokerError, Closed)):
                other.say_hello(features=["f"] * 17)

    def test_groups_and_broken_encodings_close_the_connection(self):
        good = field(1, self.queue.encode()) + field(15, b"")
        deep = b"\x0b" * 2000 + b"\x0c" * 2000
        for name, payload in [("a group", deep), ("a tag without a value", b"\x08"), ("field number 0", b"\x02\x00"),
                              ("a varint without end", b"\x08" + b"\xff" * 11), ("a length past the end", b"\x52\x7f"),
                              ("a group in a publish", field(10, good + deep)),
                              ("a cut publish", field(10, good + b"\x7a\x05a")),
                              ("a cut message", field(10, good + field(15, b"\x0a\x05a"))),
                              ("a cut header", field(10, good + field(15, field(2, b"\x0a\x05a")))),
                              ("a cut settle", field(16, b"\x08")), ("a cut consume", field(12, b"\x0a\x05a")),
                              ("a cut create", field(30, field(2, b"\x10")))]:
            with self.subTest(name=name), Connection(self.broker.address) as other:
                other.send_bytes(framed(b"\x08\x07" + payload))
                self.closes(other, "PROTOCOL")

    def test_nested_unknown_fields_are_no_trouble(self):
        nested = b""
        for _ in range(5000):
            nested = field(1000, nested)
        self.connection.send_bytes(framed(nested + b"\x08\x07" + field(37, field(1, self.queue.encode()) + nested)))
        self.assertEqual(self.connection.receive().request_id, 7)
        self.assertEqual(self.connection.publish(self.queue, [Message.FromString(nested)]).count, 1)


class Silence(unittest.TestCase):
    def test_a_silent_connection_is_closed_after_two_heartbeats(self):
        folder = tempfile.mkdtemp(prefix="rockdove-silence-")
        broker = Broker(OPTIONS.daemon, os.path.join(folder, "data"), os.path.join(folder, "log"),
                        options=["--set", "limits.heartbeat=1s"])
        try:
            broker.start()
            with Connection(broker.address) as silent, Connection(broker.address) as talker:
                self.assertEqual(silent.welcome.heartbeat_ms, 1000)
                begun = time.monotonic()
                silent._heartbeat = 1000  # it will not ping
                with self.assertRaises(Closed):
                    while time.monotonic() - begun < 10:
                        talker.quiet(0.2)  # it pings
                        try:
                            silent.receive(0)
                        except raw.Timeout:
                            pass
                self.assertGreater(time.monotonic() - begun, 1.5)
                self.assertLess(time.monotonic() - begun, 5)
                talker.request(ping=session.Ping())
        finally:
            broker.kill()
            shutil.rmtree(folder, True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    OPTIONS, rest = parser.parse_known_args()
    OPTIONS.daemon = os.path.abspath(OPTIONS.daemon)
    unittest.main(argv=sys.argv[:1] + rest)
