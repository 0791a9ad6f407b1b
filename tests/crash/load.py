"""A load of raw Python clients: producers with numbered resends, consumers that ack, retry, release, reject, extend,
forget and come back. Writes a history. Runs until its stdin is closed, then ends in order.

    load.py FOLDER NAME ADDRESS SEED PLAN     PLAN is JSON: producers [queues], consumers [queues], rate, sizes ...
"""
import json
import random
import sys
import threading
import time

import payload
import rockdove_raw as raw
from history import History
from rockdove_raw import BrokerError, Closed, Connection, Frame, Timeout, data, session

SIZES = [(16, 200, 70), (200, 2_000, 20), (2_000, 30_000, 8), (30_000, 200_000, 1.8), (1 << 20, 1 << 20, 0.2)]
NO_EFFECT = {"FULL", "STORE_BUSY", "INVALID", "TOO_LARGE", "NOT_FOUND", "UNSUPPORTED", "CONFLICT", "FENCED",
                     "RATE_LIMITED", "UNAVAILABLE"}


def pick_size(rng):
    low, high, _ = rng.choices(SIZES, [weight for _, _, weight in SIZES])[0]
    return rng.randint(low, high)


class Client(threading.Thread):
    """A worker with one connection at a time, made anew whenever it breaks."""

    def __init__(self, load, name, seed):
        super().__init__(name=name)
        self.load, self.history, self.rng = load, History(load.folder, name), random.Random(seed)
        self.connection = None
        self.c = 0              # counts connections (and attachments of a consumer)
        self.answers = {}       # request id -> function(kind, body)
        self.error = None

    def run(self):
        try:
            while not self.load.stop.is_set():
                try:
                    self.work()
                except (Closed, Timeout, OSError):
                    self.lost()
                    self.load.stop.wait(0.02)
                except BrokerError as error:
                    self.lost()
                    self.refused(error)
                    self.load.stop.wait(0.1)
            self.finish()
        except Exception as error:  # a bug of the load must not look like a quiet run
            self.error = error
            raise
        finally:
            self.history.close()

    def connect(self, **hello):
        self.c += 1
        self.connection = Connection(self.load.address, timeout=10, client_name=self.name, **hello)

    def lost(self):
        if self.connection:
            self.connection.close()
            self.connection = None
        for done in list(self.answers.values()):
            done("info", None)
        self.answers.clear()

    def refused(self, error):
        if error.code not in ("UNAVAILABLE", "OUTCOME_UNKNOWN", "STORE_BUSY"):
            raise error

    def ask(self, done, **kind):
        """Sends a request; done(type, body) is called at its end, once, with ok, fail or info."""
        request_id = self.connection._request_id + 1  # known before sending: the send itself may fail
        self.answers[request_id] = done
        self.connection.send_request(**kind)

    def handle(self, frame):
        kind = frame.WhichOneof("kind")
        if kind == "error":
            done = self.answers.pop(frame.request_id, None)
            if done:
                done("fail" if raw.code_name(frame.error.code) in NO_EFFECT else "info", frame.error)
            if frame.error.closes or done is None:
                raise Closed("broker closed", frame.error)
        elif kind == "go_away":
            raise Closed("go away")
        elif frame.request_id and frame.request_id in self.answers:
            self.answers.pop(frame.request_id)("ok", getattr(frame, kind))
        else:
            self.event(kind, frame)

    def event(self, kind, frame):
        raise AssertionError("unexpected frame " + kind)

    def pump(self, seconds):
        """Handles frames for so long, or until one was handled."""
        while self.connection.events:
            self.handle(self.connection.events.popleft())
        try:
            self.handle(self.connection.receive(max(seconds, 0)))
        except Timeout:
            pass

    def settle_open(self, seconds):
        """Waits for the answers still open."""
        deadline = time.monotonic() + seconds
        while self.answers and time.monotonic() < deadline:
            self.pump(deadline - time.monotonic())

    def finish(self):
        if self.connection:
            try:
                self.settle_open(10)
                self.goodbye()
                self.connection.send(Frame(go_away=session.GoAway(reason="load ends")))
                self.connection.close()
            except (Closed, Timeout, OSError, BrokerError):
                pass
        self.lost()

    def goodbye(self):
        pass


