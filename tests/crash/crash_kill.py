"""kill -9 under load, again and again; every tenth time once more during recovery. The checker has the last word."""
import contextlib
import subprocess
import sys
import time

from broker import StartError
from run import Run, arguments, load_plan, queue_plan, say


def main():
    parser = arguments(__doc__, 30)
    parser.add_argument("--shortest", type=float, default=0.2, help="seconds from ready to kill, at least")
    parser.add_argument("--longest", type=float, default=3.0)
    parser.add_argument("--shards", type=int, default=0, help="and as many namespaces, each with loads of its own")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(Run(options, "crash_kill"))
        flags = ["--shards", str(options.shards), "--create-on-use"] if options.shards else []
        run.make_broker(options=flags)
        run.start_broker()
        runs = [run] + [stack.enter_context(run.beside("ns%d" % shard)) for shard in range(1, options.shards)]
        queues = queue_plan(rules=not options.toy)
        clients = ["py"] + (["cc"] if options.rdload else []) + ([] if options.toy else ["rl", "tl"])
        planned = int(options.cycles * (options.shortest + options.longest) / 2 * options.rate * 0.3)
        for each in runs:
            each.create_queues(queues, dict(publish=planned, deliver=planned // 2, faults=options.cycles, info=True,
                                            clients=clients))
            each.start_python_load("py", load_plan(options.rate))
            if not options.toy:
                each.start_python_load("rl", load_plan(options.rate / 2), "rules_load.py")
                each.start_python_load("tl", load_plan(options.rate / 2), "topic_load.py")
            if options.rdload:
                each.start_cpp_load("cc", load_plan(options.rate))
        in_recovery = 0
        for cycle in range(1, options.cycles + 1):
            run.wait(options.shortest, options.longest)
            faults = [each.fault("kill") for each in runs]
            run.broker.kill()
            if cycle % 10 == 0:
                run.broker.launch()
                try:
                    run.broker.process.wait(run.rng.uniform(0.005, 0.3))
                    raise StartError("ended during recovery", run.broker.process.returncode, run.broker.log_tail())
                except subprocess.TimeoutExpired:
                    run.broker.kill()
                    in_recovery += 1
            try:
                run.start_broker()
            except StartError as error:
                say("cycle %d: the broker does not come back: %s\n%s" % (cycle, error, error.log))
                return 1
            for each, fault in zip(runs, faults):
                each.healed(fault)
            if cycle % 10 == 0:
                say("%d of %d cycles, %d kills during recovery" % (cycle, options.cycles, in_recovery))
        run.wait(1, 1)
        for each in runs:
            each.stop_loads()
        begun = time.monotonic()
        sound = run.verdict(queues, runs[1:])
        say("drain and check took %.1f s" % (time.monotonic() - begun))
        return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
