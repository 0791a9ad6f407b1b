"""One run of load, faults, healing, drain and verdict; shared by the kill, power-cut and disk harnesses."""
import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time

import checker
import drain
import history
import loop_disk
import rules_load
import rockdove_raw as raw
import topic_load
from broker import Broker, StartError
from rockdove_raw import Connection

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = dict(lease_ms=4000, backoff_first_ms=50, backoff_longest_ms=500, max_attempts=20, reconnect_grace_ms=1000)


def queue_plan(sync_only=False, rules=True):
    """Queues and their settings; TOPIC/NAME is a subscription, and makes the topic. `fifo` is only filled during the run, and drained one by one afterwards."""
    queues = {"mixed": {}, "busy": {}, "fifo": {"fifo": True}, "tired": {"max_attempts": 3}}
    queues.update({**rules_load.QUEUES, **topic_load.SUBSCRIPTIONS} if rules else {})
    queues["quick"] = {} if sync_only else {"durability": "ASYNC"}
    return {name: dict(SETTINGS, **settings) for name, settings in queues.items()}


def load_plan(rate, **changes):
    """What one Python load process does: two producers, three consumers."""
    plan = dict(producers=[["mixed", "busy", "mixed", "busy", "mixed", "busy", "fifo"], ["mixed", "tired", "quick"]],
                consumers=["mixed", "busy", "tired", "quick", "mixed"], rate=rate, credit=64, trouble=0.004,
                outcomes={"ACK": 90, "RETRY": 3, "RELEASE": 3, "REJECT": 1, "ABANDON": 0.4, "LATE": 0.6, "EXTEND": 2})
    plan.update(changes)
    return plan


def arguments(description, cycles):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--daemon", required=True, help="the rockdoved to be tested")
    parser.add_argument("--rdload", help="the C++ load; without it only the Python one runs")
    parser.add_argument("--cycles", type=int, default=cycles)
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's random choices")
    parser.add_argument("--rate", type=float, default=200, help="messages per second and producer")
    parser.add_argument("--toy", action="store_true", help="a daemon that knows no keys, times and dead letters: none of these")
    parser.add_argument("--keep", metavar="DIR", help="keep history, data and log there")
    return parser


def say(text):
    print(text, flush=True)