class Producer(Client):
    """Sends numbered frames, several in flight, to its queues; sends again what was not answered."""

    WINDOW = 8

    def __init__(self, load, name, seed, queues):
        super().__init__(load, name, seed)
        self.queues = queues
        self.epoch = 0
        self.next_seq = 1
        self.count = 0
        self.n = dict.fromkeys(queues, 0)
        self.unconfirmed = {}   # producer sequence of the first message -> (queue, mids, messages)
        self.tokens = 0.0
        self.counted = time.monotonic()

    def work(self):
        self.connect(producer_id=self.name, producer_epoch=self.epoch)
        self.epoch = self.connection.welcome.producer_epoch
        for first in sorted(self.unconfirmed):
            self.transmit(first)
        while not self.load.stop.is_set():
            now = time.monotonic()
            self.tokens = min(self.tokens + (now - self.counted) * self.load.plan["rate"], 60)
            self.counted = now
            if len(self.unconfirmed) < self.WINDOW and self.tokens >= 1:
                self.send_new()
                while self.answers and self.connection.readable():
                    self.pump(0)
            else:
                self.pump(0.02)
        self.settle_open(10)

    def finish(self):
        """Whoever stops between connections still wants to know what became of its last frames."""
        deadline = time.monotonic() + 20
        while self.unconfirmed and time.monotonic() < deadline:
            try:
                if self.connection is None:
                    self.connect(producer_id=self.name, producer_epoch=self.epoch)
                    self.epoch = self.connection.welcome.producer_epoch
                    for first in sorted(self.unconfirmed):
                        self.transmit(first)
                self.settle_open(5)
            except (Closed, Timeout, OSError, BrokerError):
                self.lost()
        super().finish()

    def new_mid(self, _queue):
        return "%s.%d" % (self.name, self.count)

    def send_new(self):
        queue = self.rng.choice(self.queues)
        mids, messages, size = [], [], 0
        for _ in range(self.rng.choice((1, 1, 2, 5, 20, 40))):
            self.count += 1
            self.n[queue] += 1
            mid = self.new_mid(queue)
            message = payload.make(mid, self.n[queue], pick_size(self.rng))
            mids.append(mid)
            messages.append(message)
            size += len(message.body)
            if size > 1 << 20:
                break
        self.tokens -= len(mids)
        first = self.next_seq
        self.next_seq += len(mids)
        self.unconfirmed[first] = (queue, mids, messages)
        self.transmit(first)

    def transmit(self, first):
        queue, mids, messages = self.unconfirmed[first]
        op = self.history.invoke("publish", q=queue, c=self.c, pseq=first, mids=mids)
        frame = data.Publish(messages=messages, producer_seq=first, oldest_unconfirmed=min(self.unconfirmed),
                             **self.target(queue))
        self.ask(lambda kind, body: self.answered(op, first, kind, body), publish=frame)

    def target(self, queue):
        return dict(queue=queue)

    def confirmed(self, queue, mids, confirm, res):
        """For what else there is to be said about a receipt."""

    def answered(self, op, first, kind, body):
        queue, mids, _ = self.unconfirmed[first]
        if kind == "info":
            self.history.write("info", "publish", op=op, q=queue, mids=mids)
            return
        del self.unconfirmed[first]
        if kind == "fail":
            self.history.write("fail", "publish", op=op, q=queue, mids=mids, code=raw.code_name(body.code))
            return
        res, fails = read_confirm(mids, body)
        self.history.write("ok", "publish", op=op, q=queue, res=res, fails=fails)
        self.confirmed(queue, mids, body, res)


