"""The history of a run: one JSON object per line, one file per process, times in CLOCK_MONOTONIC ns.

    t      time                       p     process, such as py-3, cc-1, drain, nemesis
    type   invoke | ok | fail | info  op    number that joins an invoke with its end, unique per p
    c      connection, counted per p  q     queue

    f = publish   invoke: mids, pseq (0: not numbered)    ok: res [[mid, seq, duplicate]], fails [[mid, code]]
                  fail: mids, code (nothing happened)     info: mids (may have happened)
    f = deliver   ok: e, l (epoch, lease; absent if the client library hides them), a (attempt), lms (lease),
                  first (seq), mids, bad [[mid, why]]; w (wall clock, ms), ct (commit time, ms), os (of a subscription:
                  the first one's seq in the topic)
    f = settle    invoke: o (ACK ...), after (ms), items [[mid, seq, e, l]]    ok: stale [[seq, e, l]]    fail: code    info
    f = extend    as settle
    f = attach    invoke: name                            ok
    f = detach    ok: the connection or consumer has ended
    f = fault     invoke: kind; ok: the broker is ready again
    f = config    ok: queues {name: settings}, plan {...}
    f = final     ok: info (QueueInfo as a dict)
    f = topic     ok: topic, info (next_seq, messages)
    f = dead      ok: rows [[mid, seq, reason, attempts]], the queue's dead letters at the end
    f = odd       ok: text, an answer that contradicts itself
    f = stuck     ok: ready messages were not delivered although there was credit (L1)
"""
import glob
import json
import os
import threading
import time


class History:
    """Writes one process's file. Threads may share it."""

    def __init__(self, folder, process):
        self.process = process
        self._file = open(os.path.join(folder, process + ".jsonl"), "w", buffering=1 << 16)
        self._lock = threading.Lock()
        self._op = 0

    def write(self, type, f, **fields):
        event = dict(t=time.monotonic_ns(), p=self.process, type=type, f=f, **fields)
        line = json.dumps(event, separators=(",", ":")) + "\n"
        with self._lock:
            self._file.write(line)

    def invoke(self, f, **fields):
        """Returns the op number, to be given to the end of the operation."""
        with self._lock:
            self._op += 1
            op = self._op
        self.write("invoke", f, op=op, **fields)
        return op

    def close(self):
        with self._lock:
            self._file.close()


def read(folder):
    """All events of a run, in time order."""
    events = []
    for path in glob.glob(os.path.join(folder, "*.jsonl")):
        with open(path) as lines:
            events += [json.loads(line) for line in lines if line.strip()]
    events.sort(key=lambda event: event["t"])
    return events
