"""A load for the rules of messages: ordering keys, priorities, delays, times to live, deduplication, explicit start.

    rules_load.py FOLDER NAME ADDRESS SEED PLAN     as load.py
"""
import types

import payload
import rockdove_raw as raw
from load import Client, Consumer, Producer, pick_size, read_confirm, run
from rockdove_raw import data

QUEUES = {"keyed": {}, "timed": {}, "urgent": {}, "once": {"max_messages": 200}}


class RuleProducer(Producer):
    def new_mid(self, queue):
        mid = super().new_mid(queue)
        if queue == "keyed" and self.rng.random() < 0.9:
            mid += "~kk%d" % self.rng.randrange(12)
            if self.rng.random() < 0.2:
                mid += "~p%d" % self.rng.randrange(10)
        if queue == "urgent":
            mid += "~p%d" % self.rng.randrange(10)
        if queue == "timed":
            if self.rng.random() < 0.5:
                mid += "~d%d" % self.rng.randrange(1, 1500)
            if self.rng.random() < 0.5:
                mid += "~t%d" % self.rng.randrange(100, 4000)
        return mid


class OnceProducer(Client):
    """Sends without numbers, but with dedup ids; sends again what it knows and what it does not know."""

    def __init__(self, load, name, seed, queue):
        super().__init__(load, name, seed)
        self.queue, self.count = queue, 0
        self.sent = []          # (mid, message), the last of them
        self.doubtful = []      # of unknown outcome

    def work(self):
        self.connect()
        while not self.load.stop.is_set():
            if len(self.answers) < 4 and self.rng.random() < self.load.plan["rate"] / 400:
                self.send_one()
            self.pump(0.002)
        self.settle_open(10)

    def finish(self):
        while self.doubtful:  # whoever stops still wants to know
            try:
                if self.connection is None:
                    self.connect()
                self.transmit(*self.doubtful.pop())
                self.settle_open(5)
            except (raw.Closed, raw.Timeout, OSError, raw.BrokerError):
                self.lost()
        super().finish()

    def send_one(self):
        if self.doubtful:
            return self.transmit(*self.doubtful.pop())
        if self.sent and self.rng.random() < 0.4:
            return self.transmit(*self.rng.choice(self.sent))
        self.count += 1
        mid = "%s.%d~u" % (self.name, self.count)
        entry = (mid, payload.make(mid, self.count, pick_size(self.rng)))
        self.sent = self.sent[-60:] + [entry]
        self.transmit(*entry)

    def transmit(self, mid, message):
        op = self.history.invoke("publish", q=self.queue, c=self.c, pseq=0, mids=[mid])

        def done(kind, body):
            if kind == "ok":
                res, fails = read_confirm([mid], body)
                self.history.write("ok", "publish", op=op, q=self.queue, res=res, fails=fails)
            elif kind == "fail":
                self.history.write("fail", "publish", op=op, q=self.queue, mids=[mid], code=raw.code_name(body.code))
            else:
                self.history.write("info", "publish", op=op, q=self.queue, mids=[mid])
                self.doubtful.append((mid, message))
        self.ask(done, publish=data.Publish(queue=self.queue, messages=[message]))


class ExplicitConsumer(Consumer):
    """Starts most of what it gets; what it has not started goes back uncounted."""

    WAYS = dict(explicit_start=True)

    def __init__(self, *args):
        super().__init__(*args)
        self.buffer = {}        # seq -> (message, epoch, number, commit_time_ms)

    def delivered(self, delivery):
        for offset, message in enumerate(delivery.messages):
            self.buffer[delivery.first_seq + offset] = (message, delivery.epoch, delivery.lease, delivery.commit_time_ms)
        self.start_some([seq for seq in self.buffer if self.rng.random() < 0.9])

    def idle(self):
        if self.buffer and self.rng.random() < 0.05:
            self.start_some(list(self.buffer))

    def start_some(self, seqs):
        if not seqs:
            return
        asked = {seq: self.buffer.pop(seq) for seq in seqs}

        def done(kind, body):
            for r in body.ranges if kind == "ok" else ():
                for seq in range(r.first_seq, r.last_seq + 1):
                    message, _, _, commit_time_ms = asked[seq]
                    super(ExplicitConsumer, self).delivered(types.SimpleNamespace(
                        messages=[message], first_seq=seq, epoch=r.epoch, lease=r.lease, attempt=r.attempt,
                        lease_ms=body.lease_ms, commit_time_ms=commit_time_ms, original_seq=0))
        ranges = raw.ranges_of((seq, epoch, number) for seq, (_, epoch, number, _) in asked.items())
        self.ask(done, start=data.Start(consumer=1, ranges=ranges))

    def event(self, kind, frame):
        if kind == "recall":
            for r in frame.recall.ranges:
                for seq in range(r.first_seq, r.last_seq + 1):
                    if self.buffer.get(seq, (None, 0, 0))[1:3] == (r.epoch, r.lease):
                        del self.buffer[seq]
            return
        super().event(kind, frame)

    def attach(self):
        self.buffer.clear()
        super().attach()


def clients(load, name, seed):
    def who(kind, number):
        return "%s-%s%d" % (name, kind, number), "%s %s%d" % (seed, kind, number)
    return ([RuleProducer(load, *who("p", i), queues) for i, queues in enumerate((["keyed", "timed"], ["keyed", "urgent"]))]
            + [OnceProducer(load, *who("o", 0), "once")]
            + [Consumer(load, *who("c", i), queue) for i, queue in enumerate(("keyed", "keyed", "timed", "once"))]
            + [ExplicitConsumer(load, *who("e", i), queue) for i, queue in enumerate(("keyed", "timed"))]
            + [Consumer(load, *who("u", 0), "urgent", 1)])


if __name__ == "__main__":
    run(clients)
