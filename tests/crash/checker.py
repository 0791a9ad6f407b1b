"""rdcheck: reads a history and says whether the broker kept its promises.

The invariants are those of a durable work queue: I1 nothing confirmed is lost, I2 nothing comes from nowhere, I3 bytes are
kept, I4 a confirm means one place, I5 refused means refused, I6 books balance, I7 acked stays acked, I8 one holder,
I9 every redelivery has a cause, I10 attempts, I11 publish order, I12 order of a key, I13 first in first out, I14 priority,
I15 a resend is stored once, I16 what was refused may come again, I19 not early, I20 not late,
L1 what is ready is delivered, L2 every operation ends. A run that did too little is invalid, not passed.
"""
import argparse
import bisect
import collections
import json
import sys

import history
import rules_check
import topic_check

SECOND = 10**9
LEASE_SLACK = 2 * SECOND  # a client may read a delivery this much later than it was sent
OPEN_LIMIT = 30 * SECOND


class Delivery:
    __slots__ = ("t", "p", "c", "q", "mid", "seq", "lease", "attempt", "lease_ns", "wall", "committed")

    def __init__(self, event, mid, seq):
        self.t, self.p, self.c, self.q = event["t"], event["p"], event["c"], event["q"]
        self.mid, self.seq, self.attempt = mid, seq, event["a"]
        self.lease = (event["e"], event["l"]) if "e" in event else None
        self.lease_ns = event.get("lms", 0) * 10**6
        self.wall, self.committed = event.get("w"), event.get("ct")


class Settle:
    __slots__ = ("outcome", "begun", "ended", "result", "lease", "p", "after")

    def __init__(self, outcome, begun, lease, p, after):
        self.outcome, self.begun, self.lease, self.p, self.after = outcome, begun, lease, p, after
        self.ended, self.result = None, "info"


class Msg:
    def __init__(self, mid, q):
        self.mid, self.q = mid, q
        self.first_invoke = None
        self.result = None      # of the last try: ok | fail | info
        self.had_info = False
        self.confirmed = None   # time of the first ok
        self.places = {}        # (q, seq) -> how we know
        self.fresh = 0          # confirms that were not duplicates
        self.deliveries = []
        self.settles = []

    def settled(self, outcome, *results):
        return any(s.outcome == outcome and s.result in results for s in self.settles)


def _known(items):
    """Without deliveries that could not be read: those are settled too, and nobody can say what they were."""
    return [item for item in items if item[0] is not None]


