"""The checker's own test: a sound history passes, and each planted violation is caught by the invariant it breaks."""
import copy
import io
import unittest

from checker import Checker, SECOND


class Script:
    """Builds a history, one second per event unless told otherwise."""

    def __init__(self):
        self.t = 100 * SECOND
        self.op = 0
        self.events = []
        self.add("driver", "ok", "config", queues={"q": {"max_attempts": 3}, "f": {"max_attempts": 3, "fifo": True}},
                 plan={"publish": 4, "deliver": 4, "faults": 1, "info": True, "clients": ["p"]})

    def add(self, p, type, f, **fields):
        self.t += SECOND
        event = dict(t=self.t, p=p, type=type, f=f, **fields)
        self.events.append(event)
        return event

    def find_config(self):
        return self.events[0]

    def invoke(self, p, f, **fields):
        self.op += 1
        return self.add(p, "invoke", f, op=self.op, **fields)

    def publish(self, *mids, q="q", first, c=1, duplicate=False):
        begun = self.invoke("p", "publish", q=q, c=c, pseq=1, mids=list(mids))
        res = [[mid, first + i, duplicate] for i, mid in enumerate(mids)]
        return self.add("p", "ok", "publish", op=begun["op"], q=q, res=res, fails=[])

    def publish_ends(self, kind, *mids, **fields):
        begun = self.invoke("p", "publish", q="q", c=1, pseq=1, mids=list(mids))
        return self.add("p", kind, "publish", op=begun["op"], q="q", mids=list(mids), **fields)

    def deliver(self, mid, seq, lease, attempt=1, q="q", p="p", c=2, epoch=1, bad=()):
        return self.add(p, "ok", "deliver", q=q, c=c, e=epoch, l=lease, a=attempt, lms=5000, first=seq, mids=[mid],
                        bad=list(bad))

    def settle(self, outcome, mid, seq, lease, q="q", kind="ok", epoch=1, **fields):
        begun = self.invoke("p", "settle", q=q, c=2, o=outcome, items=[[mid, seq, epoch, lease]])
        return self.add("p", kind, "settle", op=begun["op"], **dict(dict(stale=[]) if kind == "ok" else {}, **fields))

    def fault(self, kind="kill"):
        begun = self.invoke("nemesis", "fault", kind=kind)
        self.add("nemesis", "ok", "fault", op=begun["op"], kind=kind)

    def final(self, q="q", **info):
        base = dict(next_seq=1, ready=0, scheduled=0, buffered=0, started=0, waiting=0, dead=0, dead_evicted=0, damaged=0)
        base.update(info)
        return self.add("drain", "ok", "final", q=q, info=base)


def sound():
    """Four messages in q (acked, retried and acked, rejected, of unknown outcome), two in f; one kill."""
    s = Script()
    s.publish("p.1", "p.2", "p.3", first=1)
    s.deliver("p.1", 1, lease=1)
    s.settle("ACK", "p.1", 1, 1)
    s.deliver("p.2", 2, lease=2)
    s.settle("RETRY", "p.2", 2, 2)
    s.deliver("p.2", 2, lease=3, attempt=2)
    s.settle("ACK", "p.2", 2, 3)
    s.deliver("p.3", 3, lease=4)
    s.settle("REJECT", "p.3", 3, 4)
    s.publish_ends("info", "p.4")
    s.fault()
    s.publish("p.4", first=4, duplicate=True)
    s.deliver("p.4", 4, lease=1, epoch=2)
    s.settle("ACK", "p.4", 4, 1, epoch=2)
    s.publish("p.5", "p.6", q="f", first=1)
    s.deliver("p.5", 1, lease=1, q="f")
    s.settle("ACK", "p.5", 1, 1, q="f")
    s.deliver("p.6", 2, lease=2, q="f")
    s.settle("ACK", "p.6", 2, 2, q="f")
    s.final(next_seq=5, dead=1)
    s.final("f", next_seq=3)
    return s


