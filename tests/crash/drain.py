"""After the faults: empties every queue, proving that what is ready is delivered, and records the final books."""
import time

import payload
import rockdove_raw as raw
from rockdove_raw import Connection, Timeout, data

STUCK_SECONDS = 5.0  # L1, for what is ready
QUIET_SECONDS = 15.0  # longer than any lease and backoff of the run: what has not come by then never will
STATES = ("ready", "scheduled", "buffered", "started", "waiting")


def drain(address, history, queues, limit=120.0):
    """queues: {name: settings}; a fifo queue is drained one by one. Writes `final` for each."""
    for number, (queue, settings) in enumerate(queues.items(), 1):
        with Connection(address, client_name="drain") as connection:
            _drain_queue(connection, history, queue, settings, number, limit)
            info = connection.show_queue(queue)
            books = {f.name: getattr(info, f.name) for f in info.DESCRIPTOR.fields if f.name not in ("settings", "name")}
            history.write("ok", "final", q=queue, info=books)
            connection.say_goodbye()


def _drain_queue(connection, history, queue, settings, number, limit):
    op = history.invoke("attach", q=queue, c=number, name="drain")
    connection.consume(queue, name="drain", credit=1 if settings.get("fifo") else 200)
    history.write("ok", "attach", op=op, q=queue, c=number, name="drain")
    deadline = time.monotonic() + limit
    progress = arrival = time.monotonic()
    while time.monotonic() < deadline:
        try:
            _take(connection, history, queue, number, connection.next_event(0.25).deliver)
            progress = arrival = time.monotonic()
            continue
        except Timeout:
            pass
        info = connection.show_queue(queue)
        if connection.events:
            continue
        left = sum(getattr(info, state) for state in STATES)
        if not left or time.monotonic() - arrival > QUIET_SECONDS:
            break
        if not info.ready:
            progress = time.monotonic()
        elif time.monotonic() - progress > STUCK_SECONDS:
            history.write("ok", "stuck", q=queue, ready=info.ready, seconds=time.monotonic() - progress)
            break
    history.write("ok", "detach", q=queue, c=number)


def _take(connection, history, queue, number, delivery):
    mids, bad = [], []
    for message in delivery.messages:
        try:
            mids.append(payload.check(message)[0])
        except ValueError as error:
            mids.append(None)
            bad.append([payload.mid_of(message), str(error)])
    history.write("ok", "deliver", q=queue, c=number, e=delivery.epoch, l=delivery.lease, a=delivery.attempt,
                  lms=delivery.lease_ms, first=delivery.first_seq, mids=mids, bad=bad)
    last = delivery.first_seq + len(mids) - 1
    items = [[mid, delivery.first_seq + i, delivery.epoch, delivery.lease] for i, mid in enumerate(mids)]
    op = history.invoke("settle", q=queue, c=number, o="ACK", items=items)
    answer = connection.settle(1, "ACK", [raw.seq_range(delivery.first_seq, last, delivery.epoch, delivery.lease)])
    stale = [[s, r.epoch, r.lease] for r in answer.stale for s in range(r.first_seq, r.last_seq + 1)]
    history.write("ok", "settle", op=op, stale=stale)
