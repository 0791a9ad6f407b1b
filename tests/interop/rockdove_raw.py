"""A Rockdove client over a plain socket, written from docs/protocol.md and the .proto files alone.

It is deliberately independent of the C++ client library: a misunderstanding shared by broker and library would
otherwise stay unseen. One Connection is used by one thread.
"""
import atexit
import collections
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time


def _schemas_folder():
    """The folder with the generated *_pb2.py: from the build tree, else generated here and now."""
    folder = os.environ.get("ROCKDOVE_PYTHON_PROTOS")
    if folder:
        return folder
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "protocol", "proto")
    folder = tempfile.mkdtemp(prefix="rockdove-protos-")
    atexit.register(shutil.rmtree, folder, True)
    names = sorted(os.listdir(os.path.join(root, "rockdove", "v1")))
    files = [os.path.join("rockdove", "v1", name) for name in names if name.endswith(".proto")]
    subprocess.run(["protoc", "--python_out=" + folder, "-I", root] + files, check=True, cwd=root)
    return folder


sys.path.insert(0, _schemas_folder())

from rockdove.v1 import admin_pb2 as admin  # noqa: E402
from rockdove.v1 import data_pb2 as data  # noqa: E402
from rockdove.v1 import frame_pb2  # noqa: E402
from rockdove.v1 import message_pb2 as message  # noqa: E402
from rockdove.v1 import session_pb2 as session  # noqa: E402

Frame = frame_pb2.Frame
Message = message.Message
SeqRange = data.SeqRange
UNLIMITED = 2**64 - 1


class Closed(Exception):
    """The connection has ended. `error` is the broker's last word, if there was one."""

    def __init__(self, text, error=None):
        super().__init__(text if error is None else "%s: %s" % (text, describe(error)))
        self.error = error


class Timeout(Exception):
    """Nothing came in time."""


class BrokerError(Exception):
    """The broker answered with an Error."""

    def __init__(self, error):
        super().__init__(describe(error))
        self.error = error
        self.code = code_name(error.code)


def code_name(code):
    return message.ErrorCode.Name(code) if code in message.ErrorCode.values() else str(code)


def describe(error):
    return "%s (%s)" % (code_name(error.code), error.text)


def message_id(id_prefix, sequence):
    number = int.from_bytes(id_prefix + sequence.to_bytes(6, "big"), "big")
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> 5 * i & 31] for i in range(25, -1, -1))


def encode(frame):
    body = frame.SerializeToString()
    return struct.pack("<I", len(body)) + body


def parse_address(text):
    """'127.0.0.1:7625' or 'rockdove://127.0.0.1:7625/namespace' -> (host, port), namespace"""
    place, _, namespace = text.split("//")[-1].partition("/")
    host, _, port = place.rpartition(":")
    return (host.strip("[]"), int(port)), namespace


def seq_range(first, last, epoch, lease):
    return SeqRange(first_seq=first, last_seq=last, epoch=epoch, lease=lease)


def ranges_of(deliveries):
    """The shortest list of SeqRanges for (seq, epoch, lease) triples."""
    ranges = []
    for seq, epoch, lease in sorted(deliveries, key=lambda d: (d[1], d[2], d[0])):
        last = ranges[-1] if ranges else None
        if last and last.epoch == epoch and last.lease == lease and last.last_seq + 1 == seq:
            last.last_seq = seq
        else:
            ranges.append(seq_range(seq, seq, epoch, lease))
    return ranges