class Run:
    """Folders, broker, load processes, nemesis log. Use as a context: everything started here ends with it."""

    def __init__(self, options, name, folder=None):
        self.options = options
        self.name = name
        self.namespace = ""
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
        self.rng = random.Random(self.seed)
        self.folder = folder or options.keep or tempfile.mkdtemp(prefix="rockdove-%s-" % name)
        self.history_folder = os.path.join(self.folder, "history")
        os.makedirs(self.history_folder, exist_ok=True)
        self.broker = None
        self.disk = None
        self.loads = []
        self.nemesis = history.History(self.history_folder, "nemesis")
        self.slowest_start = 0.0
        with open(options.daemon, "rb") as binary:
            digest = hashlib.sha256(binary.read()).hexdigest()[:16]
        say("%s: seed %d, daemon %s (sha256 %s), kernel %s, options %s" % (
            name, self.seed, options.daemon, digest, platform.release(), " ".join(sys.argv[1:])))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.loads:
            process.kill()
            process.wait()
        if self.broker:
            self.broker.kill()
        if self.disk:
            self.disk.close()
        if not self.options.keep:
            shutil.rmtree(self.folder, True)

    def beside(self, namespace):
        """A run of the same broker in another namespace, with its own loads, history and verdict."""
        other = Run(self.options, "%s in %s" % (self.name, namespace), os.path.join(self.folder, namespace))
        other.namespace = namespace
        other.broker = self.broker
        return other

    @property
    def address(self):
        return self.broker.address + ("/" + self.namespace if self.namespace else "")

    def make_disk(self, mebibytes=1024):
        self.disk = loop_disk.make(self.folder, mebibytes)
        return self.disk

    def make_broker(self, parent=None, **fields):
        self.broker = Broker(os.path.abspath(self.options.daemon), os.path.join(parent or self.folder, "data"),
                             os.path.join(self.folder, "daemon.log"), **fields)
        return self.broker

    def start_broker(self, timeout=60):
        begun = time.monotonic()
        self.broker.start(timeout)
        self.slowest_start = max(self.slowest_start, time.monotonic() - begun)

    def create_queues(self, queues, plan):
        with Connection(self.address) as connection:
            for name, settings in queues.items():
                fields = {k: v for k, v in settings.items() if k not in ("fifo", "subjects")}
                if "durability" in fields:
                    fields["durability"] = raw.data.Durability.Value(fields["durability"])
                if "/" in name:
                    connection.create_subscription(name, settings.get("subjects", ()), **fields)
                else:
                    connection.create_queue(name, **fields)
        self.nemesis.write("ok", "config", queues=queues, plan=plan)

    def start_python_load(self, name, plan, script="load.py"):
        command = [sys.executable, "-B", os.path.join(HERE, script), self.history_folder, name, self.address,
                   "%d %s" % (self.seed, name), json.dumps(plan)]
        self.loads.append(subprocess.Popen(command, stdin=subprocess.PIPE))

    def start_cpp_load(self, name, plan):
        command = [self.options.rdload, self.history_folder, name, self.address, str(self.seed),
                   str(int(plan["rate"]))]
        self.loads.append(subprocess.Popen(command, stdin=subprocess.PIPE))

    def stop_loads(self):
        for process in self.loads:
            process.stdin.close()
        failed = [str(process.args[3]) for process in self.loads if process.wait(90) != 0]
        self.loads = []
        if failed:
            raise SystemExit("load failed: " + ", ".join(failed))

    def loads_alive(self):
        for process in self.loads:
            if process.poll() is not None:
                raise SystemExit("load %s ended with %s in the middle of the run" % (process.args[3], process.returncode))

    def wait(self, low, high):
        """A random time under load. Waits on the loads, so that one that dies ends the run."""
        deadline = time.monotonic() + self.rng.uniform(low, high)
        while time.monotonic() < deadline:
            self.loads_alive()
            try:
                if self.loads:
                    self.loads[0].wait(max(min(0.5, deadline - time.monotonic()), 0))
                else:
                    self.broker.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                pass

    def fault(self, kind):
        return self.nemesis.invoke("fault", kind=kind)

    def healed(self, op):
        self.nemesis.write("ok", "fault", op=op)

    def drain(self, queues):
        """Empties the queues. True if the broker did not break down in it."""
        log = history.History(self.history_folder, "drain")
        try:
            drain.drain(self.address, log, queues, list_dead=not self.options.toy)
            return True
        except (OSError, raw.Closed, raw.Timeout, raw.BrokerError, StartError) as error:
            say("VIOLATION L1: the broker broke down in the drain: %r\n%s" % (error, self.broker.log_tail()))
            return False
        finally:
            log.close()
            self.nemesis.close()

    def verdict(self, queues, beside=()):
        """Drains, stops the broker in order, and checks the history. True if all is well, also in the runs beside it."""
        code = None
        if all([run.drain(queues) for run in (self, *beside)]):
            try:
                code = self.broker.stop()
            except (OSError, StartError) as error:
                say("VIOLATION L1: the broker does not stop: %r\n%s" % (error, self.broker.log_tail()))
        sound = all([checker.check_folder(run.history_folder) for run in (self, *beside)])
        if code not in (0, None):
            say("VIOLATION L5: the clean stop ended with exit code %d" % code)
        sound = sound and code == 0
        say("%s: %s; slowest start %.2f s; repeat with --seed %d" % (
            self.name, "passed" if sound else "FAILED", self.slowest_start, self.seed))
        return sound