def read_confirm(mids, confirm):
    """(accepted [[mid, seq, duplicate]], refused [[mid, code]]) of a Confirm."""
    res, fails, special = [], [], {}
    for exception in confirm.exceptions:
        for i in range(exception.count):
            special[exception.first_index + i] = (exception, i)
    seq = confirm.first_seq
    for index, mid in enumerate(mids):
        if index not in special:
            res.append([mid, seq, False])
            seq += 1
            continue
        exception, offset = special[index]
        if exception.HasField("error"):
            fails.append([mid, raw.code_name(exception.error.code)])
        else:
            res.append([mid, exception.first_seq + offset, True])
    if seq != confirm.first_seq + confirm.count:
        raise AssertionError("a confirm that does not add up: %s" % confirm)
    return res, fails


class Consumer(Client):
    """Receives from one queue and treats messages as real workers do."""

    WAYS = {}  # of receiving: fields of Consume

    def __init__(self, load, name, seed, queue, credit=None):
        super().__init__(load, name, seed)
        self.queue = queue
        self.credit = credit or load.plan["credit"]
        self.held = {}          # seq -> (mid, epoch, lease), what it still works on
        self.later = []         # (due, item) of extended messages, acked when due
        self.late = []          # (due, item) of messages whose lease will be over when they are acked
        self.attached = False

    def work(self):
        self.connect()
        self.attach()
        while not self.load.stop.is_set():
            self.pump(0.05)
            self.idle()
            now = time.monotonic()
            due = {item for when, item in self.later if when <= now}
            self.later = [(when, item) for when, item in self.later if when > now]
            self.settle("ACK", [item for item in due if self.held.get(item[0]) == item[1:]])
            while self.late and self.late[0][0] <= now:
                self.settle("ACK", [self.late.pop(0)[1]])
            if self.rng.random() < self.load.plan["trouble"]:
                self.trouble()

    def idle(self):
        pass

    def attach(self):
        keep = [(seq, e, l) for seq, (_, e, l) in self.held.items() if self.rng.random() < 0.7]
        op = self.history.invoke("attach", q=self.queue, c=self.c, name=self.name)
        self.attached = True
        try:
            answer = self.connection.consume(self.queue, name=self.name, credit=self.credit,
                                             held=raw.ranges_of(keep), **self.WAYS)
        except BaseException:
            self.history.write("info", "attach", op=op, q=self.queue, c=self.c, name=self.name)
            raise
        still = {seq for r in answer.held for seq in range(r.first_seq, r.last_seq + 1)}
        self.history.write("ok", "attach", op=op, q=self.queue, c=self.c, name=self.name, held=sorted(still))
        self.held = {seq: value for seq, value in self.held.items() if seq in still}
        self.settle("ACK", [(seq,) + value for seq, value in self.held.items()])

    def lost(self):
        if self.attached:
            self.history.write("ok", "detach", q=self.queue, c=self.c)
            self.attached = False
        super().lost()

    def goodbye(self):
        if self.attached:
            self.history.write("ok", "detach", q=self.queue, c=self.c)
            self.attached = False

    def event(self, kind, frame):
        if kind == "deliver":
            self.delivered(frame.deliver)
        elif kind == "consumer_closed":
            raise Closed("consumer closed", frame.consumer_closed.error)

    def delivered(self, delivery):
        mids, bad = [], []
        for message in delivery.messages:
            try:
                mids.append(payload.check(message)[0])
            except ValueError as error:
                mids.append(None)
                bad.append([payload.mid_of(message), str(error)])
        self.history.write("ok", "deliver", q=self.queue, c=self.c, e=delivery.epoch, l=delivery.lease,
                           a=delivery.attempt, lms=delivery.lease_ms, first=delivery.first_seq, mids=mids, bad=bad,
                           w=time.time_ns() // 10**6, ct=delivery.commit_time_ms,
                           os=delivery.original_seq or delivery.first_seq)
        groups = {}
        for offset, mid in enumerate(mids):
            seq = delivery.first_seq + offset
            self.held[seq] = (mid, delivery.epoch, delivery.lease)
            outcome = self.rng.choices(*self.load.outcomes)[0]
            if outcome == "ACK" and delivery.attempt > 1 and self.rng.random() < 0.5:
                outcome = "EXTEND"  # held for a while, so that late settles of the earlier holder meet it
            groups.setdefault(outcome, []).append((seq,) + self.held[seq])
        for outcome, items in groups.items():
            if outcome in ("ABANDON", "LATE"):
                for item in items:
                    self.held.pop(item[0], None)
                if outcome == "LATE":
                    due = time.monotonic() + delivery.lease_ms / 1000 + 1.5
                    self.late += [(due, item) for item in items]
            elif outcome == "EXTEND":
                self.extend(items)
            else:
                self.settle(outcome, items)

    def extend(self, items):
        op = self.history.invoke("extend", q=self.queue, items=[[mid, seq, e, l] for seq, mid, e, l in items])
        self.later += [(time.monotonic() + 3 * self.rng.random(), item) for item in items]

        def done(kind, body):
            stale = _stale_items(items, body.stale) if kind == "ok" else []
            self.history.write(kind, "extend", op=op, stale=stale)
        self.ask(done, extend=data.Extend(consumer=1, ranges=raw.ranges_of((s, e, l) for s, _, e, l in items)))

    def settle(self, outcome, items):
        if not items:
            return
        fields = {}
        if outcome == "RETRY":
            fields = dict(reason="test", after_ms=self.rng.randint(0, 300))
        op = self.history.invoke("settle", q=self.queue, c=self.c, o=outcome,
                                 after=fields.get("after_ms"),
                                 items=[[mid, seq, e, l] for seq, mid, e, l in items])

        def done(kind, body):
            if kind == "ok":
                stale = _stale_items(items, body.stale)
                if body.count != len(items) - len(stale):
                    self.history.write("ok", "odd", text="Settled says %d of %d, with %d stale" % (
                        body.count, len(items), len(stale)))
                self.history.write("ok", "settle", op=op, stale=stale)
            else:
                self.history.write(kind, "settle", op=op, code=raw.code_name(body.code) if body else "")
            if kind != "info":
                for item in items:
                    self.held.pop(item[0], None)
        self.ask(done, settle=data.Settle(
            consumer=1, outcome=data.Outcome.Value(outcome), ranges=raw.ranges_of((s, e, l) for s, _, e, l in items),
            **fields))

    def trouble(self):
        """Breaks off, or detaches and attaches again."""
        if self.rng.random() < 0.5:
            raise Closed("on purpose")
        self.settle_open(5)
        self.history.write("ok", "detach", q=self.queue, c=self.c)  # before: others may get its messages at once
        self.connection.request(cancel_consumer=data.CancelConsumer(consumer=1))
        while self.connection.events:
            self.handle(self.connection.events.popleft())
        self.settle_open(5)
        self.held.clear()
        self.c += 1
        self.attach()