def topic(europe=("p.21~seu.x",), origin=1, topic_next=3):
    """Two messages of a topic, one subscription for all of them and one for one subject."""
    s = Script()
    s.find_config()["queues"].update({"t/all": {"max_attempts": 3}, "t/eu": {"max_attempts": 3, "subjects": ["order.eu.>"]}})
    mids = ["p.21~seu.x", "p.22~sus.x"]
    s.publish(*mids, q="t", first=1)
    for seq, mid in enumerate(mids, 1):
        s.deliver(mid, seq, lease=seq, q="t/all")["os"] = seq
        s.settle("ACK", mid, seq, seq, q="t/all")
    for mid in europe:
        s.deliver(mid, 1, lease=8, q="t/eu")["os"] = origin
        s.settle("ACK", mid, 1, 8, q="t/eu")
    for q in ("q", "f"):
        s.final(q)
    s.final("t/all", next_seq=3)
    s.final("t/eu", next_seq=3)
    s.fault()
    s.publish_ends("info", "p.30")
    s.add("drain", "ok", "topic", topic="t", info=dict(next_seq=topic_next))
    return s


class CheckerTest(unittest.TestCase):
    def names(self, script):
        self.checker = Checker(script.events).check()
        self.checker.report(io.StringIO())
        return {name for name, _, _ in self.checker.violations}

    def find(self, script, f, type="ok", **fields):
        for event in script.events:
            if event["f"] == f and event["type"] == type and all(event.get(k) == v for k, v in fields.items()):
                return event
        raise AssertionError("no such event")

    def test_a_sound_history_passes(self):
        self.assertEqual(self.names(sound()), set())
        self.assertTrue(self.checker.passed())
        self.assertEqual(self.checker.counts["recovered"], 0)

    def test_a_confirmed_message_that_never_comes_is_lost(self):
        s = sound()
        s.publish("p.9", first=5)
        s.final(next_seq=6, dead=1)
        self.assertIn("I1", self.names(s))
        self.assertEqual(self.checker.counts["lost"], 1)

    def test_a_confirmed_message_that_the_books_do_not_know_is_lost(self):
        s = sound()
        s.publish("p.9", first=5)
        self.assertEqual(self.names(s), {"I1", "I6"})

    def test_a_message_that_came_once_and_never_again_is_lost(self):
        s = sound()
        s.publish("p.9", first=5)
        s.deliver("p.9", 5, lease=9)
        s.settle("RETRY", "p.9", 5, 9)
        s.final(next_seq=6, dead=1)
        self.assertIn("I1", self.names(s))

    def test_more_deaths_by_attempts_than_dead_letters(self):
        s = sound()
        s.publish("p.9", first=5)
        s.deliver("p.9", 5, lease=9, attempt=3)
        s.settle("RETRY", "p.9", 5, 9)
        s.final(next_seq=6, dead=2)
        self.assertEqual(self.names(s), set())
        s.final(next_seq=6, dead=1)
        self.assertIn("I1", self.names(s))

    def test_a_message_from_nowhere(self):
        s = sound()
        s.deliver("p.99", 5, lease=9)
        self.assertIn("I2", self.names(s))

    def test_a_refused_message_that_is_delivered(self):
        s = sound()
        s.publish_ends("fail", "p.9", code="FULL")
        s.deliver("p.9", 5, lease=9)
        s.settle("ACK", "p.9", 5, 9)
        self.assertIn("I2", self.names(s))

    def test_changed_bytes(self):
        s = sound()
        self.find(s, "deliver")["bad"] = [["p.1", "body differs"]]
        self.assertIn("I3", self.names(s))

    def test_settling_what_cannot_be_read(self):
        s = sound()
        s.add("p", "ok", "deliver", q="q", c=2, e=1, l=77, a=1, lms=5000, first=2, mids=[None], bad=[["p.2", "differs"]])
        s.settle("ACK", None, 2, lease=77)
        self.assertEqual(self.names(s), {"I3"})

    def test_a_sequence_used_twice(self):
        s = sound()
        s.publish("p.9", first=4)
        s.deliver("p.9", 4, lease=9, epoch=2)
        s.settle("ACK", "p.9", 4, 9, epoch=2)
        self.assertIn("I4", self.names(s))

    def test_a_message_in_two_places(self):
        s = sound()
        s.deliver("p.1", 7, lease=9)
        self.assertIn("I4", self.names(s))

    def test_a_resend_stored_twice(self):
        s = sound()
        s.publish("p.1", first=5)
        self.assertIn("I15", self.names(s))

    def test_a_confirmed_resend_refused(self):
        s = sound()
        s.publish_ends("fail", "p.1", code="FULL")
        self.assertIn("I15", self.names(s))

    def test_an_acked_message_delivered_again(self):
        s = sound()
        s.fault()
        s.deliver("p.1", 1, lease=1, epoch=3, attempt=2)
        self.assertIn("I7", self.names(s))

    def test_two_acks_of_one_message(self):
        s = sound()
        s.fault()
        s.deliver("p.1", 1, lease=1, epoch=3, attempt=2)
        s.settle("ACK", "p.1", 1, 1, epoch=3)
        self.assertIn("I8", self.names(s))

    def test_a_late_settle_that_works(self):
        s = sound()
        s.publish("p.9", first=5)
        s.deliver("p.9", 5, lease=9)
        s.t += 10 * SECOND
        s.deliver("p.9", 5, lease=10, attempt=2, c=3)
        s.settle("ACK", "p.9", 5, 9)
        s.final(next_seq=6, dead=1)
        self.assertIn("I8", self.names(s))
        self.find(s, "settle", op=s.op)["stale"] = [[5, 1, 9]]  # refused as stale: fine, if then acked by the holder
        s.settle("ACK", "p.9", 5, 10)
        self.assertEqual(self.names(s), set())

    def test_a_lease_number_used_twice(self):
        s = sound()
        s.fault()
        s.deliver("p.2", 2, lease=3, attempt=3)
        self.assertIn("I8", self.names(s))

    def test_a_redelivery_without_a_cause(self):
        s = sound()
        s.publish("p.9", first=5)
        s.deliver("p.9", 5, lease=9)
        s.deliver("p.9", 5, lease=10, attempt=2)
        s.settle("ACK", "p.9", 5, 10)
        s.final(next_seq=6, dead=1)
        self.assertEqual(self.names(s), {"I9"})

    def test_redeliveries_with_a_cause(self):
        for cause in ("expiry", "release", "detach", "kill"):
            with self.subTest(cause=cause):
                s = sound()
                s.publish("p.9", first=5)
                s.deliver("p.9", 5, lease=9)
                if cause == "expiry":
                    s.t += 5 * SECOND
                elif cause == "release":
                    s.settle("RELEASE", "p.9", 5, 9)
                elif cause == "detach":
                    s.add("p", "ok", "detach", c=2)
                else:
                    s.fault()
                s.deliver("p.9", 5, lease=10, attempt=1 if cause == "release" else 2)
                s.settle("ACK", "p.9", 5, 10)
                s.final(next_seq=6, dead=1)
                self.assertEqual(self.names(s), set())

    def test_attempts_that_fall(self):
        s = sound()
        self.find(s, "deliver", a=2)["a"] = 1
        self.assertIn("I10", self.names(s))

    def test_attempts_above_the_limit(self):
        s = sound()
        self.find(s, "deliver", a=2)["a"] = 4
        self.assertIn("I10", self.names(s))

    def test_sent_later_and_stored_earlier(self):
        s = sound()
        s.publish("p.9", first=6)
        s.publish("p.10", first=5, c=7)
        for mid, seq in [("p.9", 6), ("p.10", 5)]:
            s.deliver(mid, seq, lease=20 + seq)
            s.settle("ACK", mid, seq, 20 + seq)
        s.final(next_seq=7, dead=1)
        self.assertEqual(self.names(s), {"I11"})

    def test_one_connection_stored_out_of_order(self):
        s = sound()
        first = s.invoke("p", "publish", q="q", c=1, pseq=8, mids=["p.9"])
        second = s.invoke("p", "publish", q="q", c=1, pseq=9, mids=["p.10"])
        s.add("p", "ok", "publish", op=first["op"], q="q", res=[["p.9", 6, False]], fails=[])
        s.add("p", "ok", "publish", op=second["op"], q="q", res=[["p.10", 5, False]], fails=[])
        for mid, seq in [("p.9", 6), ("p.10", 5)]:
            s.deliver(mid, seq, lease=20 + seq)
            s.settle("ACK", mid, seq, 20 + seq)
        s.final(next_seq=7, dead=1)
        self.assertEqual(self.names(s), {"I11"})

    def test_a_fifo_queue_out_of_order(self):
        s = sound()
        one, two = [e for e in s.events if e["f"] == "deliver" and e["q"] == "f"]
        one["t"], two["t"] = two["t"], one["t"]
        s.events.sort(key=lambda event: event["t"])
        self.assertIn("I13", self.names(s))

    def test_books_that_do_not_balance(self):
        for change in (dict(next_seq=6, dead=1), dict(next_seq=5, dead=0), dict(next_seq=5, dead=2)):
            with self.subTest(change=change):
                s = sound()
                s.final(**change)
                self.assertIn("I6", self.names(s))

    def test_messages_left_after_the_drain(self):
        s = sound()
        s.final(next_seq=5, dead=1, ready=1)
        self.assertIn("L1", self.names(s))

    def test_an_answer_that_contradicts_itself(self):
        s = sound()
        s.add("p", "ok", "odd", text="3 of 2")
        self.assertEqual(self.names(s), {"I8"})

    def test_an_operation_that_never_ends(self):
        s = sound()
        s.invoke("p", "publish", q="q", c=1, pseq=3, mids=["p.77"])
        self.assertIn("L2", self.names(s))

    def test_an_empty_run_is_invalid(self):
        s = Script()
        s.final()
        s.final("f")
        self.assertEqual(self.names(s), set())
        self.assertFalse(self.checker.passed())
        self.assertGreaterEqual(len(self.checker.invalid), 4)

    def test_a_run_without_faults_or_doubts_is_invalid(self):
        for f, why in (("fault", "faults"), ("publish", "cut off")):
            s = sound()
            s.events = [e for e in s.events if e["f"] != f or (f == "publish" and e["type"] != "info" and
                                                              e["op"] != self.info_op(s))]
            self.names(s)
            self.assertTrue(any(why in text for text in self.checker.invalid), self.checker.invalid)

    def info_op(self, script):
        return next(e["op"] for e in script.events if e["type"] == "info")

    # The rules of messages (rules_check.py): two more in q, or one in a queue of its own.

    def two(self, first, second, q="q"):
        s = sound()
        s.publish(first, second, first=5, q=q)
        return s

    def ended(self, s, mid, seq, q="q", **fields):
        s.deliver(mid, seq, lease=20 + seq, q=q, **fields)
        s.settle("ACK", mid, seq, 20 + seq, q=q)

    def test_a_key_in_order(self):
        s = self.two("p.7~ka", "p.8~ka")
        self.ended(s, "p.7~ka", 5)
        self.ended(s, "p.8~ka", 6)
        s.final(next_seq=7, dead=1)
        self.assertEqual(self.names(s), set())

    def test_a_key_out_of_order(self):
        s = self.two("p.7~ka", "p.8~ka")
        self.ended(s, "p.8~ka", 6)
        self.ended(s, "p.7~ka", 5)
        s.final(next_seq=7, dead=1)
        self.assertEqual(self.names(s), {"I12"})

    def test_two_of_a_key_at_once(self):
        s = self.two("p.7~ka", "p.8~ka")
        s.deliver("p.7~ka", 5, lease=25)
        s.deliver("p.8~ka", 6, lease=26)
        s.settle("ACK", "p.7~ka", 5, 25)
        s.settle("ACK", "p.8~ka", 6, 26)
        s.final(next_seq=7, dead=1)
        self.assertEqual(self.names(s), {"I12"})

    def test_a_dead_message_frees_its_key(self):
        s = self.two("p.7~ka", "p.8~ka")
        self.ended(s, "p.8~ka", 6)
        s.final(next_seq=7, dead=2)
        s.add("drain", "ok", "dead", q="q", rows=[["p.3", 3, "rejected", 1], ["p.7~ka", 5, "max_attempts", 3]])
        self.assertEqual(self.names(s), set())

    def urgent(self, order):
        s = sound()
        s.publish("p.7~p1", "p.8~p9", "p.9~p1", q="urgent", first=1)
        for mid, seq in order:
            self.ended(s, mid, seq, q="urgent")
        s.events[0]["queues"]["urgent"] = {"max_attempts": 3}
        s.final("urgent", next_seq=4)
        return self.names(s)

    def test_priorities(self):
        self.assertEqual(self.urgent([("p.8~p9", 2), ("p.7~p1", 1), ("p.9~p1", 3)]), set())
        self.assertEqual(self.urgent([("p.7~p1", 1), ("p.8~p9", 2), ("p.9~p1", 3)]), set())  # nothing says when it was granted
        self.assertEqual(self.urgent([("p.7~p1", 1), ("p.9~p1", 3), ("p.8~p9", 2)]), {"I14"})

    def test_too_early_and_too_late(self):
        for mid, committed, wall, found in [("p.7~d500", 1000, 1500, None), ("p.7~d500", 1000, 1400, "I19"), ("p.7", 1000, 900, "I19"),
                                            ("p.7~t500", 1000, 6400, None), ("p.7~t500", 1000, 6600, "I20"),
                                            ("p.7~d500~t500", 1000, 6900, None)]:
            with self.subTest(mid=mid, wall=wall):
                s = sound()
                s.publish(mid, first=5)
                s.deliver(mid, 5, lease=25).update(w=wall, ct=committed)
                s.settle("ACK", mid, 5, 25)
                s.final(next_seq=6, dead=1)
                self.assertEqual(self.names(s), {found} if found else set())

    def test_a_retry_before_its_time(self):
        s = sound()
        begun = self.find(s, "settle", type="invoke", o="RETRY")
        begun["after"] = 900
        self.assertEqual(self.names(s), set())
        begun["after"] = 2900
        self.assertEqual(self.names(s), {"I19"})

    def test_a_duplicate_of_nothing(self):
        s = sound()
        s.publish("p.7~u", first=5, duplicate=True)
        self.ended(s, "p.7~u", 5)
        s.final(next_seq=6, dead=1)
        self.assertEqual(self.names(s), {"I16"})

    def test_dead_letters_and_why(self):
        for row, found in [(["p.3", 3, "rejected", 1], None), (["p.1", 1, "rejected", 1], "I7"), (["p.77", 9, "rejected", 1], "I2"),
                           (["p.3", 3, "expired", 1], "I20"), (["p.2", 2, "rejected", 1], "I5"),
                           (["p.3", 3, "max_attempts", 2], "I10"), (["p.3", 2, "rejected", 1], "I4")]:
            with self.subTest(row=row):
                s = sound()
                s.add("drain", "ok", "dead", q="q", rows=[row])
                names = self.names(s)
                self.assertIn(found, names) if found else self.assertEqual(names, set())

    def test_a_message_that_is_nowhere_is_lost_although_one_died(self):
        s = sound()
        s.publish("p.9", first=5)
        s.deliver("p.9", 5, lease=9, attempt=3)
        s.settle("RETRY", "p.9", 5, 9)
        s.final(next_seq=6, dead=2)
        s.add("drain", "ok", "dead", q="q", rows=[["p.3", 3, "rejected", 1]])
        self.assertIn("I1", self.names(s))

    def test_a_topic_is_judged_by_each_of_its_subscriptions(self):
        self.assertEqual(self.names(topic()), set())
        self.assertEqual(self.checker.counts["published"], 2)
        self.assertEqual(self.names(topic(europe=())), {"I1", "I6"})
        self.assertIn("I2", self.names(topic(europe=("p.22~sus.x",))))
        self.assertIn("I4", self.names(topic(origin=2)))
        self.assertEqual(self.names(topic(topic_next=4)), {"I6"})

    def test_the_story_of_a_violation_is_told(self):
        s = sound()
        s.publish("p.9", first=5)
        s.final(next_seq=6, dead=1)
        self.names(s)
        out = io.StringIO()
        self.checker.report(out)
        self.assertIn("story of p.9", out.getvalue())
        self.assertIn("verdict: ", out.getvalue())


if __name__ == "__main__":
    unittest.main()
