"""The part of rdcheck that is about the rules of messages: I12 order of a key, I14 priority, I16 deduplication, I19 not early, I20 not
late, and why dead letters died. What a message asked for stands in its name (payload.py)."""
import bisect
import collections
import math

from payload import properties

SECOND = 10**9
SLACK_MS = 5            # two clocks are read one after the other
LATE_MS = 5000          # a client may read a delivery this much later than it was sent


def check(checker):
    asked = {mid: properties(mid) for mid in checker.messages}
    _check_keys(checker, asked)
    _check_priorities(checker, asked)
    _check_times(checker, asked)
    _check_dedup(checker, asked)
    _check_dead(checker, asked)


def _place(message):
    return next(iter(message.places))[1] if len(message.places) == 1 else None


def _ended(checker, message):
    """When a client had said how it ends: later ones of its key may start then. Never: infinity."""
    begun = [s.begun for s in message.settles if s.outcome in ("ACK", "REJECT") and s.result in ("ok", "info")]
    if begun:
        return min(begun)
    return -math.inf if message.mid in checker.dead.get(message.q, ()) else math.inf


def _check_keys(checker, asked):
    by_key = collections.defaultdict(list)
    for message in checker.messages.values():
        if "k" in asked[message.mid] and _place(message) is not None:
            by_key[message.q, asked[message.mid]["k"]].append(message)
    for (_, key), messages in by_key.items():
        messages.sort(key=_place)
        last_end, holder = -math.inf, None
        for message in messages:
            for delivery in message.deliveries:
                if delivery.t < last_end:
                    checker.violation("I12", "%s (key %s, seq %d) was started before %s (seq %d) had ended" % (
                        message.mid, key, _place(message), holder.mid, _place(holder)), message.mid)
            checker.counts["keyed"] += len(message.deliveries)
            end = _ended(checker, message)
            if end > last_end:
                last_end, holder = end, message


def _check_priorities(checker, asked):
    """Of queues with one consumer and a credit of 1. Who was ever cut off may hold a message that nobody saw: such times do not count."""
    for q in checker.queues:
        if q != "urgent":
            continue
        mine = [m for m in checker.messages.values() if m.q == q]
        breaks = sorted([t for key, times in checker.ends.items() for t in times]
                        + [t for (at, _), rows in checker.attaches.items() if at == q for t, _, _ in rows]
                        + [t for _, begin, end in checker.faults for t in (begin, end or begin)])
        grants = sorted(s.begun for m in mine for s in m.settles)
        deliveries = sorted((d for m in mine for d in m.deliveries if not d.p.startswith("drain")), key=lambda d: d.t)
        for low in deliveries:
            at = bisect.bisect_left(grants, low.t) - 1
            if at < 0:
                continue
            checker.counts["by priority"] += 1
            granted = grants[at]
            for high in mine:
                if high.confirmed is None or high.confirmed >= granted or high.result != "ok":
                    continue
                if int(asked[high.mid]["p"]) <= int(asked[low.mid]["p"]) or any(d.t < low.t for d in high.deliveries):
                    continue
                between = bisect.bisect_left(breaks, low.t) - bisect.bisect_left(breaks, high.first_invoke)
                if between == 0 and high.mid not in checker.dead.get(q, ()):
                    checker.violation("I14", "%s came before %s, which was confirmed and is more urgent" %
                                      (low.mid, high.mid), low.mid)


def _check_times(checker, asked):
    for message in checker.messages.values():
        wishes = asked[message.mid]
        for delivery in message.deliveries:
            if delivery.wall is None:
                continue
            due = delivery.committed + int(wishes.get("d", 0))
            if "d" in wishes:
                checker.counts["delayed"] += 1
            if delivery.wall < due - SLACK_MS:
                checker.violation("I19", "%s was delivered %d ms before it was due" % (message.mid, due - delivery.wall),
                                  message.mid)
            if "t" in wishes and delivery.wall > due + int(wishes["t"]) + LATE_MS:
                checker.violation("I20", "%s was delivered %d ms after it had expired" % (
                    message.mid, delivery.wall - due - int(wishes["t"])), message.mid)
        for settle in message.settles:
            if settle.outcome != "RETRY" or settle.result != "ok" or not settle.after:
                continue
            for delivery in message.deliveries:
                if delivery.lease and settle.lease and delivery.lease > settle.lease and \
                        delivery.t < settle.begun + (settle.after - SLACK_MS) * SECOND // 1000:
                    checker.violation("I19", "%s was tried again %.0f ms after a retry that said %d ms" % (
                        message.mid, (delivery.t - settle.begun) / 10**6, settle.after), message.mid)


def _check_dedup(checker, asked):
    """Of those that are sent by hand: a client library sends again without a word."""
    for message in checker.messages.values():
        if "u" not in asked[message.mid]:
            continue
        checker.counts["deduplicated"] += 1
        if message.result == "ok" and message.fresh == 0 and not message.had_info:
            checker.violation("I16", "%s was answered as a duplicate, though it had never been stored" % message.mid,
                              message.mid)


def _check_dead(checker, asked):
    for q, rows in checker.dead.items():
        limit = checker.queues.get(q, {}).get("max_attempts")
        for mid, (_, reason, attempts) in rows.items():
            message = checker.messages.get(mid)
            checker.counts["dead"] += 1
            checker.counts["dead " + reason] += 1
            if message is None or message.first_invoke is None:
                checker.violation("I2", "%s is among the dead letters of %s and was never sent" % (mid, q), mid)
                continue
            if message.settled("ACK", "ok"):
                checker.violation("I7", "%s was acked, and is a dead letter" % mid, mid)
            if reason == "expired" and "t" not in asked[mid]:
                checker.violation("I20", "%s expired, and had no time to live" % mid, mid)
            if reason == "rejected" and not message.settled("REJECT", "ok", "info"):
                checker.violation("I5", "%s died as rejected, and nobody rejected it" % mid, mid)
            if reason == "max_attempts" and limit and attempts != limit:
                checker.violation("I10", "%s died of max_attempts after %d of %d" % (mid, attempts, limit), mid)