def _stale_items(items, stale):
    return [[seq, e, l] for seq, _, e, l in items
            if any(r.first_seq <= seq <= r.last_seq and (r.epoch, r.lease) == (e, l) for r in stale)]


class Load:
    def __init__(self, folder, address, plan):
        self.folder, self.address, self.plan = folder, address, plan
        self.stop = threading.Event()
        outcomes = plan["outcomes"]
        self.outcomes = (list(outcomes), list(outcomes.values()))


def run(make_clients):
    """FOLDER NAME ADDRESS SEED PLAN of the command line; make_clients(load, name, seed) returns who takes part."""
    folder, name, address, seed, plan = sys.argv[1:6]
    load = Load(folder, address, json.loads(plan))
    clients = make_clients(load, name, seed)
    for client in clients:
        client.start()
    sys.stdin.read()
    load.stop.set()
    for client in clients:
        client.join(60)
    failed = [client.name for client in clients if client.error or client.is_alive()]
    if failed:
        sys.exit("failed: " + ", ".join(failed))


def plain_clients(load, name, seed):
    clients = [Producer(load, "%s-p%d" % (name, i), "%s p%d" % (seed, i), queues)
               for i, queues in enumerate(load.plan["producers"])]
    clients += [Consumer(load, "%s-c%d" % (name, i), "%s c%d" % (seed, i), queue)
                for i, queue in enumerate(load.plan["consumers"])]
    return clients


if __name__ == "__main__":
    run(plain_clients)
