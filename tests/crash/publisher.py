"""A numbered publisher that keeps count of what was confirmed, for tests of a failing store; and its judge."""
import time

import payload
import rockdove_raw as raw
from rockdove_raw import BrokerError, Closed, Connection, Timeout, data

WINDOW = 16


class Publisher:
    """Sends numbered messages to one queue, WINDOW frames at a time."""

    def __init__(self, queue, size=100, per_frame=1):
        self.queue, self.size, self.per_frame = queue, size, per_frame
        self.epoch = 0
        self.next_seq = 1
        self.open = {}          # first producer sequence -> number of messages, sent and not answered
        self.confirmed = {}     # producer sequence -> sequence in the queue
        self.refused = []       # Errors in the order in which they came
        self.confirms_after_error = 0
        self.lost = 0           # confirmed and not received, as judge() found
        self.connection = None
        self.waiting = {}

    def connect(self, address):
        self.connection = Connection(address, producer_id="publisher", producer_epoch=self.epoch)
        self.epoch = self.connection.welcome.producer_epoch
        self.waiting = {}
        for first in sorted(self.open):
            self._send(first)
        return self

    def _messages(self, first):
        return [payload.make("w.%d" % seq, seq, self.size) for seq in range(first, first + self.per_frame)]

    def _send(self, first):
        self.open[first] = self.per_frame
        request = self.connection.send_request(publish=data.Publish(
            queue=self.queue, messages=self._messages(first), producer_seq=first, oldest_unconfirmed=min(self.open)))
        self.waiting[request] = first

    def send_new(self):
        self._send(self.next_seq)
        self.next_seq += self.per_frame

    def take_answer(self, timeout=10):
        """Waits for one answer. Closed, Timeout."""
        frame = self.connection.receive(timeout)
        kind = frame.WhichOneof("kind")
        if kind == "go_away":
            return
        first = self.waiting.pop(frame.request_id, None)
        if kind == "error":
            self.refused.append(frame.error)
            code = raw.code_name(frame.error.code)
            if first is not None and code not in ("OUTCOME_UNKNOWN", "UNAVAILABLE"):
                del self.open[first]  # refused: never stored
            return
        self.confirms_after_error += len(self.refused) > 0
        count = self.open.pop(first)
        special = {}
        for exception in frame.confirm.exceptions:
            if exception.HasField("error"):
                raise AssertionError("refused in part: %s" % raw.describe(exception.error))
            for i in range(exception.count):
                special[exception.first_index + i] = exception.first_seq + i
        seq = frame.confirm.first_seq
        for i in range(count):
            if i in special:
                self.confirmed[first + i] = special[i]
            else:
                self.confirmed[first + i] = seq
                seq += 1

    def run_until_error(self, seconds, limit=10**9):
        """Publishes until something goes wrong; returns 'error', 'closed' or 'limit'."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline and len(self.confirmed) < limit:
                while len(self.waiting) < WINDOW:
                    self.send_new()
                self.take_answer()
                if self.refused:
                    self.drain_answers(2)
                    return "error"
        except (Closed, Timeout, OSError):
            return "closed"
        return "limit"

    def drain_answers(self, seconds):
        """All answers still on their way, until there are none or the connection ends."""
        deadline = time.monotonic() + seconds
        try:
            while self.waiting and time.monotonic() < deadline:
                self.take_answer(max(deadline - time.monotonic(), 0))
        except (Closed, Timeout, OSError):
            pass

    def resend_all(self, address):
        """After a restart: every frame without an answer again. Afterwards nothing is open."""
        self.refused.clear()
        self.connect(address)
        self.drain_answers(30)
        if self.open or self.refused:
            raise AssertionError("resends are not answered: %d open, %s" % (
                len(self.open), [raw.describe(e) for e in self.refused]))


def judge(address, publisher):
    """Receives everything and acks it. Returns a list of complaints: lost, twice, changed, wrong place."""
    found, complaints = {}, []
    with Connection(address) as connection:
        info = connection.show_queue(publisher.queue)
        expected = info.ready + info.started + info.waiting
        connection.consume(publisher.queue, name="judge", credit=500)
        while len(found) < expected:
            try:
                delivery = connection.next_delivery(10)
            except (Timeout, Closed) as error:
                complaints.append("only %d of %d messages are delivered: %r" % (len(found), expected, error))
                break
            for offset, message in enumerate(delivery.messages):
                seq = delivery.first_seq + offset
                try:
                    _, number = payload.check(message)
                except ValueError as error:
                    complaints.append(str(error))
                    continue
                if number in found:
                    complaints.append("message %d is there twice: %d and %d" % (number, found[number], seq))
                found[number] = seq
            try:
                answer = connection.settle(1, "ACK", [raw.seq_range(
                    delivery.first_seq, delivery.first_seq + len(delivery.messages) - 1, delivery.epoch, delivery.lease)])
                if answer.count != len(delivery.messages):
                    complaints.append("ack of %d messages settled %d" % (len(delivery.messages), answer.count))
            except BrokerError as error:
                complaints.append("ack refused: %s" % error)
    lost = [number for number in publisher.confirmed if number not in found]
    publisher.lost = len(lost)
    if lost:
        complaints.append("%d of %d confirmed messages are lost, first %s" % (len(lost), len(publisher.confirmed), lost[:5]))
    wrong = [n for n, seq in publisher.confirmed.items() if found.get(n, seq) != seq]
    if wrong:
        complaints.append("%d messages are at another sequence than confirmed, first %s" % (len(wrong), wrong[:5]))
    extra = [n for n in found if n not in publisher.confirmed and n not in _numbers_open(publisher)]
    if extra:
        complaints.append("%d messages were refused or never sent, and are there: %s" % (len(extra), extra[:5]))
    return complaints


def _numbers_open(publisher):
    return {first + i for first, count in publisher.open.items() for i in range(count)}
