"""A load for topics: one topic, three durable subscriptions, one of which only wants some of the subjects.

    topic_load.py FOLDER NAME ADDRESS SEED PLAN     as load.py
"""
import topic_check
from load import Consumer, Producer, run

SUBSCRIPTIONS = {"events/audit": {}, "events/billing": {"max_attempts": 3}, "events/europe": {"subjects": ["order.eu.>"]}}


class TopicProducer(Producer):
    def target(self, queue):
        return dict(topic=queue)

    def new_mid(self, queue):
        mid = super().new_mid(queue) + "~s%s.%s" % (self.rng.choice(("eu", "us")), self.rng.choice(("created", "deleted")))
        return mid + ("~kk%d" % self.rng.randrange(12) if self.rng.random() < 0.5 else "")

    def confirmed(self, topic, mids, confirm, res):
        """The subscriptions are there all the time: the broker must have found the same ones as we do."""
        told = [0] * len(mids)
        for routed in confirm.routed:
            for i in range(routed.first_index, routed.first_index + routed.count):
                told[i] = routed.subscriptions
        again = {mid for mid, _, duplicate in res if duplicate}
        for mid, count in zip(mids, told):
            wanted = sum(topic_check.wants(settings, mid) for settings in SUBSCRIPTIONS.values())
            if mid not in again and count != wanted:
                self.history.write("ok", "odd", text="%s went to %d subscriptions, not to %d" % (mid, count, wanted))


def clients(load, name, seed):
    def who(kind, number):
        return "%s-%s%d" % (name, kind, number), "%s %s%d" % (seed, kind, number)
    return ([TopicProducer(load, *who("p", i), ["events"]) for i in range(2)]
            + [Consumer(load, *who("c", i), q) for i, q in enumerate((*SUBSCRIPTIONS, "events/billing"))])


if __name__ == "__main__":
    run(clients)