class Checker:
    def __init__(self, events):
        self.events = list(topic_check.expand(events))
        self.messages = {}
        self.violations = []
        self.invalid = []
        self.queues = {}
        self.plan = {}
        self.finals = {}
        self.topics = {}        # topic -> its books at the end
        self.dead = {}          # q -> {mid: (seq, reason, attempts)}, what lies there at the end
        self.faults = []        # [kind, begin, end]
        self.ends = collections.defaultdict(list)   # (p, c) -> times at which its connection or consumer ended
        self.attaches = collections.defaultdict(list)
        self.counts = collections.Counter()
        self.processes = collections.defaultdict(collections.Counter)
        self._read()

    def violation(self, name, text, mid=None):
        self.violations.append((name, text, mid))

    # Reading

    def _message(self, mid, q):
        found = self.messages.get(mid)
        if found is None:
            found = self.messages[mid] = Msg(mid, q)
        return found

    def _read(self):
        open_ops = {}
        for event in self.events:
            if event["type"] == "invoke" and "op" in event:
                open_ops[event["p"], event["op"]] = event
            begun = open_ops.pop((event["p"], event["op"]), None) if event["type"] != "invoke" and "op" in event else None
            if begun and event["t"] - begun["t"] > OPEN_LIMIT:
                self.violation("L2", "%s of %s took %.1f s" % (event["f"], event["p"],
                                                               (event["t"] - begun["t"]) / SECOND))
            handler = getattr(self, "_on_" + event["f"], None)
            if handler:
                handler(event, begun)
        for event in open_ops.values():
            if event["f"] != "fault":
                self.violation("L2", "%s %s of %s never ended" % (event["f"], event["op"], event["p"]))

    def _on_config(self, event, _):
        self.queues, self.plan = event["queues"], event["plan"]

    def _on_fault(self, event, _):
        if event["type"] == "invoke":
            self.faults.append([event["kind"], event["t"], None])
        else:
            for fault in self.faults:
                fault[2] = fault[2] or event["t"]

    def _on_final(self, event, _):
        self.finals[event["q"]] = event["info"]

    def _on_dead(self, event, _):
        rows = self.dead.setdefault(event["q"], {})
        for mid, seq, reason, attempts in event["rows"]:
            rows[mid] = (seq, reason, attempts)
            if mid in self.messages:
                self._place(self.messages[mid], event["q"], seq, "dead letter")

    def _on_topic(self, event, _):
        self.topics[event["topic"]] = event["info"]

    def _on_origin(self, event, _):
        """A delivery of a subscription says which message of the topic it is."""
        for offset, mid in enumerate(event["mids"]):
            if mid is not None:
                self._place(self._message(mid, event["q"]), event["q"], event["first"] + offset, "origin of a delivery")

    def _on_stuck(self, event, _):
        self.violation("L1", "queue %s has %d ready messages, and a consumer with credit got none for %.1f s" %
                       (event["q"], event["ready"], event["seconds"]))

    def _on_odd(self, event, _):
        self.violation("I8", "%s: %s" % (event["p"], event["text"]))

    def _on_detach(self, event, _):
        self.ends[event["p"], event["c"]].append(event["t"])

    def _on_attach(self, event, _):
        if event["type"] == "invoke":
            self.attaches[event["q"], event["name"]].append((event["t"], event["p"], event["c"]))

    def _on_publish(self, event, begun):
        kind = event["type"]
        if kind == "invoke":
            for mid in event["mids"]:
                message = self._message(mid, event["q"])
                message.first_invoke = message.first_invoke or event["t"]
            self.counts["publish"] += len(event["mids"])
            self.processes[event["p"]]["publish"] += len(event["mids"])
        elif kind == "ok":
            for mid, seq, duplicate in event["res"]:
                message = self._message(mid, event["q"])
                message.result = "ok"
                message.confirmed = message.confirmed or event["t"]
                message.fresh += not duplicate
                self._place(message, event["q"], seq, "confirm to " + event["p"])
                self.processes[event["p"]]["ok"] += 1
                if duplicate:
                    self.counts["duplicate answers"] += 1
            for mid, code in event["fails"]:
                self._failed(mid, event["q"], code)
        else:
            for mid in event["mids"]:
                if kind == "fail":
                    self._failed(mid, event["q"], event["code"])
                else:
                    message = self._message(mid, event["q"])
                    message.had_info = True
                    if message.result != "ok":
                        message.result = "info"
                    self.counts["info"] += 1

    def _failed(self, mid, q, code):
        message = self._message(mid, q)
        self.counts["refused"] += 1
        self.counts["refused " + code] += 1
        if message.result == "ok":
            self.violation("I15", "%s was confirmed, and its resend refused with %s" % (mid, code), mid)
        else:
            message.result = "fail"

    def _place(self, message, q, seq, how):
        if seq is None:
            return
        if message.places and (q, seq) not in message.places:
            where, before = next(iter(message.places.items()))
            self.violation("I15" if message.fresh > 1 else "I4", "%s has two places: %s (%s) and %s (%s)" %
                           (message.mid, where, before, (q, seq), how), message.mid)
        message.places[q, seq] = how

    def _on_deliver(self, event, _):
        for mid, why in event["bad"]:
            self.violation("I3", "delivery to %s: %s" % (event["p"], why), mid)
        for offset, mid in enumerate(event["mids"]):
            if mid is None:
                continue
            message = self._message(mid, event["q"])
            if message.q != event["q"]:
                self.violation("I4", "%s was sent to %s and came from %s" % (mid, message.q, event["q"]), mid)
            seq = event["first"] + offset
            self._place(message, event["q"], seq, "delivery to " + event["p"])
            message.deliveries.append(Delivery(event, mid, seq))
            self.counts["deliver"] += 1
            self.processes[event["p"]]["deliver"] += 1

    def _on_settle(self, event, begun):
        if event["type"] == "invoke":
            for mid, _seq, epoch, lease in _known(event["items"]):
                settle = Settle(event["o"], event["t"], None if epoch is None else (epoch, lease), event["p"],
                                event.get("after"))
                self._message(mid, event["q"]).settles.append(settle)
            self.counts["settle"] += len(event["items"])
            return
        stale = {tuple(item) for item in event.get("stale", ())}
        for mid, seq, epoch, lease in _known(begun["items"]):
            for settle in self._message(mid, begun["q"]).settles:
                if settle.begun == begun["t"] and settle.p == begun["p"]:
                    settle.ended = event["t"]
                    settle.result = event["type"]
                    if event["type"] == "ok" and (seq, epoch, lease) in stale:
                        settle.result = "stale"
            if event["type"] == "info":
                self.counts["info"] += 1

    # Judging

    def check(self):
        self._check_places()
        for message in self.messages.values():
            self._check_origin(message)
            self._check_leases(message)
        rules_check.check(self)
        for q in self.queues:
            self.check_order(q)
            self._check_end(q)
        topic_check.check(self)
        self._check_effort()
        return self

    def _check_places(self):
        holders = {}
        for message in self.messages.values():
            for place in message.places:
                other = holders.setdefault(place, message)
                if other is not message:
                    self.violation("I4", "sequence %s names %s and %s" % (place, other.mid, message.mid), message.mid)

    def _check_origin(self, message):
        if message.deliveries and message.first_invoke is None:
            self.violation("I2", "%s was delivered and never sent" % message.mid, message.mid)
        if message.deliveries and message.result == "fail":
            self.violation("I5" if message.had_info else "I2", "%s was refused and delivered" % message.mid, message.mid)
        if message.fresh > 1:
            self.violation("I15", "%s was confirmed as new %d times" % (message.mid, message.fresh), message.mid)

    def _check_leases(self, message):
        acks = [s for s in message.settles if s.outcome == "ACK" and s.result == "ok"]
        if len(acks) > 1:
            self.violation("I8", "%s was acked %d times" % (message.mid, len(acks)), message.mid)
        known = [d for d in message.deliveries if d.lease is not None]
        leases = {}
        for delivery in known:
            other = leases.setdefault(delivery.lease, delivery)
            if other is not delivery:
                self.violation("I8", "%s was delivered twice under lease %s" % (message.mid, delivery.lease), message.mid)
            for later in known:
                if later.t > delivery.t and (later.p, later.c) == (delivery.p, delivery.c) and later.lease < delivery.lease:
                    self.violation("I8", "leases of %s went down: %s, then %s" %
                                   (message.mid, delivery.lease, later.lease), message.mid)
        for settle in message.settles:
            if settle.lease is None or settle.result != "ok":
                continue
            if any(d.lease > settle.lease and d.t < settle.begun for d in known):
                self.violation("I8", "%s of %s worked under lease %s, though a newer one was out" %
                               (settle.outcome, message.mid, settle.lease), message.mid)
            if settle.outcome == "ACK" and any(d.lease > settle.lease for d in known):
                self.violation("I7", "%s was acked under lease %s and delivered again" % (message.mid, settle.lease),
                               message.mid)
        ordered = sorted(known, key=lambda d: d.lease)
        for first, second in zip(ordered, ordered[1:]):
            self.counts["redelivered"] += 1
            self._check_redelivery(message, first, second)
        limit = self.queues.get(message.q, {}).get("max_attempts")
        for delivery in message.deliveries:
            if limit and delivery.attempt > limit:
                self.violation("I10", "attempt %d of %s exceeds %d" % (delivery.attempt, message.mid, limit), message.mid)

    def _check_redelivery(self, message, first, second):
        settles = [s for s in message.settles if s.lease == first.lease]
        low = 1 if any(f[0] == "power" and f[1] >= first.t - LEASE_SLACK and f[1] <= second.t for f in self.faults) else 0
        retried = any(s.outcome == "RETRY" and s.result == "ok" for s in settles)
        if second.attempt < first.attempt + retried - low:
            self.violation("I10", "attempts of %s fell from %d%s to %d" % (
                message.mid, first.attempt, " (retried)" if retried else "", second.attempt), message.mid)
        if any(s.outcome in ("RETRY", "RELEASE") for s in settles):
            return
        if second.t - first.t >= first.lease_ns - LEASE_SLACK:
            return
        if any(end <= second.t for end in self.ends[first.p, first.c]):
            return
        if any(begin <= second.t and (end is None or end >= first.t - LEASE_SLACK) for _, begin, end in self.faults):
            return
        for (q, _name), attaches in self.attaches.items():  # its name was taken over
            mine = [t for t, p, c in attaches if (p, c) == (first.p, first.c)]
            if q == first.q and mine and any(mine[0] < t <= second.t and (p, c) != (first.p, first.c)
                                             for t, p, c in attaches):
                return
        self.violation("I9", "%s was delivered again after %.3f s (attempts %d, %d) without a cause" % (
            message.mid, (second.t - first.t) / SECOND, first.attempt, second.attempt), message.mid)

    def check_order(self, q):
        mine = [m for m in self.messages.values() if m.q == q and m.result == "ok" and len(m.places) == 1]
        seq_of = {m.mid: next(iter(m.places))[1] for m in mine}
        # Any two: confirm(a) before invoke(b).
        moments = [(m.confirmed, 1, m) for m in mine] + [(m.first_invoke, 0, m) for m in mine if m.first_invoke]
        highest, holder = 0, None
        for _, confirmed, message in sorted(moments, key=lambda x: x[:2]):
            seq = seq_of[message.mid]
            if confirmed and seq > highest:
                highest, holder = seq, message
            elif not confirmed and seq < highest:
                self.violation("I11", "%s (seq %d) was sent after %s (seq %d) was confirmed" %
                               (message.mid, seq, holder.mid, highest), message.mid)
        # One connection: sent in order means stored in order, for what was new then.
        last = {}
        fresh = self._fresh_by_connection(q)
        for (p, c), sent in fresh.items():
            for mid in sent:
                seq = seq_of.get(mid)
                if seq is None:
                    continue
                if last.get((p, c), (0, ""))[0] > seq:
                    self.violation("I11", "%s sent %s before %s on one connection, but they are stored as %d and %d" %
                                   (p, last[p, c][1], mid, last[p, c][0], seq), mid)
                last[p, c] = (seq, mid)
        if self.queues.get(q, {}).get("fifo"):
            order = [d for m in self.messages.values() if m.q == q for d in m.deliveries]
            order.sort(key=lambda d: d.t)
            expected = 1
            for delivery in order:
                if delivery.seq != expected:
                    self.violation("I13", "%s delivered %d where %d was next" % (q, delivery.seq, expected), delivery.mid)
                    break
                expected += 1

    def _fresh_by_connection(self, q):
        ends = {}
        for event in self.events:
            if event["f"] == "publish" and event["type"] == "ok" and event["q"] == q:
                ends[event["p"], event["op"]] = {mid for mid, _, duplicate in event["res"] if not duplicate}
        sent = collections.defaultdict(list)
        for event in self.events:
            if event["f"] == "publish" and event["type"] == "invoke" and event["q"] == q:
                fresh = ends.get((event["p"], event["op"]), ())
                sent[event["p"], event["c"]] += [mid for mid in event["mids"] if mid in fresh]
        return sent

    def stored_by_clients(self, q):
        """How many messages are there for sure, and how many more may be."""
        results = [m.result for m in self.messages.values() if m.q == q]
        return results.count("ok"), results.count("info")

    def check_stored(self, name, stored, sure, maybe):
        if not sure <= stored <= sure + maybe:
            self.violation("I6", "%s counts %d messages ever stored; the clients say %d to %d" % (
                name, stored, sure, sure + maybe))

    def _check_end(self, q):
        """I1 and I6: what became of each message, against the queue's own books."""
        info = self.finals.get(q)
        if info is None:
            self.invalid.append("no final state of queue " + q)
            return
        mine = [m for m in self.messages.values() if m.q == q]
        sure, maybe = self.stored_by_clients(q)
        stored = info["next_seq"] - 1
        if topic_check.has_gaps(self.queues[q]):
            stored = min(max(sure, sum(bool(m.places) for m in mine)), sure + maybe)
        self.check_stored("queue " + q, stored, sure, maybe)
        remaining = sum(info[state] for state in ("ready", "scheduled", "buffered", "started", "waiting"))
        if remaining:
            self.violation("L1", "queue %s still has %d messages after the drain" % (q, remaining))
        if info["damaged"]:
            self.violation("I3", "queue %s reports %d damaged messages" % (q, info["damaged"]))
        dead = info["dead"] + info["dead_evicted"]
        acked = sum(m.settled("ACK", "ok") for m in mine)
        maybe_acked = sum(m.settled("ACK", "info") and not m.settled("ACK", "ok") for m in mine)
        done = stored - dead - remaining
        if not acked <= done <= acked + maybe_acked:
            self.violation("I6", "queue %s says %d are done (%d stored, %d dead, %d left); the clients acked %d to %d" %
                           (q, done, stored, dead, remaining, acked, acked + maybe_acked))
        rejected = sum(m.settled("REJECT", "ok") for m in mine)
        if rejected > dead:
            self.violation("I6", "queue %s has %d dead letters, %d were rejected" % (q, dead, rejected))
        # Whoever has no end must be among the dead that nobody rejected (attempts used up).
        limit = self.queues[q].get("max_attempts", 1)
        lost, tired = [], []
        begins = sorted(begin for _, begin, _ in self.faults)
        for message in mine:
            if message.result != "ok" and not message.deliveries:
                continue
            if message.result == "info":
                self.counts["recovered"] += 1
            if message.settled("ACK", "ok", "info") or message.settled("REJECT", "ok", "info"):
                continue
            if message.mid in self.dead.get(q, ()):
                continue
            if q in self.dead and not info["dead_evicted"]:
                lost.append(message)
                continue
            attempts = max((d.attempt for d in message.deliveries), default=0)
            # A delivery cut off by a fault counts as an attempt that no client has seen.
            unseen = len(begins) - bisect.bisect_left(begins, message.confirmed or message.first_invoke or 0)
            (tired if attempts + unseen >= limit else lost).append(message)
        for message in lost:
            known = "never delivered" if not message.deliveries else "delivered %d times, never ended" % len(
                message.deliveries)
            self.violation("I1", "%s (%s) is lost: %s" % (message.mid, sorted(message.places), known), message.mid)
        self.counts["lost"] += len(lost)
        if len(tired) > dead - rejected:
            self.violation("I1", "queue %s: %d messages ended by attempts, but only %d dead letters are left for them" %
                           (q, len(tired), dead - rejected))

    def _check_effort(self):
        plan = self.plan
        for name, have in [("publish", self.counts["publish"]), ("deliver", self.counts["deliver"])]:
            if have < 0.9 * plan.get(name, 1):
                self.invalid.append("only %d %s operations of %d planned" % (have, name, plan.get(name, 1)))
        if len(self.faults) < plan.get("faults", 0):
            self.invalid.append("only %d faults of %d planned" % (len(self.faults), plan["faults"]))
        if plan.get("info") and not self.counts["info"]:
            self.invalid.append("no operation was cut off by a fault")
        for prefix in plan.get("clients", ()):
            for what in ("ok", "deliver"):
                if not sum(c[what] for p, c in self.processes.items() if p.startswith(prefix)):
                    self.invalid.append("client %s has no %s" % (prefix, what))

    # Reporting

    def story(self, mid):
        """All events about a message, with the faults in between."""
        start = self.events[0]["t"] if self.events else 0
        lines = []
        for event in self.events:
            named = event["f"] == "fault" or mid in event.get("mids", ()) or any(
                mid == row[0] for key in ("res", "items", "fails", "bad") for row in event.get(key, ()))
            if named:
                text = json.dumps({k: v for k, v in event.items() if k not in ("t", "p", "mids", "res", "items", "fails")})
                lines.append("    %9.3f %-8s %s" % ((event["t"] - start) / SECOND, event["p"], text[:180]))
        return lines

    def report(self, out=sys.stdout, stories=5):
        total = {name: self.counts[name] for name in (
            "publish", "info", "refused", "duplicate answers", "deliver", "redelivered", "settle", "dead", "dead expired",
            "keyed", "by priority", "delayed", "deduplicated", "recovered", "lost")}
        kinds = collections.Counter(fault[0] for fault in self.faults)
        print("checked: %d messages, %s; faults: %s" % (
            len(self.messages), ", ".join("%s %d" % item for item in total.items()),
            ", ".join("%s %d" % item for item in kinds.items()) or "none"), file=out)
        for name, text, mid in self.violations[:50]:
            print("VIOLATION %s: %s" % (name, text), file=out)
        for name, text, mid in [v for v in self.violations if v[2]][:stories]:
            print("  story of %s:\n%s" % (mid, "\n".join(self.story(mid)[:40])), file=out)
        for text in self.invalid:
            print("INVALID RUN: " + text, file=out)
        names = sorted({v[0] for v in self.violations})
        verdict = "%d violations (%s)" % (len(self.violations), ", ".join(names)) if names else (
            "invalid" if self.invalid else "0 violations")
        print("verdict: " + verdict, file=out)

    def passed(self):
        return not self.violations and not self.invalid


def check_folder(folder, out=sys.stdout):
    checker = Checker(history.read(folder)).check()
    checker.report(out)
    return checker.passed()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="folder with the *.jsonl files of a run")
    sys.exit(0 if check_folder(parser.parse_args().folder) else 1)