class Connection:
    """One connection. With hello=False nothing is sent: for tests that want to misbehave."""

    def __init__(self, address, timeout=10.0, hello=True, **hello_fields):
        self.timeout = timeout
        self.welcome = None
        self.events = collections.deque()  # frames nobody asked for: deliveries, closed consumers, go away
        self._in = bytearray()
        self._ended = False
        self._request_id = 0
        self._last_sent = time.monotonic()
        self._heartbeat = 5.0
        place, self._namespace = parse_address(address)
        self.socket = socket.create_connection(place, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        if hello:
            try:
                self.say_hello(**hello_fields)
            except BaseException:
                self.socket.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def say_hello(self, **fields):
        fields.setdefault("version_min", 1)
        fields.setdefault("version_max", 1)
        fields.setdefault("namespace", self._namespace)
        fields.setdefault("client_library", "raw-python/1")
        self.welcome = self.request(hello=session.Hello(**fields))
        self._heartbeat = self.welcome.heartbeat_ms / 1000 or 5.0
        return self.welcome

    def close(self):
        self.socket.close()
        self._ended = True

    def say_goodbye(self, reason="done"):
        """Sends GoAway and reads until the broker has closed."""
        self.send(Frame(go_away=session.GoAway(reason=reason)))
        try:
            while True:
                self.receive()
        except Closed:
            self.close()

    # Sending

    def send_bytes(self, raw):
        """Sends all of it; keeps reading meanwhile, so that neither side waits for the other for ever."""
        view = memoryview(raw)
        deadline = time.monotonic() + self.timeout
        while view:
            wait = deadline - time.monotonic()
            ready = self._wait(select.POLLOUT | (0 if self._ended else select.POLLIN), max(wait, 0))
            if ready & select.POLLIN:
                self._fill()
            if ready & ~select.POLLIN:
                try:
                    view = view[self.socket.send(view):]
                except BlockingIOError:
                    pass
                except OSError as error:
                    raise Closed("connection lost: %s" % error, self._last_error()) from None
                deadline = time.monotonic() + self.timeout
            elif wait <= 0:
                raise Timeout("the broker does not read")
        self._last_sent = time.monotonic()

    def send(self, frame):
        self.send_bytes(encode(frame))

    def send_request(self, **kind):
        """Sends a request with a fresh request id, and returns that id."""
        self._request_id += 1
        self.send(Frame(request_id=self._request_id, **kind))
        return self._request_id

    # Receiving

    def receive(self, timeout=None):
        """The next frame, whatever it is. Pings while it waits."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            frame = self._take_frame()
            if frame is not None:
                if frame.WhichOneof("kind") == "pong" and frame.request_id == 0:
                    continue
                return frame
            if self._ended:
                raise Closed("connection closed")
            wait = max(deadline - time.monotonic(), 0)
            idle = self._last_sent + self._heartbeat / 2 - time.monotonic()
            if self.welcome is not None and idle <= 0:
                self.send(Frame(ping=session.Ping()))
                continue
            if self.welcome is not None:
                wait = min(wait, idle)
            if self._wait(select.POLLIN, wait):
                self._fill()
            elif time.monotonic() >= deadline:
                raise Timeout("nothing came")

    def request(self, **kind):
        """Sends one request and waits for its answer. BrokerError if that is an Error."""
        wanted = self.send_request(**kind)
        deadline = time.monotonic() + self.timeout
        while True:
            frame = self.receive(max(deadline - time.monotonic(), 0))
            which = frame.WhichOneof("kind")
            if which == "error" and (frame.request_id == wanted or frame.error.closes):
                raise BrokerError(frame.error)
            if frame.request_id == wanted:
                return getattr(frame, which)
            self.events.append(frame)

    def next_event(self, timeout=None):
        """The next frame that nobody asked for."""
        return self.events.popleft() if self.events else self.receive(timeout)

    def next_delivery(self, timeout=None):
        """The next Deliver; other events are an error."""
        frame = self.next_event(timeout)
        if frame.WhichOneof("kind") != "deliver":
            raise AssertionError("expected a delivery, got %s" % frame)
        return frame.deliver

    def quiet(self, seconds):
        """True if nothing comes for so long."""
        if self.events:
            return False
        try:
            self.events.append(self.receive(seconds))
            return False
        except Timeout:
            return True

    def readable(self):
        """True if receive() would not have to wait."""
        return bool(self._wait(select.POLLIN, 0))

    def _wait(self, events, seconds):
        poll = select.poll()  # unlike select() it knows no highest descriptor
        poll.register(self.socket, events)
        return next((ready for _, ready in poll.poll(seconds * 1000)), 0)

    def _fill(self):
        try:
            chunk = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            self._in += chunk
        else:
            self._ended = True

    def _take_frame(self):
        if len(self._in) < 4:
            return None
        (length,) = struct.unpack_from("<I", self._in)
        if len(self._in) < 4 + length:
            return None
        frame = Frame.FromString(bytes(memoryview(self._in)[4:4 + length]))
        del self._in[:4 + length]
        return frame

    def _last_error(self):
        """The Error with which the broker closed, if it arrived."""
        self._fill()
        while True:
            frame = self._take_frame()
            if frame is None:
                return None
            if frame.WhichOneof("kind") == "error":
                return frame.error

    # Requests in everyday words

    def publish(self, queue, messages, producer_seq=0, oldest_unconfirmed=0):
        return self.request(publish=data.Publish(queue=queue, messages=messages, producer_seq=producer_seq,
                                                 oldest_unconfirmed=oldest_unconfirmed))

    def consume(self, queue, name="raw", consumer=1, credit=10, **fields):
        target = dict(subscription=queue) if "/" in queue else dict(queue=queue)
        return self.request(consume=data.Consume(name=name, consumer=consumer, credit_messages=credit, **target, **fields))

    def settle(self, consumer, outcome, ranges, **fields):
        return self.request(settle=data.Settle(consumer=consumer, outcome=data.Outcome.Value(outcome), ranges=ranges,
                                               **fields))

    def start(self, consumer, ranges):
        return self.request(start=data.Start(consumer=consumer, ranges=ranges))

    def extend(self, consumer, ranges, lease_ms=0):
        return self.request(extend=data.Extend(consumer=consumer, ranges=ranges, lease_ms=lease_ms))

    def create_queue(self, name, if_not_exists=False, **settings):
        return self.request(queue_create=admin.QueueCreate(name=name, if_not_exists=if_not_exists,
                                                           settings=admin.QueueSettings(**settings)))

    def create_subscription(self, name, subjects=(), **settings):
        """Of TOPIC/NAME; its topic is made as well."""
        topic, _, name = name.partition("/")
        self.request(topic_create=admin.TopicCreate(name=topic, if_not_exists=True))
        return self.request(subscription_create=admin.SubscriptionCreate(
            topic=topic, name=name, settings=admin.SubscriptionSettings(subjects=subjects,
                                                                        queue=admin.QueueSettings(**settings))))

    def show_queue(self, name):
        return self.request(queue_show=admin.QueueShow(name=name))
