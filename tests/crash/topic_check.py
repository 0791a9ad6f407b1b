"""The part of rdcheck that is about topics. A publish to a topic is read as one to each subscription that wants the message, so that
every subscription is judged as the queue it is; the topic keeps the sequences that its receipts name."""
from payload import properties


def wants(settings, mid):
    """Whether a subscription of these settings gets the message. Its pattern ends in > or there is none."""
    patterns = settings.get("subjects", ())
    subject = "order." + properties(mid).get("s", "")
    return not patterns or any(subject.startswith(pattern.rstrip(">")) for pattern in patterns)


def has_gaps(settings):
    """A subscription uses the sequences of its topic: those of what it does not want are missing in it."""
    return bool(settings.get("subjects"))


def copy_of(mid, subscription):
    return "%s~@%s" % (mid, subscription)


def expand(events):
    """The events of a history, with those of topics and subscriptions translated; the others as they are."""
    subscriptions = {}  # topic -> {subscription: settings}
    for event in events:
        q = event.get("q", "")
        if event["f"] == "config":
            for name, settings in event["queues"].items():
                if "/" in name:
                    subscriptions.setdefault(name.split("/")[0], {})[name] = settings
        if event["f"] == "publish" and q in subscriptions:
            yield event
            for name, settings in subscriptions[q].items():
                yield _published(event, name, settings)
        elif "/" in q:
            yield from _of_subscription(event, q)
        else:
            yield event


def _published(event, name, settings):
    """A receipt names no place in a subscription: after a replay it may be another one than in the topic."""
    copy = dict(event, q=name, op="%s %s" % (event["op"], name))
    if "mids" in event:
        copy["mids"] = [copy_of(mid, name) for mid in event["mids"] if wants(settings, mid)]
    if "res" in event:
        copy["res"] = [[copy_of(mid, name), None, again] for mid, _, again in event["res"] if wants(settings, mid)]
        copy["fails"] = [[copy_of(mid, name), code] for mid, code in event["fails"] if wants(settings, mid)]
    return copy


def _of_subscription(event, name):
    topic, copy = name.split("/")[0], dict(event)
    if event["f"] == "deliver":
        copy["mids"] = [mid and copy_of(mid, name) for mid in event["mids"]]
        yield dict(event, f="origin", q=topic, first=event["os"])
    elif event["f"] in ("settle", "extend"):
        copy["items"] = [[mid and copy_of(mid, name), *lease] for mid, *lease in event["items"]]
    elif event["f"] == "dead":
        copy["rows"] = [[copy_of(mid, name), *rest] for mid, *rest in event["rows"]]
    yield copy


def check(checker):
    """I11 and I6 of each topic; its subscriptions are judged as queues."""
    for topic in sorted({name.split("/")[0] for name in checker.queues if "/" in name}):
        checker.check_order(topic)
        info = checker.topics.get(topic)
        if info is None:
            checker.invalid.append("no final state of topic " + topic)
            continue
        sure, maybe = checker.stored_by_clients(topic)
        checker.check_stored("topic " + topic, info["next_seq"] - 1, sure, maybe)
        checker.counts["published"] += sure
