"""A toy broker in one file that keeps its queues in a journal, just able enough to be driven through a whole crash run.

The harness is tested with it: without --plant it must pass, and with each planted fault it must be found out. A test that
was never red proves nothing. Not a model of the real broker: one thread, everything in memory, journal replayed at start.
"""
import argparse
import json
import os
import select
import signal
import socket
import struct
import sys
import time

import rockdove_raw as raw
from rockdove_raw import Frame, admin, data

PLANTS = ("lose_publish", "forget_ack", "forget_producers", "reuse_sequence", "late_settle", "change_byte",
          "forget_attempts", "repeat_delivery")

ANSWER_DELAY = 0.01  # between what is stored and its answer: the window in which a kill leaves an unknown outcome
LONG_DELAY = 0.3     # that window where the planted fault shows in nothing else: every kill meets it


class Queue:
    def __init__(self, settings):
        self.settings = settings
        self.next_seq = 1
        self.messages = {}      # seq -> dict(body, attempts, visible)
        self.holders = {}       # seq -> dict(consumer, epoch, lease, ends)
        self.dead = 0
        self.consumers = {}     # name -> Consumer


class Consumer:
    def __init__(self, session, number, queue, name, credit):
        self.session, self.number, self.queue, self.name, self.credit = session, number, queue, name, credit


class Session:
    def __init__(self, sock):
        self.socket = sock
        self.inbox, self.outbox = bytearray(), bytearray()
        self.send_at = 0.0
        self.producer = None
        self.consumers = {}


