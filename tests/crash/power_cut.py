"""Power cuts under load: the file system forgets what was not synced. Nothing confirmed may be missing afterwards.

The daemon is stopped before the file system is. A machine without power sends no answers, but here both would go on for some
milliseconds, in which ext4 may call an fdatasync done whose blocks it can no longer make readable (seen: two of a hundred cuts).

With --expect-loss the run must fail, as the control with a daemon that confirms before it syncs."""
import sys

from broker import StartError
from rockdove_raw import Closed, Connection, Timeout, admin
from run import Run, arguments, load_plan, queue_plan, say


def cut_and_judge(run, disk, count, queues):
    """Runs the cuts; true if nothing was lost."""
    for cycle in range(1, count + 1):
        # The first cut comes right after the very first start: the data directory itself must survive.
        run.wait(0.02, 0.3) if cycle == 1 else run.wait(0.5, 4.0)
        op = run.fault("power")
        run.broker.freeze()
        disk.power_cut()
        run.broker.kill()
        disk.come_back()
        try:
            run.start_broker()
        except StartError as error:
            say("cycle %d: the broker does not come back after a power cut: %s\n%s" % (cycle, error, error.log))
            return False
        run.healed(op)
        if cycle == 1 and not queues_survived(run, queues):
            return False
    run.wait(1, 1)
    run.stop_loads()
    return run.verdict(queues)


def queues_survived(run, queues):
    """Confirmed queues are there after the first cut; without them the load would only stumble."""
    try:
        with Connection(run.broker.address) as connection:
            there = {info.name for info in connection.request(queue_list=admin.QueueList()).queues}
            subscriptions = connection.request(subscription_list=admin.SubscriptionList()).subscriptions
            there |= {info.topic + "/" + info.name for info in subscriptions}
    except (Closed, Timeout, OSError) as error:
        say("VIOLATION L1: the broker broke down after a power cut: %r\n%s" % (error, run.broker.log_tail()))
        return False
    missing = sorted(set(queues) - there)
    if missing:
        say("VIOLATION I1: confirmed queues are lost after a power cut: " + ", ".join(missing))
    return not missing


def main():
    parser = arguments(__doc__, 5)
    parser.add_argument("--expect-loss", action="store_true", help="pass only if the checker reports loss")
    options = parser.parse_args()
    with Run(options, "power_cut") as run:
        disk = run.make_disk()
        run.make_broker(disk.mount_point, options=["--set", "storage.disk_low=64MiB"])
        run.start_broker()
        queues = queue_plan(sync_only=True)
        planned = int(options.cycles * options.rate * 0.5)
        run.create_queues(queues, dict(publish=planned, deliver=planned // 2, faults=options.cycles, info=True,
                                       clients=["py", "rl", "tl"] + (["cc"] if options.rdload else [])))
        run.start_python_load("py", load_plan(options.rate))
        run.start_python_load("rl", load_plan(options.rate / 2), "rules_load.py")
        run.start_python_load("tl", load_plan(options.rate / 2), "topic_load.py")
        if options.rdload:
            run.start_cpp_load("cc", load_plan(options.rate))
        sound = cut_and_judge(run, disk, options.cycles, queues)
        run.broker.kill()
        if options.expect_loss:
            say("control: " + ("NOT found out: a broker that confirms before it syncs has passed" if sound else
                               "the loss was found, as it must be"))
            return 1 if sound else 0
        return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
