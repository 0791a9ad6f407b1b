"""After the faults: empties every queue, proving that what is ready is delivered, and records the final books."""
import time

import payload
import rockdove_raw as raw
from rockdove_raw import Connection, Timeout, admin

STUCK_SECONDS = 5.0  # L1, for what is ready
QUIET_SECONDS = 15.0  # longer than any lease and backoff of the run: what has not come by then never will
STATES = ("ready", "scheduled", "buffered", "started", "waiting")


def drain(address, history, queues, limit=900.0, list_dead=True):
    """queues: {name: settings}; a fifo queue is drained one by one. Writes `final` for each."""
    for number, (queue, settings) in enumerate(queues.items(), 1):
        with Connection(address, client_name="drain") as connection:
            _drain_queue(connection, history, queue, settings, number, limit)
            info = connection.show_queue(queue)
            books = {f.name: getattr(info, f.name) for f in info.DESCRIPTOR.fields if f.name not in ("settings", "name")}
            history.write("ok", "final", q=queue, info=books)
            if list_dead:
                history.write("ok", "dead", q=queue, rows=_dead_letters(connection, queue))
            connection.say_goodbye()
    topics = sorted({queue.split("/")[0] for queue in queues if "/" in queue})
    for topic in topics:
        with Connection(address, client_name="drain") as connection:
            info = connection.request(topic_show=admin.TopicShow(name=topic))
            history.write("ok", "topic", topic=topic, info=dict(next_seq=info.next_seq, messages=info.messages))
            connection.say_goodbye()


def _dead_letters(connection, queue):
    """[mid, seq, reason, attempts] of each."""
    rows, at = [], 1
    while at:
        page = connection.request(dead_list=admin.DeadList(queue=queue, from_seq=at, limit=200, max_bytes=4 << 20, bodies=True))
        for letter in page.letters:
            rows.append([payload.mid_of(letter.message), letter.seq, letter.deaths[-1].reason, letter.attempts])
        at = page.next_seq
    return rows


def _drain_queue(connection, history, queue, settings, number, limit):
    op = history.invoke("attach", q=queue, c=number, name="drain")
    connection.consume(queue, name="drain", credit=1 if settings.get("fifo") else 200)
    history.write("ok", "attach", op=op, q=queue, c=number, name="drain")
    deadline = time.monotonic() + limit
    progress = arrival = time.monotonic()
    while time.monotonic() < deadline:
        try:
            _take(connection, history, queue, number, _arrived(connection))
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


def _arrived(connection):
    """A delivery, waited for, and all that came along with it."""
    deliveries = [connection.next_event(0.25).deliver]
    try:
        while len(deliveries) < 200:
            deliveries.append(connection.next_event(0).deliver)
    except Timeout:
        pass
    return deliveries


def _take(connection, history, queue, number, deliveries):
    items = []
    for delivery in deliveries:
        mids, bad = [], []
        for offset, message in enumerate(delivery.messages):
            try:
                mids.append(payload.check(message)[0])
            except ValueError as error:
                mids.append(None)
                bad.append([payload.mid_of(message), str(error)])
            items.append([mids[-1], delivery.first_seq + offset, delivery.epoch, delivery.lease])
        history.write("ok", "deliver", q=queue, c=number, e=delivery.epoch, l=delivery.lease, a=delivery.attempt,
                      lms=delivery.lease_ms, first=delivery.first_seq, mids=mids, bad=bad,
                      w=time.time_ns() // 10**6, ct=delivery.commit_time_ms,
                      os=delivery.original_seq or delivery.first_seq)
    known = [item for item in items if item[0] is not None]
    op = history.invoke("settle", q=queue, c=number, o="ACK", items=known)
    answer = connection.settle(1, "ACK", raw.ranges_of(item[1:] for item in items))
    stale = [[s, r.epoch, r.lease] for r in answer.stale for s in range(r.first_seq, r.last_seq + 1)]
    history.write("ok", "settle", op=op, stale=stale)