class FakeBroker:
    def __init__(self, data_dir, plant):
        self.plant = plant
        self.answer_delay = LONG_DELAY if plant == "forget_producers" else ANSWER_DELAY
        os.makedirs(data_dir, exist_ok=True)
        self.path = os.path.join(data_dir, "journal")
        self.queues, self.producers, self.sessions = {}, {}, {}
        self.epoch, self.lease = 0, 0
        self.replay()
        self.journal = open(self.path, "ab")
        self.log(dict(k="epoch"))
        self.flush()

    # Journal: what is written before an answer leaves survives kill -9.

    def log(self, record, blobs=()):
        line = json.dumps(record).encode() + b"\n" + b"".join(struct.pack("<I", len(b)) + b for b in blobs)
        self.journal.write(struct.pack("<I", len(line)) + line)
        self.apply(record, blobs)

    def flush(self):
        self.journal.flush()

    def replay(self):
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as journal:
            raw_bytes = journal.read()
        at = 0
        while at + 4 <= len(raw_bytes):
            (size,) = struct.unpack_from("<I", raw_bytes, at)
            line = raw_bytes[at + 4:at + 4 + size]
            if len(line) < size:
                break
            at += 4 + size
            head, _, rest = line.partition(b"\n")
            blobs = []
            while rest:
                (length,) = struct.unpack_from("<I", rest)
                blobs.append(rest[4:4 + length])
                rest = rest[4 + length:]
            self.apply(json.loads(head), blobs, True)
        with open(self.path, "r+b") as journal:
            journal.truncate(at)

    def apply(self, r, blobs, replaying=False):
        kind = r["k"]
        if kind == "epoch":
            self.epoch += 1
            for queue in self.queues.values():
                for seq in list(queue.holders):
                    queue.holders[seq]["consumer"] = None
                    if self.plant == "forget_attempts":
                        queue.messages[seq]["attempts"] = 0
        elif kind == "create":
            self.queues[r["q"]] = Queue(r["settings"])
        elif kind == "publish":
            queue = self.queues[r["q"]]
            for i, blob in enumerate(blobs):
                if not (replaying and self.plant == "lose_publish" and (r["seq"] + i) % 50 == 7):
                    queue.messages[r["seq"] + i] = dict(body=blob, attempts=0, visible=0)
            queue.next_seq = r["seq"] + len(blobs)
            if replaying and self.plant == "reuse_sequence":
                queue.next_seq = r["seq"] + 1
            if r["producer"] and not (replaying and self.plant == "forget_producers"):
                answers = self.producers.setdefault(r["producer"], [1, {}])[1]
                for i in range(len(blobs)):
                    answers[r["pseq"] + i] = r["seq"] + i
        elif kind == "producer":
            self.producers[r["id"]] = [r["epoch"], {}]
        elif kind == "deliver":
            queue = self.queues[r["q"]]
            if r["seq"] in queue.messages:
                queue.messages[r["seq"]]["attempts"] += 1
                queue.holders[r["seq"]] = dict(consumer=r["name"], epoch=r["e"], lease=r["l"], ends=r["ends"])
        elif kind == "end":
            if replaying and self.plant == "forget_ack":
                return
            queue = self.queues[r["q"]]
            queue.messages.pop(r["seq"], None)
            queue.holders.pop(r["seq"], None)
            queue.dead += r["dead"]
        elif kind == "back":
            queue = self.queues[r["q"]]
            queue.holders.pop(r["seq"], None)
            if r["seq"] in queue.messages:
                queue.messages[r["seq"]]["attempts"] -= r["minus"]
                queue.messages[r["seq"]]["visible"] = r["visible"]

    # Rules

    def back(self, q, seq, minus=0, after=0.0):
        queue = self.queues[q]
        if not minus and queue.messages[seq]["attempts"] >= queue.settings["max_attempts"]:
            self.log(dict(k="end", q=q, seq=seq, dead=1))
        else:
            self.log(dict(k="back", q=q, seq=seq, minus=minus, visible=time.monotonic() + after))

    def tick(self):
        now = time.monotonic()
        for q, queue in self.queues.items():
            for seq, holder in list(queue.holders.items()):
                if holder["ends"] <= now:
                    self.back(q, seq)
            for consumer in queue.consumers.values():
                self.dispatch(q, queue, consumer, now)
        self.flush()

    def dispatch(self, q, queue, consumer, now):
        mine = sum(h["consumer"] == consumer.name for h in queue.holders.values())
        for seq in sorted(queue.messages):
            if mine >= consumer.credit:
                return
            message = queue.messages[seq]
            if (seq in queue.holders and not (self.plant == "repeat_delivery" and seq % 97 == 5 and
                                              message["attempts"] < 2)) or message["visible"] > now:
                continue
            self.lease += 1
            mine += 1
            lease_ms = queue.settings["lease_ms"]
            self.log(dict(k="deliver", q=q, seq=seq, name=consumer.name, e=self.epoch, l=self.lease,
                          ends=now + lease_ms / 1000))
            body = message["body"]
            if self.plant == "change_byte" and seq % 50 == 7:
                body = body[:-1] + bytes([body[-1] ^ 1])
            deliver = data.Deliver(consumer=consumer.number, first_seq=seq, epoch=self.epoch, lease=self.lease,
                                   attempt=message["attempts"], lease_ms=lease_ms, id_prefix=bytes(10))
            deliver.messages.add().MergeFromString(body)
            self.send(consumer.session, Frame(deliver=deliver))

    def send(self, session, frame):
        if not session.outbox:
            session.send_at = time.monotonic() + self.answer_delay
        session.outbox += raw.encode(frame)

    def leave(self, session):
        for number, (q, name) in list(session.consumers.items()):
            self.detach(session, number)

    def detach(self, session, number, release=False):
        q, name = session.consumers.pop(number)
        queue = self.queues[q]
        if queue.consumers.get(name) and queue.consumers[name].session is session:
            del queue.consumers[name]
        count = 0
        for seq, holder in list(queue.holders.items()):
            if holder["consumer"] == name:
                count += 1
                self.back(q, seq, 1 if release else 0)
        return count

    def handle(self, session, frame):
        kind = frame.WhichOneof("kind")
        answer = getattr(self, "on_" + kind)(session, getattr(frame, kind))
        if answer and (frame.request_id or kind in ("hello", "ping")):
            self.flush()
            self.send(session, Frame(request_id=frame.request_id, **answer))

    def on_hello(self, session, hello):
        welcome = raw.session.Welcome(version=1, heartbeat_ms=10_000, shard_epoch=self.epoch, namespace="default")
        if hello.producer_id:
            epoch, _ = self.producers.get(hello.producer_id, (0, {}))
            if not hello.producer_epoch:
                epoch += 1
                self.log(dict(k="producer", id=hello.producer_id, epoch=epoch))
            session.producer, welcome.producer_epoch = hello.producer_id, epoch or hello.producer_epoch
        return dict(welcome=welcome)

    def on_ping(self, session, _):
        return dict(pong=raw.session.Pong(time_ms=int(time.time() * 1000)))

    def on_go_away(self, session, _):
        for number in list(session.consumers):
            self.detach(session, number, True)
        session.closing = True

    def on_queue_create(self, session, request):
        settings = {f.name: v for f, v in request.settings.ListFields()}
        self.log(dict(k="create", q=request.name, settings=settings))
        return dict(queue_info=self.info(request.name))

    def info(self, q):
        queue = self.queues[q]
        return admin.QueueInfo(name=q, next_seq=queue.next_seq, dead=queue.dead, started=len(queue.holders),
                               ready=len(queue.messages) - len(queue.holders))

    def on_queue_show(self, session, request):
        return dict(queue_info=self.info(request.name))

    def on_queue_list(self, session, request):
        return dict(queue_list_reply=admin.QueueListReply(queues=[self.info(q) for q in sorted(self.queues)]))

    def on_publish(self, session, publish):
        queue = self.queues[publish.queue]
        answers = self.producers.get(session.producer, (0, {}))[1] if session.producer else {}
        confirm = data.Confirm(first_seq=queue.next_seq, durability=data.SYNC, id_prefix=bytes(10))
        blobs = []
        for i, message in enumerate(publish.messages):
            if publish.producer_seq and publish.producer_seq + i in answers:
                confirm.exceptions.add(first_index=i, count=1, first_seq=answers[publish.producer_seq + i])
            else:
                blobs.append(message.SerializeToString())
        if blobs:
            first = publish.producer_seq + len(publish.messages) - len(blobs)
            self.log(dict(k="publish", q=publish.queue, seq=queue.next_seq, producer=session.producer, pseq=first), blobs)
        confirm.count = len(blobs)
        return dict(confirm=confirm)

    def on_consume(self, session, request):
        queue = self.queues[request.queue]
        queue.consumers[request.name] = Consumer(session, request.consumer, request.queue, request.name,
                                                 request.credit_messages)
        session.consumers[request.consumer] = (request.queue, request.name)
        return dict(consume_ok=data.ConsumeOk(consumer=request.consumer, lease_ms=queue.settings["lease_ms"]))

    def on_cancel_consumer(self, session, request):
        return dict(ok=admin.Ok(count=self.detach(session, request.consumer, True)))

    def each_held(self, session, request):
        q, name = session.consumers.get(request.consumer, (None, None))
        for r in request.ranges:
            for seq in range(r.first_seq, r.last_seq + 1):
                holder = self.queues[q].holders.get(seq) if q else None
                fits = holder and (holder["epoch"], holder["lease"]) == (r.epoch, r.lease)
                late = self.plant == "late_settle" and holder
                yield q, seq, r, bool(fits or late)

    def on_settle(self, session, request):
        reply = data.Settled()
        for q, seq, r, fits in self.each_held(session, request):
            if not fits:
                reply.stale.add(first_seq=seq, last_seq=seq, epoch=r.epoch, lease=r.lease)
                continue
            reply.count += 1
            if request.outcome in (data.ACK, data.REJECT):
                self.log(dict(k="end", q=q, seq=seq, dead=int(request.outcome == data.REJECT)))
            else:
                self.back(q, seq, int(request.outcome == data.RELEASE), request.after_ms / 1000)
        return dict(settled=reply)

    def on_extend(self, session, request):
        reply = data.Extended()
        for q, seq, r, fits in self.each_held(session, request):
            if fits:
                reply.count += 1
                self.queues[q].holders[seq]["ends"] = time.monotonic() + self.queues[q].settings["lease_ms"] / 1000
            else:
                reply.stale.add(first_seq=seq, last_seq=seq, epoch=r.epoch, lease=r.lease)
        return dict(extended=reply)

    # Sockets

    def serve(self, listener):
        while True:
            now = time.monotonic()
            writers = [s.socket for s in self.sessions.values() if s.outbox and s.send_at <= now]
            readable, writable, _ = select.select([listener] + list(self.sessions), writers, [], ANSWER_DELAY / 2)
            for sock in readable:
                if sock is listener:
                    client, _ = listener.accept()
                    client.setblocking(False)
                    self.sessions[client] = Session(client)
                elif sock in self.sessions:
                    self.read(self.sessions[sock])
            self.tick()
            for sock in writable:
                if sock in self.sessions:
                    self.write(self.sessions[sock])

    def read(self, session):
        try:
            chunk = session.socket.recv(1 << 20)
        except OSError:
            chunk = b""
        session.inbox += chunk
        while len(session.inbox) >= 4:
            (size,) = struct.unpack_from("<I", session.inbox)
            if len(session.inbox) < 4 + size:
                break
            self.handle(session, Frame.FromString(bytes(session.inbox[4:4 + size])))
            del session.inbox[:4 + size]
        if not chunk or getattr(session, "closing", False):
            self.leave(session)
            del self.sessions[session.socket]
            session.socket.close()

    def write(self, session):
        try:
            del session.outbox[:session.socket.send(session.outbox)]
        except OSError:
            session.outbox.clear()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--http")
    parser.add_argument("--set", action="append")
    parser.add_argument("--plant", choices=PLANTS, default=os.environ.get("FAKE_BROKER_PLANT") or None)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    broker = FakeBroker(options.data_dir, options.plant)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(raw.parse_address(options.listen)[0])
    listener.listen(64)
    print("ready rockdove://%s:%d http://127.0.0.1:1" % listener.getsockname(), flush=True)
    broker.serve(listener)


if __name__ == "__main__":
    main()
