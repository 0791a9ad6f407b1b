"""A full conversation of the raw client with a real daemon: everything docs/protocol.md promises, asserted."""
import argparse
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

import rockdove_raw as raw
from broker import Broker
from rockdove_raw import BrokerError, Closed, Connection, Frame, Message, admin, data, session

OPTIONS = None


class Conversation(unittest.TestCase):
    """Each test uses its own queue of the one daemon of its class."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="rockdove-interop-")
        cls.broker = Broker(OPTIONS.daemon, os.path.join(cls.folder, "data"), os.path.join(cls.folder, "log"),
                            options=["--set", "server.drain_timeout=2s"])
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.kill()
        shutil.rmtree(cls.folder, True)

    def setUp(self):
        self.connections = []
        self.queue = self.id().split(".")[-1][:100]

    def tearDown(self):
        for connection in self.connections:
            connection.close()

    def connect(self, **hello):
        connection = Connection(self.broker.address, **hello)
        self.connections.append(connection)
        return connection

    def fails(self, code, closes=False):
        """Context: the body must raise BrokerError with this code."""
        return _Fails(self, code, closes)

    def create(self, connection=None, queue=None, **settings):
        connection = connection or self.connect()
        connection.create_queue(queue or self.queue, **settings)
        return connection

    def assert_closed(self, connection, timeout=5):
        with self.assertRaises(Closed):
            deadline = time.monotonic() + timeout
            while True:
                connection.receive(max(deadline - time.monotonic(), 0))


class _Fails:
    def __init__(self, test, code, closes):
        self.test, self.code, self.closes, self.error = test, code, closes, None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, _):
        self.test.assertIsNotNone(kind, "expected %s, but it worked" % self.code)
        if kind is not BrokerError:
            return False
        self.error = value.error
        self.test.assertEqual(value.code, self.code, value)
        self.test.assertEqual(value.error.closes, self.closes, value)
        self.test.assertTrue(value.error.text, "an error without text")
        return True


def bodies(delivery):
    return [message.body for message in delivery.messages]


def messages(*texts):
    return [Message(body=text.encode() if isinstance(text, str) else text) for text in texts]


def held(delivery, *offsets):
    offsets = offsets or range(len(delivery.messages))
    return [raw.seq_range(delivery.first_seq + i, delivery.first_seq + i, delivery.epoch, delivery.lease)
            for i in offsets]


def take(connection, count, timeout=10):
    """Deliveries until `count` messages came: a list of (Deliver, index)."""
    got = []
    while len(got) < count:
        delivery = connection.next_delivery(timeout)
        got += [(delivery, i) for i in range(len(delivery.messages))]
    return got


def spans(got):
    return raw.ranges_of([(d.first_seq + i, d.epoch, d.lease) for d, i in got])


class Greeting(Conversation):
    def test_welcome_tells_version_names_limits_and_clock(self):
        welcome = self.connect(client_name="x", features=["shiny"], namespace="default").welcome
        self.assertEqual((welcome.version, welcome.namespace, list(welcome.features)), (1, "default", []))
        self.assertTrue(welcome.cluster_id and welcome.broker_version and welcome.heartbeat_ms)
        self.assertGreaterEqual(welcome.shard_epoch, 1)
        self.assertEqual(welcome.producer_epoch, 0)
        self.assertLess(abs(welcome.time_ms - time.time() * 1000), 60_000)
        limits = welcome.limits
        self.assertEqual((limits.max_frame_bytes, limits.max_message_bytes), (16 * 2**20 + 65536, 16 * 2**20))
        self.assertEqual((limits.max_headers, limits.max_header_bytes), (64, 16384))
        self.assertEqual((limits.max_credit, limits.max_messages_per_frame, limits.max_page), (65535, 4096, 1000))
        self.assertNotEqual(self.connect().welcome.connection_id, welcome.connection_id)

    def test_hello_is_refused_with_a_reason(self):
        for code, fields in [("UNSUPPORTED", dict(version_min=2, version_max=3)),
                             ("NOT_FOUND", dict(namespace="nowhere")),
                             ("INVALID", dict(namespace="no spaces")),
                             ("INVALID", dict(producer_id="no spaces")),
                             ("INVALID", dict(producer_epoch=7))]:
            with self.subTest(fields=fields), self.fails(code, closes=True):
                self.connect(**fields)

    def test_a_common_version_is_enough(self):
        self.assertEqual(self.connect(version_min=1, version_max=9).welcome.version, 1)

    def test_ping_is_answered_with_the_clock(self):
        connection = self.connect()
        self.assertLess(abs(connection.request(ping=session.Ping()).time_ms - time.time() * 1000), 60_000)
        connection.send(Frame(ping=session.Ping()))  # also without a request id
        connection.send(Frame(request_id=9, ping=session.Ping()))
        self.assertEqual(connection.receive().request_id, 9)  # receive() skips the pong with 0

    def test_nothing_but_hello_is_allowed_before_welcome(self):
        for field in Frame.DESCRIPTOR.oneofs_by_name["kind"].fields:
            if field.name == "hello":
                continue
            with self.subTest(kind=field.name):
                connection = self.connect(hello=False)
                frame = Frame(request_id=5)
                getattr(frame, field.name).SetInParent()
                connection.send(frame)
                answer = connection.receive()
                self.assertEqual(raw.code_name(answer.error.code), "PROTOCOL")
                self.assertTrue(answer.error.closes)
                self.assert_closed(connection)

    def test_kinds_that_only_the_broker_sends_close_the_connection(self):
        for kind in ["hello", "error", "welcome", "ok", "confirm", "consume_ok", "deliver", "settled", "extended", "started", "recall",
                     "consumer_closed", "queue_info", "queue_list_reply", "queue_peek_reply", "stats", "clock_info"]:
            with self.subTest(kind=kind):
                connection = self.connect()
                frame = Frame(request_id=5)
                getattr(frame, kind).SetInParent()
                connection.send(frame)
                answer = connection.receive()
                self.assertEqual(raw.code_name(answer.error.code), "PROTOCOL")
                self.assertTrue(answer.error.closes)
                self.assert_closed(connection)

    def test_an_unknown_kind_is_answered_and_the_connection_goes_on(self):
        connection = self.connect()
        for payload in [bytes([0x08, 77, 0xA2, 0x06, 2, 1, 2]), bytes([0x08, 77])]:  # field 100; no kind at all
            connection.send_bytes(bytes([len(payload), 0, 0, 0]) + payload)
            answer = connection.receive()
            self.assertEqual((answer.request_id, raw.code_name(answer.error.code)), (77, "UNSUPPORTED"))
            self.assertFalse(answer.error.closes)
        connection.request(ping=session.Ping())

    def test_a_pong_from_the_client_is_ignored(self):
        connection = self.connect()
        connection.send(Frame(pong=session.Pong()))
        connection.request(ping=session.Ping())

    def test_unknown_fields_are_ignored(self):
        connection = self.connect()
        frame = Frame(request_id=3)
        frame.queue_list.limit = 5
        extra = bytes([0xC2, 0x3E, 3]) + b"abc"  # field 1000, bytes
        listing = frame.queue_list.SerializeToString() + extra
        payload = extra + bytes([0x08, 3, 0xA2, 0x02, len(listing)]) + listing
        # A field of bytes at the outermost level could be a later version's kind; the one known kind decides.
        connection.send_bytes(bytes([len(payload), 0, 0, 0]) + payload)
        answer = connection.receive()
        self.assertEqual((answer.request_id, answer.WhichOneof("kind")), (3, "queue_list_reply"))

    def test_goodbye_closes_after_the_last_answers(self):
        connection = self.create()
        wanted = connection.send_request(publish=data.Publish(queue=self.queue, messages=messages("a")))
        connection.send(Frame(go_away=session.GoAway(reason="done")))
        self.assertEqual(connection.receive().request_id, wanted)
        self.assert_closed(connection)


class Publishing(Conversation):
    def test_a_batch_is_confirmed_in_order_and_stored_byte_for_byte(self):
        connection = self.create()
        batch = messages("one", "", b"\x00\xff" * 500)
        batch[0].headers.add(name="a", value=b"1")
        batch[0].headers.add(name="a", value=b"2")
        batch[1].MergeFrom(Message(content_type="text/plain", subject="a.b", correlation_id="c", reply_to="r",
                                   traceparent="00-1-2-3", tracestate="t=1", priority=4))
        batch[2].MergeFromString(bytes([0xC2, 0x3E, 3]) + b"abc")  # an unknown field is kept
        before = time.time() * 1000
        confirm = connection.publish(self.queue, batch)
        self.assertEqual((confirm.first_seq, confirm.count, len(confirm.exceptions)), (1, 3, 0))
        self.assertEqual(confirm.durability, data.SYNC)
        self.assertEqual((confirm.room_messages, confirm.room_bytes), (raw.UNLIMITED, raw.UNLIMITED))
        self.assertEqual(len(confirm.id_prefix), 10)
        again = connection.publish(self.queue, messages("x"))
        self.assertEqual((again.first_seq, again.count), (4, 1))
        reply = connection.request(queue_peek=admin.QueuePeek(name=self.queue, limit=3))
        self.assertEqual([p.message.SerializeToString() for p in reply.messages],
                         [m.SerializeToString() for m in batch])
        self.assertEqual([p.id for p in reply.messages], [raw.message_id(confirm.id_prefix, s) for s in (1, 2, 3)])
        self.assertEqual([p.seq for p in reply.messages], [1, 2, 3])
        for peeked in reply.messages:
            self.assertEqual((peeked.state, peeked.attempts), (admin.READY, 0))
            self.assertLess(abs(peeked.commit_time_ms - before), 60_000)
            self.assertEqual(int.from_bytes(confirm.id_prefix[:6], "big"), peeked.commit_time_ms)
        self.assertEqual(reply.next_seq, 4)

    def test_durability_is_told(self):
        connection = self.connect()
        for name in ("SYNC", "ASYNC", "MEMORY"):
            self.create(connection, self.queue + name, durability=data.Durability.Value(name))
            confirm = connection.publish(self.queue + name, messages("a"))
            self.assertEqual(data.Durability.Name(confirm.durability), name)

    def test_request_id_zero_is_answered_only_on_failure(self):
        connection = self.create()
        connection.send(Frame(publish=data.Publish(queue=self.queue, messages=messages("a"))))
        connection.send(Frame(publish=data.Publish(queue="missing-queue", messages=messages("a"))))
        answer = connection.receive()
        self.assertEqual((answer.request_id, raw.code_name(answer.error.code)), (0, "NOT_FOUND"))
        self.assertIn("missing-queue", answer.error.text)
        while connection.show_queue(self.queue).ready != 1:
            pass
        self.assertFalse(connection.events)

    def test_faults_refuse_the_whole_frame_and_name_the_message(self):
        connection = self.create()
        for code, bad in [("INVALID", Message(priority=10)), ("INVALID", Message(key="k" * 257)),
                          ("INVALID", Message(dedup_id="d" * 257)), ("INVALID", Message(delay_ms=1, not_before_ms=1)),
                          ("INVALID", Message(not_before_ms=-1)), ("INVALID", Message(ttl_ms=1, expires_at_ms=1)),
                          ("INVALID", Message(expires_at_ms=-1)), ("INVALID", Message(deadline_ms=-1)),
                          ("INVALID", Message(max_attempts=1001)),
                          ("INVALID", Message(not_before_ms=9000, expires_at_ms=9000)),
                          ("INVALID", Message(headers=[raw.message.Header(name="", value=b"")])),
                          ("INVALID", Message(headers=[raw.message.Header(name="a\nb", value=b"")]))]:
            with self.subTest(bad=str(bad)), self.fails(code) as failure:
                connection.publish(self.queue, messages("good") + [bad])
            self.assertIn("1", failure.error.text)
        self.assertEqual(connection.show_queue(self.queue).next_seq, 1)
        with self.fails("INVALID"):
            connection.publish(self.queue, [])
        for target in [dict(topic="t", queue=self.queue), dict(queue=self.queue, mandatory=True)]:
            with self.subTest(target=target), self.fails("INVALID"):
                connection.request(publish=data.Publish(messages=messages("a"), **target))
        with self.fails("NOT_FOUND"):
            connection.request(publish=data.Publish(topic="missing-topic", messages=messages("a")))
        with self.fails("INVALID"):
            connection.publish(self.queue, messages("a"), producer_seq=1)  # no producer id

    def test_messages_of_a_key_come_one_at_a_time_and_a_dead_one_may_stop_it(self):
        connection = self.connect()
        connection.create_queue(self.queue, key_on_dead=admin.KEY_PAUSE)
        connection.consume(self.queue)
        connection.publish(self.queue, [Message(body=body.encode(), key=body[0]) for body in ("a1", "a2", "b1")])
        first, second = connection.next_delivery(), connection.next_delivery()
        self.assertEqual([first.messages[0].body, second.messages[0].body], [b"a1", b"b1"])
        self.assertEqual(first.messages[0].key, "a")
        held = raw.seq_range(first.first_seq, first.first_seq, first.epoch, first.lease)
        connection.settle(1, "REJECT", [held], reason="bad")
        keys = connection.request(queue_keys=admin.QueueKeys(name=self.queue)).keys
        self.assertEqual([(key.key, key.seq, key.behind) for key in keys], [("a", 1, 1)])
        resume = admin.QueueKeyResume(name=self.queue, key="b")
        self.assertEqual(connection.request(queue_key_resume=resume).count, 0)
        self.assertFalse(connection.events)
        resume = admin.QueueKeyResume(name=self.queue)
        self.assertEqual(connection.request(queue_key_resume=resume).count, 1)
        self.assertEqual(connection.next_delivery().messages[0].body, b"a2")
        with self.fails("NOT_FOUND"):
            connection.request(queue_keys=admin.QueueKeys(name="missing-queue"))
        with self.fails("NOT_FOUND"):
            connection.request(queue_key_resume=admin.QueueKeyResume(name="missing-queue"))
        with self.fails("INVALID"):
            connection.request(queue_keys=admin.QueueKeys(name=self.queue, limit=1001))

    def test_a_queue_bounds_the_time_to_live_and_the_confirm_says_so(self):
        connection = self.connect()
        connection.create_queue(self.queue, ttl_ms=60_000, on_expire=admin.EXPIRED_DROP)
        confirm = connection.publish(self.queue, [Message(), Message(ttl_ms=60_001), Message(ttl_ms=1)])
        self.assertEqual([(r.first_index, r.count) for r in confirm.ttl_lowered], [(1, 1)])
        while connection.show_queue(self.queue).expired != 1:
            pass
        info = connection.show_queue(self.queue)
        self.assertEqual((info.ready, info.dead), (2, 0))

    def test_a_message_is_explained_moved_and_taken_back(self):
        connection = self.create()
        confirm = connection.publish(self.queue, [Message(delay_ms=3_600_000, body=b"later"), Message(body=b"now")])
        later, now = (raw.message_id(confirm.id_prefix, confirm.first_seq + i) for i in range(2))
        explain = lambda **what: connection.request(explain=admin.Explain(**what))
        self.assertEqual((explain(id=later).gate, explain(id=later).queue), (admin.NOT_DUE, self.queue))
        self.assertEqual((explain(id=now).gate, explain(queue=self.queue).seq), (admin.NO_CONSUMER, 2))
        self.assertEqual(explain(id=now, queue=self.queue).gate, admin.NO_CONSUMER)
        for bad in [dict(), dict(id="x")]:
            with self.subTest(bad=bad), self.fails("INVALID"):
                explain(**bad)
        with self.fails("NOT_FOUND"):
            explain(queue="missing-queue")
        connection.request(message_reschedule=admin.MessageReschedule(id=later, delay_ms=1))
        with self.fails("CONFLICT"):
            connection.request(message_reschedule=admin.MessageReschedule(id=now, delay_ms=1))
        for bad in [dict(id="x"), dict(id=now, delay_ms=1, not_before_ms=1), dict(id=now, not_before_ms=-1)]:
            with self.subTest(bad=bad), self.fails("INVALID"):
                connection.request(message_reschedule=admin.MessageReschedule(**bad))
        self.assertEqual(connection.request(message_cancel=admin.MessageCancel(id=now)).count, 1)
        with self.fails("NOT_FOUND"):
            connection.request(message_cancel=admin.MessageCancel(id=now))
        self.assertEqual(explain(id=now).gate, admin.MESSAGE_GONE)
        connection.consume(self.queue)
        self.assertEqual(connection.next_delivery().messages[0].body, b"later")
        with self.fails("CONFLICT"):
            connection.request(message_cancel=admin.MessageCancel(id=later))

    def test_a_message_may_bound_its_own_tries(self):
        connection = self.create()
        connection.consume(self.queue)
        connection.publish(self.queue, [Message(max_attempts=1)])
        got = connection.next_delivery()
        connection.settle(1, "RETRY", [raw.seq_range(got.first_seq, got.first_seq, got.epoch, got.lease)], reason="x")
        self.assertEqual(connection.show_queue(self.queue).dead, 1)

    def test_a_full_queue_refuses_the_rest_in_order_and_tells_its_room(self):
        connection = self.connect(producer_id=self.queue)
        connection.create_queue(self.queue, max_messages=3)
        confirm = connection.publish(self.queue, messages("1"), 1, 1)
        self.assertEqual(confirm.room_messages, 2)
        confirm = connection.publish(self.queue, messages("2", "3", "4", "5"), 2, 1)
        self.assertEqual((confirm.first_seq, confirm.count, confirm.room_messages), (2, 2, 0))
        (exception,) = confirm.exceptions
        self.assertEqual((exception.first_index, exception.count), (2, 2))
        self.assertEqual(raw.code_name(exception.error.code), "FULL")
        self.assertTrue(exception.error.retryable)
        with self.fails("FULL"):
            connection.publish(self.queue, messages("x"), 6, 1)
        again = connection.publish(self.queue, messages("2", "3", "4", "5"), 2, 1)  # duplicates beat FULL
        self.assertEqual(again.count, 0)
        self.assertEqual([(e.first_index, e.count, e.HasField("error"), e.first_seq) for e in again.exceptions],
                         [(0, 2, False, 2), (2, 2, True, 0)])
        self.assertGreaterEqual(connection.show_queue(self.queue).refused, 3)
        connection.request(queue_purge=admin.QueuePurge(name=self.queue))
        retried = connection.publish(self.queue, messages("4", "5"), 4, 1)  # refused before: new now
        self.assertEqual((retried.first_seq, retried.count, len(retried.exceptions)), (4, 2, 0))

    def test_max_bytes_counts_encoded_messages(self):
        connection = self.create(max_bytes=1000)
        size = len(Message(body=b"x" * 400).SerializeToString())
        confirm = connection.publish(self.queue, messages(b"x" * 400))
        self.assertEqual(confirm.room_bytes, 1000 - size)
        connection.publish(self.queue, messages(b"x" * 400))
        with self.fails("FULL"):
            connection.publish(self.queue, messages(b"x" * 400))
        self.assertEqual(connection.show_queue(self.queue).bytes, 2 * size)


class Producers(Conversation):
    def test_a_resend_after_reconnect_gets_the_first_answer(self):
        first = self.connect(producer_id=self.queue)
        first.create_queue(self.queue)
        epoch = first.welcome.producer_epoch
        self.assertGreater(epoch, 0)
        confirm = first.publish(self.queue, messages("a", "b", "c"), 1, 1)
        first.close()
        second = self.connect(producer_id=self.queue, producer_epoch=epoch)
        self.assertEqual(second.welcome.producer_epoch, epoch)
        again = second.publish(self.queue, messages("a", "b", "c"), 1, 1)
        (exception,) = again.exceptions
        self.assertEqual((again.count, again.first_seq), (0, 0))
        self.assertFalse(exception.HasField("error"))
        self.assertEqual((exception.first_index, exception.count, exception.first_seq, exception.id_prefix),
                         (0, 3, confirm.first_seq, confirm.id_prefix))
        mixed = second.publish(self.queue, messages("c", "d"), 3, 1)  # one old, one new
        self.assertEqual((mixed.first_seq, mixed.count), (4, 1))
        self.assertEqual([(e.first_index, e.count, e.first_seq) for e in mixed.exceptions], [(0, 1, 3)])
        self.assertEqual(second.show_queue(self.queue).ready, 4)
        second.publish(self.queue, messages("e"), 5, 5)
        with self.fails("INVALID"):
            second.publish(self.queue, messages("a"), 1, 0)  # forgotten by its own word

    def test_a_resend_to_another_queue_is_a_conflict(self):
        connection = self.connect(producer_id=self.queue)
        connection.create_queue(self.queue)
        connection.create_queue(self.queue + "2")
        connection.publish(self.queue, messages("a"), 1, 1)
        with self.fails("CONFLICT"):
            connection.publish(self.queue + "2", messages("a"), 1, 1)

    def test_resends_are_recognised_after_kill_minus_nine(self):
        connection = self.connect(producer_id=self.queue)
        connection.create_queue(self.queue)
        epoch = connection.welcome.producer_epoch
        confirm = connection.publish(self.queue, messages("a", "b"), 1, 1)
        self.broker.kill()
        self.broker.start()
        connection = self.connect(producer_id=self.queue, producer_epoch=epoch)
        again = connection.publish(self.queue, messages("a", "b"), 1, 1)
        self.assertEqual((again.count, again.exceptions[0].first_seq, again.exceptions[0].id_prefix),
                         (0, 1, confirm.id_prefix))
        self.assertEqual(connection.show_queue(self.queue).ready, 2)
        newer = self.connect(producer_id=self.queue).welcome
        self.assertGreater(newer.producer_epoch, epoch)

    def test_a_newer_life_fences_the_older(self):
        old = self.connect(producer_id=self.queue)
        old.create_queue(self.queue)
        old.publish(self.queue, messages("a"), 1, 1)
        new = self.connect(producer_id=self.queue)
        self.assertGreater(new.welcome.producer_epoch, old.welcome.producer_epoch)
        with self.fails("FENCED"):
            old.publish(self.queue, messages("b"), 2, 1)
        with self.fails("FENCED", closes=True):
            self.connect(producer_id=self.queue, producer_epoch=old.welcome.producer_epoch)
        self.assertEqual(new.publish(self.queue, messages("b"), 1, 1).first_seq, 2)  # sequences begin anew

    def test_going_on_with_a_life_takes_it_over(self):
        old = self.connect(producer_id=self.queue)
        old.create_queue(self.queue)
        new = self.connect(producer_id=self.queue, producer_epoch=old.welcome.producer_epoch)
        self.assertEqual(new.publish(self.queue, messages("a"), 1, 1).count, 1)
        with self.assertRaises((BrokerError, Closed)) as caught:
            old.publish(self.queue, messages("b"), 2, 1)
        if isinstance(caught.exception, BrokerError):
            self.assertEqual(caught.exception.code, "FENCED")
        self.assertEqual(new.show_queue(self.queue).ready, 1)

    def test_a_farewell_forgets_the_producer(self):
        connection = self.connect(producer_id=self.queue)
        epoch = connection.welcome.producer_epoch
        connection.say_goodbye()
        self.assertGreater(self.connect(producer_id=self.queue).welcome.producer_epoch, epoch)


class Consuming(Conversation):
    def test_credit_bounds_what_is_unsettled_and_is_absolute(self):
        connection = self.create()
        connection.publish(self.queue, messages(*"abcdefgh"))
        answer = connection.consume(self.queue, credit=3)
        self.assertEqual((answer.consumer, answer.lease_ms, len(answer.held)), (1, 30_000, 0))
        got = take(connection, 3)
        self.assertEqual([d.messages[i].body for d, i in got], [b"a", b"b", b"c"])
        first = got[0][0]
        self.assertEqual((first.consumer, first.first_seq, first.attempt, first.lease_ms), (1, 1, 1, 30_000))
        self.assertEqual(first.epoch, connection.welcome.shard_epoch)
        self.assertEqual(len(first.id_prefix), 10)
        self.assertTrue(connection.quiet(0.3))
        self.assertEqual(connection.show_queue(self.queue).started, 3)
        settled = connection.settle(1, "ACK", spans(got[:2]))
        self.assertEqual((settled.count, len(settled.stale)), (2, 0))
        self.assertEqual([d.messages[i].body for d, i in take(connection, 2)], [b"d", b"e"])
        connection.send(Frame(credit=data.Credit(consumer=1, credit_messages=4)))  # one more than the three held
        self.assertEqual(bodies(take(connection, 1)[0][0]), [b"f"])
        self.assertTrue(connection.quiet(0.3))
        connection.send(Frame(credit=data.Credit(consumer=1, credit_messages=0)))
        connection.settle(1, "ACK", spans(got[2:]))
        self.assertTrue(connection.quiet(0.3))
        info = connection.show_queue(self.queue)
        self.assertEqual((info.ready, info.started, info.acked, info.delivered, info.consumers), (2, 3, 3, 6, 1))

    def test_credit_in_bytes_lets_at_least_one_message_through(self):
        connection = self.create()
        connection.publish(self.queue, messages(b"x" * 1000, b"y" * 1000, b"z" * 1000))
        connection.consume(self.queue, credit_bytes=500)
        got = take(connection, 1)
        self.assertTrue(connection.quiet(0.3))
        connection.settle(1, "ACK", spans(got))
        self.assertEqual(take(connection, 1)[0][0].first_seq, 2)

    def test_a_waiting_consumer_gets_what_is_published(self):
        connection = self.create()
        connection.consume(self.queue)
        publisher = self.connect()
        publisher.publish(self.queue, messages("a"))
        self.assertEqual(bodies(connection.next_delivery()), [b"a"])

    def test_explicit_start_begins_lease_and_attempt(self):
        connection = self.create()
        connection.publish(self.queue, messages(*"abc"))
        connection.consume(self.queue, explicit_start=True, lease_ms=20_000)
        delivery = connection.next_delivery()
        self.assertEqual((len(delivery.messages), delivery.attempt, delivery.lease_ms), (3, 1, 20_000))
        self.assertTrue(delivery.lease & 1 << 31)
        info = connection.show_queue(self.queue)
        self.assertEqual((info.ready, info.buffered, info.started), (0, 3, 0))
        buffered = raw.seq_range(1, 3, delivery.epoch, delivery.lease)
        self.assertEqual(connection.settle(1, "ACK", [buffered]).count, 0)
        started = connection.start(1, [raw.seq_range(1, 2, delivery.epoch, delivery.lease),
                                       raw.seq_range(7, 8, delivery.epoch, delivery.lease)])
        self.assertEqual(started.lease_ms, 20_000)
        self.assertEqual([(r.first_seq, r.last_seq, r.attempt) for r in started.ranges], [(1, 2, 1)])
        self.assertEqual([(r.first_seq, r.last_seq) for r in started.stale], [(7, 8)])
        begun = started.ranges[0]
        self.assertFalse(begun.lease & 1 << 31)
        self.assertEqual(connection.show_queue(self.queue).started, 2)
        got = connection.settle(1, "ACK", [raw.seq_range(1, 2, begun.epoch, begun.lease)])
        self.assertEqual(got.count, 2)
        with self.fails("NOT_FOUND"):
            connection.start(9, [buffered])
        with self.fails("INVALID"):
            connection.start(1, [])
        self.assertEqual(connection.settle(1, "RELEASE", [raw.seq_range(3, 3, delivery.epoch, delivery.lease)]).count, 1)
        self.assertEqual(connection.next_delivery().attempt, 1)

    def test_recall_takes_back_what_is_buffered(self):
        connection = self.create()
        connection.publish(self.queue, messages("a"))
        connection.consume(self.queue, explicit_start=True)
        delivery = connection.next_delivery()
        connection.request(queue_pause=admin.QueuePause(name=self.queue, paused=True))
        recall = connection.next_event().recall
        self.assertEqual(recall.consumer, 1)
        self.assertEqual([(r.first_seq, r.last_seq, r.epoch, r.lease) for r in recall.ranges],
                         [(1, 1, delivery.epoch, delivery.lease)])
        started = connection.start(1, [raw.seq_range(1, 1, delivery.epoch, delivery.lease)])
        self.assertEqual((len(started.ranges), len(started.stale)), (0, 1))

    def test_a_broken_connection_gives_back_its_buffer_at_once(self):
        connection = self.create()
        connection.publish(self.queue, messages(*"abc"))
        connection.consume(self.queue, explicit_start=True)
        self.assertEqual(len(connection.next_delivery().messages), 3)
        connection.close()
        other = self.connect()
        other.consume(self.queue, name="other")
        self.assertEqual([d.attempt for d, _ in take(other, 3)], [1, 1, 1])

    def test_ack_on_delivery_is_done_when_it_is_sent(self):
        connection = self.create()
        connection.publish(self.queue, messages(*"abc"))
        connection.consume(self.queue, ack_on_delivery=True, credit=2)
        got = take(connection, 2)
        info = connection.show_queue(self.queue)
        self.assertEqual((info.ready, info.started, info.acked), (1, 0, 2))
        self.assertEqual(connection.settle(1, "RETRY", spans(got)).count, 0)
        self.assertTrue(connection.quiet(0.3))
        self.assertEqual(connection.settle(1, "ACK", spans(got)).count, 2)  # makes room
        self.assertEqual(bodies(connection.next_delivery()), [b"c"])

    def test_a_filter_leaves_the_rest_to_others(self):
        connection = self.create()
        connection.publish(self.queue, [Message(body=b"a", priority=9), Message(body=b"b"), Message(body=b"c", key="k")])
        connection.consume(self.queue, filter="priority = 9 OR key = 'k'")
        self.assertEqual([d.messages[i].body for d, i in take(connection, 2)], [b"a", b"c"])
        self.assertTrue(connection.quiet(0.3))
        explained = connection.request(explain=admin.Explain(queue=self.queue))
        self.assertEqual(admin.Gate.Name(explained.gate), "NOT_WANTED")
        connection.consume(self.queue, name="all", consumer=2)
        self.assertEqual(bodies(connection.next_delivery()), [b"b"])

    def test_bad_requests_are_refused(self):
        connection = self.create()
        with self.fails("NOT_FOUND"):
            connection.consume("missing-queue")
        for fields in [dict(consumer=0), dict(name=""), dict(name="no spaces"), dict(credit=65536),
                       dict(lease_ms=99), dict(lease_ms=24 * 3600 * 1000 + 1)]:
            with self.subTest(fields=fields), self.fails("INVALID"):
                connection.consume(self.queue, **fields)
        for fields in [dict(filter="priorty = 1"), dict(filter="age > 5m"), dict(filter="x" * 5000),
                       dict(ack_on_delivery=True, explicit_start=True),
                       dict(ack_on_delivery=True, held=[raw.seq_range(1, 1, 1, 1)])]:
            with self.subTest(fields=fields), self.fails("INVALID"):
                connection.consume(self.queue, **fields)
        with self.fails("UNSUPPORTED"):
            connection.consume(self.queue, service="s")
        for source, code in [(dict(queue=self.queue, subscription="t/s"), "INVALID"), (dict(subscription="t"), "INVALID"),
                             (dict(subscription="t/s"), "NOT_FOUND")]:
            with self.subTest(source=source), self.fails(code):
                connection.request(consume=data.Consume(name="raw", consumer=9, **source))
        connection.consume(self.queue)
        with self.fails("INVALID"):
            connection.consume(self.queue, name="other")  # number in use
        with self.fails("NOT_FOUND"):
            connection.settle(5, "ACK", [raw.seq_range(1, 1, 1, 1)])
        with self.fails("NOT_FOUND"):
            connection.extend(5, [raw.seq_range(1, 1, 1, 1)])
        with self.fails("NOT_FOUND"):
            connection.request(cancel_consumer=data.CancelConsumer(consumer=5))
        with self.fails("NOT_FOUND"):
            connection.send_request(credit=data.Credit(consumer=5, credit_messages=1))
            raise BrokerError(connection.receive().error)
        for outcome, ranges, fields in [("OUTCOME_UNSPECIFIED", [raw.seq_range(1, 1, 1, 1)], {}),
                                        ("ACK", [], {}), ("ACK", [raw.seq_range(2, 1, 1, 1)], {}),
                                        ("ACK", [raw.seq_range(0, 1, 1, 1)], {}),
                                        ("ACK", [raw.seq_range(1, 1, 1, 1)], dict(after_ms=1)),
                                        ("REJECT", [raw.seq_range(1, 1, 1, 1)], dict(after_ms=1)),
                                        ("RETRY", [raw.seq_range(1, 1, 1, 1)], dict(reason="x" * 1025))]:
            with self.subTest(outcome=outcome, fields=fields), self.fails("INVALID"):
                connection.settle(1, outcome, ranges, **fields)

    def test_cancelling_gives_back_without_counting(self):
        connection = self.create()
        connection.publish(self.queue, messages("a", "b"))
        connection.consume(self.queue)
        take(connection, 2)
        self.assertEqual(connection.request(cancel_consumer=data.CancelConsumer(consumer=1)).count, 2)
        connection.consume(self.queue)  # the number is free again
        for delivery, _ in take(connection, 2):
            self.assertEqual(delivery.attempt, 1)

    def test_a_deleted_queue_closes_its_consumers(self):
        connection = self.create()
        connection.consume(self.queue)
        self.connect().request(queue_delete=admin.QueueDelete(name=self.queue))
        closed = connection.next_event().consumer_closed
        self.assertEqual((closed.consumer, raw.code_name(closed.error.code)), (1, "NOT_FOUND"))

    def test_a_name_is_taken_over_by_the_newer_consumer(self):
        old = self.create()
        old.publish(self.queue, messages("a"))
        old.consume(self.queue, name="worker")
        delivery = old.next_delivery()
        new = self.connect()
        answer = new.consume(self.queue, name="worker", held=held(delivery))
        self.assertEqual(len(answer.held), 1)
        closed = old.next_event().consumer_closed
        self.assertEqual((closed.consumer, raw.code_name(closed.error.code)), (1, "CONFLICT"))
        self.assertEqual(new.settle(1, "ACK", held(delivery)).count, 1)


class Settling(Conversation):
    def test_a_wide_range_names_what_is_held_and_reports_the_rest(self):
        connection = self.create()
        connection.publish(self.queue, messages(*"abcdef"))
        connection.consume(self.queue)
        got = take(connection, 6)
        epoch, lease = got[0][0].epoch, got[0][0].lease
        self.assertEqual(connection.settle(1, "ACK", [raw.seq_range(2, 3, epoch, lease)]).count, 2)
        settled = connection.settle(1, "ACK", [raw.seq_range(1, 8, epoch, lease)])
        self.assertEqual(settled.count, 4)
        self.assertEqual([(s.first_seq, s.last_seq, s.epoch, s.lease) for s in settled.stale],
                         [(2, 3, epoch, lease), (7, 8, epoch, lease)])
        info = connection.show_queue(self.queue)
        self.assertEqual((info.ready, info.started, info.acked), (0, 0, 6))

    def test_a_wrong_lease_or_epoch_is_stale(self):
        connection = self.create()
        connection.publish(self.queue, messages("a"))
        connection.consume(self.queue)
        delivery = connection.next_delivery()
        for epoch, lease in [(delivery.epoch, delivery.lease + 1), (delivery.epoch + 1, delivery.lease),
                             (delivery.epoch - 1, delivery.lease)]:
            settled = connection.settle(1, "ACK", [raw.seq_range(1, 1, epoch, lease)])
            self.assertEqual((settled.count, len(settled.stale)), (0, 1))
        self.assertEqual(connection.settle(1, "ACK", held(delivery)).count, 1)

    def test_retry_counts_an_attempt_and_waits(self):
        connection = self.create(backoff_first_ms=50, backoff_jitter=0.0, max_attempts=3)
        connection.publish(self.queue, messages("a"))
        connection.consume(self.queue)
        delivery = connection.next_delivery()
        connection.settle(1, "RETRY", held(delivery), reason="no luck", after_ms=400)
        start = time.monotonic()
        (peeked,) = connection.request(queue_peek=admin.QueuePeek(name=self.queue)).messages
        self.assertEqual((peeked.state, peeked.attempts, peeked.last_error), (admin.WAITING, 1, "no luck"))
        self.assertEqual(connection.show_queue(self.queue).waiting, 1)
        second = connection.next_delivery()
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        self.assertEqual((second.attempt, second.first_seq), (2, 1))
        self.assertGreater((second.epoch, second.lease), (delivery.epoch, delivery.lease))
        connection.settle(1, "RETRY", held(second))  # with the queue's backoff
        third = connection.next_delivery()
        self.assertEqual(third.attempt, 3)
        connection.settle(1, "RETRY", held(third), reason="still not")
        info = connection.show_queue(self.queue)
        self.assertEqual((info.dead, info.ready, info.waiting, info.died), (1, 0, 0, 1))

    def test_release_counts_nothing_and_keeps_the_place(self):
        connection = self.create(max_releases=2)
        connection.publish(self.queue, messages("a", "b"))
        connection.consume(self.queue, credit=1)
        delivery = connection.next_delivery()
        connection.settle(1, "RELEASE", held(delivery))
        second = connection.next_delivery()
        self.assertEqual((second.first_seq, second.attempt), (1, 1))
        connection.settle(1, "RELEASE", held(second), after_ms=300)
        other = connection.next_delivery()
        self.assertEqual(other.first_seq, 2)
        connection.settle(1, "ACK", held(other))
        third = connection.next_delivery()
        self.assertEqual((third.first_seq, third.attempt), (1, 1))
        connection.settle(1, "RELEASE", held(third))  # the third release is one too many
        self.assertEqual(connection.show_queue(self.queue).dead, 1)

    def test_reject_is_a_dead_letter_at_once(self):
        connection = self.create()
        connection.publish(self.queue, messages("a", "b"))
        connection.consume(self.queue)
        got = take(connection, 2)
        self.assertEqual(connection.settle(1, "REJECT", spans(got[:1]), reason="bad").count, 1)
        info = connection.show_queue(self.queue)
        self.assertEqual((info.dead, info.started), (1, 1))

    def test_a_lease_ends_and_the_late_settle_changes_nothing(self):
        connection = self.create(backoff_first_ms=0, backoff_longest_ms=0, reconnect_grace_ms=0)
        connection.publish(self.queue, messages("a"))
        connection.consume(self.queue, name="slow", lease_ms=300)
        late = connection.next_delivery()
        self.assertEqual(late.lease_ms, 300)
        start = time.monotonic()
        other = self.connect()
        connection.send(Frame(credit=data.Credit(consumer=1, credit_messages=0)))
        other.consume(self.queue, name="quick")
        delivery = other.next_delivery()
        self.assertGreaterEqual(time.monotonic() - start, 0.2)
        self.assertEqual((delivery.first_seq, delivery.attempt), (1, 2))
        self.assertGreater((delivery.epoch, delivery.lease), (late.epoch, late.lease))
        settled = connection.settle(1, "ACK", held(late))
        self.assertEqual((settled.count, len(settled.stale)), (0, 1))
        self.assertEqual(connection.extend(1, held(late)).count, 0)
        self.assertEqual(other.settle(1, "ACK", held(delivery)).count, 1)
        self.assertEqual(connection.show_queue(self.queue).acked, 1)

    def test_extend_keeps_the_lease_alive(self):
        connection = self.create()
        connection.publish(self.queue, messages("a"))
        connection.consume(self.queue, lease_ms=500)
        delivery = connection.next_delivery()
        for _ in range(4):
            self.assertTrue(connection.quiet(0.25))
            extended = connection.extend(1, held(delivery))
            self.assertEqual((extended.count, len(extended.stale)), (1, 0))
        with self.fails("INVALID"):
            connection.extend(1, held(delivery), lease_ms=99)
        with self.fails("INVALID"):
            connection.extend(1, [])
        stale = connection.extend(1, [raw.seq_range(1, 2, delivery.epoch, delivery.lease)]).stale
        self.assertEqual([(s.first_seq, s.last_seq) for s in stale], [(2, 2)])
        self.assertEqual(connection.settle(1, "ACK", held(delivery)).count, 1)

    def test_settle_without_request_id_is_not_answered(self):
        connection = self.create()
        connection.publish(self.queue, messages("a"))
        connection.consume(self.queue)
        delivery = connection.next_delivery()
        connection.send(Frame(settle=data.Settle(consumer=1, outcome=data.ACK, ranges=held(delivery))))
        while connection.show_queue(self.queue).acked != 1:
            pass
        self.assertFalse(connection.events)


class ComingBack(Conversation):
    def setUp(self):
        super().setUp()
        self.first = self.create(reconnect_grace_ms=5000, backoff_first_ms=0, backoff_longest_ms=0)
        self.first.publish(self.queue, messages("a", "b", "c"))

    def test_held_deliveries_stay_and_the_others_come_again_at_once(self):
        self.first.consume(self.queue, name="worker")
        got = take(self.first, 3)
        self.first.close()
        second = self.connect()
        answer = second.consume(self.queue, name="worker", consumer=8, held=spans(got[1:2]) + [
            raw.seq_range(3, 3, got[2][0].epoch + 1, got[2][0].lease)])
        self.assertEqual([(h.first_seq, h.last_seq) for h in answer.held], [(2, 2)])
        again = take(second, 2)
        self.assertEqual([d.first_seq + i for d, i in again], [1, 3])
        self.assertEqual(again[0][0].attempt, 2)
        self.assertEqual(second.settle(8, "ACK", spans(got[1:2])).count, 1)
        self.assertEqual(second.settle(8, "ACK", spans(got[:1])).count, 0)
        self.assertEqual(second.settle(8, "ACK", spans(again)).count, 2)

    def test_nobody_else_gets_them_within_the_grace(self):
        self.first.consume(self.queue, name="worker")
        take(self.first, 3)
        self.first.close()
        other = self.connect()
        other.consume(self.queue, name="other")
        self.assertTrue(other.quiet(0.5))

    def test_after_the_grace_they_are_redelivered(self):
        self.first.request(queue_update=admin.QueueUpdate(
            name=self.queue, settings=admin.QueueSettings(reconnect_grace_ms=200)))
        self.first.consume(self.queue, name="worker")
        take(self.first, 3)
        self.first.close()
        other = self.connect()
        other.consume(self.queue, name="other")
        self.assertEqual({d.attempt for d, _ in take(other, 3)}, {2})

    def test_after_a_restart_of_the_broker_the_old_lease_still_settles(self):
        self.first.consume(self.queue, name="worker", credit=2)
        got = take(self.first, 2)
        old_epoch = self.first.welcome.shard_epoch
        self.broker.kill()
        self.broker.start()
        second = self.connect()
        self.assertGreater(second.welcome.shard_epoch, old_epoch)
        answer = second.consume(self.queue, name="worker", credit=3, held=spans(got[:1]))
        self.assertEqual([(h.first_seq, h.last_seq, h.epoch) for h in answer.held], [(1, 1, old_epoch)])
        again = take(second, 2)
        self.assertEqual([d.first_seq + i for d, i in again], [2, 3])
        self.assertEqual(again[0][0].epoch, second.welcome.shard_epoch)
        self.assertEqual(second.settle(1, "ACK", spans(got[:1])).count, 1)
        self.assertEqual(second.settle(1, "ACK", spans(again)).count, 2)


class Administration(Conversation):
    def test_a_queue_is_created_shown_updated_and_deleted(self):
        connection = self.connect()
        with self.fails("NOT_FOUND"):
            connection.show_queue(self.queue)
        info = connection.create_queue(self.queue, lease_ms=5000)
        settings = info.settings
        self.assertEqual((info.name, info.paused, info.next_seq, settings.lease_ms), (self.queue, False, 1, 5000))
        self.assertEqual((settings.durability, settings.overflow), (data.SYNC, admin.REJECT_NEW))
        for name, value in [("max_attempts", 5), ("max_releases", 100), ("backoff_first_ms", 1000),
                            ("backoff_factor", 2), ("backoff_longest_ms", 600_000), ("backoff_jitter", 0.1),
                            ("max_retry_delay_ms", 86_400_000), ("max_messages", 0), ("max_bytes", 0),
                            ("dead_max", 100_000), ("reconnect_grace_ms", 5000), ("ttl_ms", 0), ("oldest_every", 0), ("dedup_window_ms", 600_000)]:
            self.assertTrue(settings.HasField(name), name)
            self.assertAlmostEqual(getattr(settings, name), value, msg=name)
        self.assertEqual((settings.on_expire, settings.key_on_retry, settings.key_on_dead, settings.dedup_mode),
                         (admin.EXPIRED_DEAD, admin.KEY_HOLD, admin.KEY_SKIP, admin.DEDUP_WINDOW))
        self.assertLess(abs(info.created_ms - time.time() * 1000), 60_000)
        with self.fails("ALREADY_EXISTS"):
            connection.create_queue(self.queue)
        self.assertEqual(connection.create_queue(self.queue, True).id, info.id)
        self.assertEqual(connection.create_queue(self.queue, True, lease_ms=5000).id, info.id)
        with self.fails("CONFLICT"):
            connection.create_queue(self.queue, True, lease_ms=6000)
        updated = connection.request(queue_update=admin.QueueUpdate(
            name=self.queue, settings=admin.QueueSettings(max_messages=9, durability=data.ASYNC)))
        self.assertEqual((updated.settings.max_messages, updated.settings.lease_ms), (9, 5000))
        self.assertEqual(updated.settings.durability, data.ASYNC)
        with self.fails("CONFLICT"):
            connection.request(queue_update=admin.QueueUpdate(
                name=self.queue, settings=admin.QueueSettings(durability=data.MEMORY)))
        with self.fails("NOT_FOUND"):
            connection.request(queue_update=admin.QueueUpdate(name="missing-queue"))
        connection.publish(self.queue, messages("a", "b"))
        with self.fails("CONFLICT"):
            connection.request(queue_delete=admin.QueueDelete(name=self.queue, if_empty=True))
        self.assertEqual(connection.request(queue_delete=admin.QueueDelete(name=self.queue)).count, 2)
        with self.fails("NOT_FOUND"):
            connection.request(queue_delete=admin.QueueDelete(name=self.queue))
        self.assertEqual(connection.request(queue_delete=admin.QueueDelete(name=self.queue, if_exists=True)).count, 0)
        again = connection.create_queue(self.queue)
        self.assertNotEqual(again.id, info.id)
        self.assertEqual((again.ready, again.next_seq), (0, 1))

    def test_settings_out_of_range_are_refused(self):
        connection = self.connect()
        day = 24 * 3600 * 1000
        for fields in [dict(lease_ms=99), dict(lease_ms=day + 1), dict(max_attempts=0), dict(max_attempts=1001),
                       dict(max_releases=1_000_001), dict(backoff_first_ms=7 * day + 1), dict(backoff_factor=0.9),
                       dict(backoff_factor=float("nan")), dict(backoff_longest_ms=7 * day + 1),
                       dict(backoff_first_ms=100, backoff_longest_ms=99), dict(backoff_jitter=1.1),
                       dict(backoff_jitter=-0.1), dict(max_retry_delay_ms=365 * day + 1), dict(dead_max=0),
                       dict(dead_max=10_000_001), dict(reconnect_grace_ms=600_001), dict(lease_ms=2**64 - 1),
                       dict(ttl_ms=3650 * day + 1), dict(oldest_every=1001), dict(dedup_window_ms=999),
                       dict(dedup_window_ms=7 * day + 1), dict(dedup_mode=3), dict(overflow=3)]:
            with self.subTest(fields=fields), self.fails("INVALID"):
                connection.create_queue(self.queue, **fields)
        with self.fails("NOT_FOUND"):
            connection.show_queue(self.queue)

    def test_names_follow_the_rules(self):
        connection = self.connect()
        for name in ["", ".hidden", "a b", "a/b", "ü", "a\x00b", "$sys", "~x", "n" * 129]:
            with self.subTest(name=name), self.fails("INVALID"):
                connection.create_queue(name)
        for name in ["n" * 128, "A.z_0:9-", "-", "_"]:
            self.assertEqual(connection.create_queue(name).name, name)

    def test_pause_stops_deliveries_and_survives_a_restart(self):
        connection = self.create()
        info = connection.request(queue_pause=admin.QueuePause(name=self.queue, paused=True))
        self.assertTrue(info.paused)
        connection.consume(self.queue)
        connection.publish(self.queue, messages("a"))
        self.assertTrue(connection.quiet(0.3))
        self.broker.kill()
        self.broker.start()
        connection = self.connect()
        self.assertTrue(connection.show_queue(self.queue).paused)
        connection.consume(self.queue)
        self.assertTrue(connection.quiet(0.3))
        self.assertFalse(connection.request(queue_pause=admin.QueuePause(name=self.queue, paused=False)).paused)
        self.assertEqual(bodies(connection.next_delivery()), [b"a"])
        with self.fails("NOT_FOUND"):
            connection.request(queue_pause=admin.QueuePause(name="missing-queue", paused=True))

    def test_purge_spares_what_is_started(self):
        connection = self.create()
        connection.publish(self.queue, messages(*"abcde"))
        connection.consume(self.queue, credit=2)
        got = take(connection, 2)
        connection.send(Frame(credit=data.Credit(consumer=1, credit_messages=0)))
        self.assertEqual(connection.request(queue_purge=admin.QueuePurge(name=self.queue)).count, 3)
        info = connection.show_queue(self.queue)
        self.assertEqual((info.ready, info.started, info.next_seq), (0, 2, 6))
        self.assertEqual(connection.settle(1, "ACK", spans(got)).count, 2)
        with self.fails("NOT_FOUND"):
            connection.request(queue_purge=admin.QueuePurge(name="missing-queue"))

    def test_lists_come_in_pages_by_name(self):
        connection = self.connect()
        names = sorted("page-%s-%d" % (c, i) for c in "aB" for i in range(6))
        for name in names:
            connection.create_queue(name)
        got, after = [], ""
        for _ in range(20):
            reply = connection.request(queue_list=admin.QueueList(prefix="page-", after=after, limit=5))
            self.assertLessEqual(len(reply.queues), 5)
            got += [info.name for info in reply.queues]
            after = reply.next
            if not after:
                break
        self.assertEqual(got, names)
        reply = connection.request(queue_list=admin.QueueList(prefix="page-B"))
        self.assertEqual([info.name for info in reply.queues], names[:6])
        self.assertFalse(connection.request(queue_list=admin.QueueList(prefix="none-such")).queues)

    def test_peek_pages_and_shows_states_without_touching(self):
        connection = self.create()
        connection.publish(self.queue, messages(*[b"%d" % i * 100 for i in range(9)]))
        connection.consume(self.queue, name="holder", credit=1)
        delivery = connection.next_delivery()
        got, start = [], 0
        for _ in range(20):
            reply = connection.request(queue_peek=admin.QueuePeek(name=self.queue, from_seq=start, limit=4))
            got += reply.messages
            start = reply.next_seq
            if not start:
                break
        self.assertEqual([p.seq for p in got], list(range(1, 10)))
        self.assertEqual((got[0].state, got[0].consumer, got[0].attempts), (admin.STARTED, "holder", 1))
        self.assertGreater(got[0].visible_at_ms, got[0].commit_time_ms)
        self.assertEqual({(p.state, p.attempts, p.consumer) for p in got[1:]}, {(admin.READY, 0, "")})
        reply = connection.request(queue_peek=admin.QueuePeek(name=self.queue, from_seq=3, max_bytes=250))
        self.assertEqual([p.seq for p in reply.messages][:1], [3])
        self.assertLessEqual(len(reply.messages), 3)
        self.assertEqual(connection.settle(1, "ACK", held(delivery)).count, 1)
        self.assertEqual(connection.show_queue(self.queue).delivered, 2)
        with self.fails("NOT_FOUND"):
            connection.request(queue_peek=admin.QueuePeek(name="missing-queue"))

    def test_stats_add_up(self):
        connection = self.create()
        before = connection.request(stats_request=admin.StatsRequest())
        connection.publish(self.queue, messages("a", "b"))
        stats = connection.request(stats_request=admin.StatsRequest())
        self.assertEqual(stats.accepted, before.accepted + 2)
        self.assertGreater(stats.lsn, before.lsn)
        self.assertGreater(stats.syncs, 0)
        self.assertEqual(stats.cluster_id, connection.welcome.cluster_id)
        self.assertEqual(stats.shard_epoch, connection.welcome.shard_epoch)
        self.assertEqual(os.path.realpath(stats.data_dir), os.path.realpath(self.broker.data_dir))
        for name in ["connections", "queues", "started_ms", "time_ms", "disk_free_bytes", "disk_total_bytes",
                     "resident_bytes", "open_files", "open_files_limit", "commits"]:
            self.assertGreater(getattr(stats, name), 0, name)

    def test_everything_is_there_after_kill_minus_nine(self):
        connection = self.create(max_messages=77)
        connection.publish(self.queue, messages("a", "b", "c"))
        connection.consume(self.queue, credit=1)
        connection.settle(1, "ACK", held(connection.next_delivery()))
        connection.next_delivery()
        before = connection.show_queue(self.queue)
        self.broker.kill()
        self.broker.start()
        after = self.connect().show_queue(self.queue)
        self.assertEqual((after.id, after.settings, after.next_seq, after.created_ms),
                         (before.id, before.settings, before.next_seq, before.created_ms))
        self.assertEqual((after.ready + after.started + after.waiting, after.bytes), (2, before.bytes))


class Topics(Conversation):
    def topic(self, connection, **settings):
        return connection.request(topic_create=admin.TopicCreate(name=self.queue, settings=admin.TopicSettings(**settings)))

    def subscribe(self, connection, name, subjects=(), consumer=0, frm=admin.FROM_END, **fields):
        settings = admin.SubscriptionSettings(subjects=subjects, **fields.pop("settings", {}))
        made = connection.request(subscription_create=admin.SubscriptionCreate(
            topic=self.queue, name=name, settings=settings, **{"from": admin.Position(**{"from": frm})}, **fields))
        if consumer:
            connection.request(consume=data.Consume(subscription=self.queue + "/" + name, name="raw", consumer=consumer,
                                                    credit_messages=100))
        return made

    def say(self, connection, *pairs, **fields):
        return connection.request(publish=data.Publish(
            topic=self.queue, messages=[Message(body=body, subject=subject) for body, subject in pairs], **fields))

    def test_each_subscription_gets_what_it_wants_under_the_ids_of_the_receipt(self):
        connection = self.connect()
        self.assertEqual(self.topic(connection).settings.durability, data.SYNC)
        self.subscribe(connection, "all", consumer=1)
        self.subscribe(connection, "created", ["order.*.created"], consumer=2)
        confirm = self.say(connection, (b"a", "order.eu.created"), (b"b", "order.eu.deleted"))
        self.assertEqual([(r.first_index, r.count, r.subscriptions) for r in confirm.routed], [(0, 1, 2), (1, 1, 1)])
        deliveries = {d.consumer: d for d in (connection.next_delivery(), connection.next_delivery())}
        self.assertEqual([m.body for m in deliveries[1].messages], [b"a", b"b"])
        self.assertEqual([m.body for m in deliveries[2].messages], [b"a"])
        for delivery in deliveries.values():
            self.assertEqual(delivery.id_prefix, confirm.id_prefix)
            self.assertEqual(delivery.original_seq or delivery.first_seq, confirm.first_seq)
        with self.fails("UNROUTABLE"):
            connection.request(subscription_delete=admin.SubscriptionDelete(topic=self.queue, name="all"))
            self.say(connection, (b"c", "nobody"), mandatory=True)

    def test_a_subscription_survives_the_broker_and_shows_its_lag(self):
        connection = self.connect()
        self.topic(connection, retain_age_ms=3_600_000)
        self.subscribe(connection, "s")
        self.say(connection, (b"a", ""), (b"b", ""))
        self.broker.kill()
        self.broker.start()
        connection = self.connect()
        info = connection.request(subscription_show=admin.SubscriptionShow(topic=self.queue, name="s"))
        self.assertEqual(info.lag_messages, 2)
        self.assertGreater(info.lag_oldest_ms, 0)
        connection.request(consume=data.Consume(subscription=self.queue + "/s", name="raw", consumer=1, credit_messages=9))
        delivery = connection.next_delivery()
        self.assertEqual([m.body for m in delivery.messages], [b"a", b"b"])
        connection.settle(1, "ACK", [raw.seq_range(1, 2, delivery.epoch, delivery.lease)])
        connection.request(subscription_seek=admin.SubscriptionSeek(
            topic=self.queue, name="s", to=admin.Position(**{"from": admin.FROM_SEQ}, seq=2)))
        self.assertEqual([m.body for m in connection.next_delivery().messages], [b"b"])
        connection.request(subscription_replay=admin.SubscriptionReplay(
            topic=self.queue, name="s", **{"from": admin.Position(**{"from": admin.FROM_START})}))
        again = connection.next_delivery()
        self.assertEqual([m.body for m in again.messages], [b"a", b"b"])
        self.assertEqual((again.original_seq or again.first_seq, again.attempt), (1, 1))
        listed = connection.request(subscription_list=admin.SubscriptionList(topic=self.queue)).subscriptions
        self.assertEqual([s.name for s in listed], ["s"])
        shown = connection.request(topic_show=admin.TopicShow(name=self.queue))
        self.assertEqual((shown.messages, shown.first_seq, shown.next_seq, shown.subscriptions), (2, 1, 3, 1))

    def test_an_ephemeral_subscription_ends_with_its_connection(self):
        connection, other = self.connect(), self.connect()
        self.topic(connection, durability=data.MEMORY)
        self.subscribe(other, "mine", consumer=1, ephemeral=True)
        self.assertEqual(self.say(connection, (b"a", "")).routed[0].subscriptions, 1)
        self.assertEqual([m.body for m in other.next_delivery().messages], [b"a"])
        other.close()
        deadline = time.monotonic() + 10
        while self.say(connection, (b"b", "")).routed:
            self.assertLess(time.monotonic(), deadline)

    def test_a_subscription_can_feed_a_queue(self):
        connection = self.create(queue="fed-queue")
        self.topic(connection)
        self.subscribe(connection, "bridge", ["x"], settings=dict(to_queue="fed-queue"))
        self.say(connection, (b"a", "x"), (b"b", "y"))
        connection.consume("fed-queue")
        self.assertEqual([m.body for m in connection.next_delivery().messages], [b"a"])
        with self.fails("CONFLICT"):
            connection.request(queue_delete=admin.QueueDelete(name="fed-queue"))

    def test_bad_requests_are_refused(self):
        connection = self.create()
        with self.fails("ALREADY_EXISTS"):
            self.topic(connection)
        self.queue += "-topic"
        with self.fails("INVALID"):
            self.topic(connection, retain_age_ms=999)
        self.topic(connection)
        for bad in ["", "a..b", "a.>.b", ".".join("a" * 17), "x" * 1025]:
            with self.subTest(pattern=bad), self.fails("INVALID"):
                self.subscribe(connection, "s", [bad])
        with self.fails("INVALID"):
            self.subscribe(connection, "s", ["a"] * 33)
        with self.fails("INVALID"):
            self.subscribe(connection, "s", settings=dict(filter="age > 5m"))
        with self.fails("INVALID"):
            self.subscribe(connection, "s", frm=admin.FROM_SEQ)
        with self.fails("INVALID"):
            self.subscribe(connection, "a/b")
        with self.fails("NOT_FOUND"):
            connection.request(subscription_show=admin.SubscriptionShow(topic=self.queue, name="s"))
        with self.fails("NOT_FOUND"):
            connection.publish(self.queue, messages("a"))  # a topic is not a queue
        self.subscribe(connection, "s", ["a"] * 32)
        with self.fails("ALREADY_EXISTS"):
            self.subscribe(connection, "s")


class Farewell(Conversation):
    def test_term_says_go_away_drains_and_exits_clean(self):
        connection = self.create()
        connection.publish(self.queue, messages("a"))
        os.kill(self.broker.pid, 15)
        kinds = []
        with self.assertRaises(Closed):
            while True:
                kinds.append(connection.receive(30).WhichOneof("kind"))
        self.assertEqual(kinds, ["go_away"])
        self.assertEqual(self.broker.wait_exit(30), 0)
        self.broker.start()
        self.assertEqual(self.connect().show_queue(self.queue).ready, 1)

    def test_health_ready_and_metrics_are_served(self):
        self.assertTrue(self.broker.http_get("/healthz") is not None)
        self.assertTrue(self.broker.http_get("/readyz") is not None)
        connection = self.create()
        connection.publish(self.queue, messages("a"))
        text = self.broker.http_get("/metrics")
        self.assertRegex(text, r"(?m)^rockdove_messages_accepted_total(\{[^}]*\})? [1-9]")
        self.assertTrue(re.search(r"(?m)^process_resident_memory_bytes [1-9]", text), text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    OPTIONS, rest = parser.parse_known_args()
    OPTIONS.daemon = os.path.abspath(OPTIONS.daemon)
    unittest.main(argv=sys.argv[:1] + rest)
