"""One fdatasync fails. From then on: no confirm, OUTCOME_UNKNOWN or a closed connection for who waited, the process gone within
2 s with code 74 and a last word that names the error; the next start is clean and nothing confirmed is lost."""
import argparse
import os
import shutil
import sys
import tempfile
import time

import loop_disk
import rockdove_raw as raw
from broker import Broker, StartError
from publisher import Publisher, judge
from rockdove_raw import Connection

EXIT_IO = 74
EXIT_SECONDS = 2.0
STRACE_SECONDS = 1.5  # what strace itself may add on a busy machine


def strace(when):
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync",
            "-e", "inject=fdatasync,fsync:error=EIO:when=%s" % when]


def one_failure(daemon, folder, when):
    """Returns (complaints, what happened)."""
    complaints = []
    data = os.path.join(folder, "data")
    with_faults = Broker(daemon, data, os.path.join(folder, "log"), wrapper=strace(when))
    publisher = Publisher("jobs")
    try:
        with_faults.start(60)
        with Connection(with_faults.address) as connection:
            connection.create_queue("jobs", if_not_exists=True)
        publisher.connect(with_faults.address)
        how = publisher.run_until_error(20, limit=20_000)
    except StartError as error:
        how, code = "start", error.code
    except (raw.BrokerError, raw.Closed, OSError) as error:
        how = "set-up: %s" % error
    try:
        if how == "limit":
            return ["fault %s was never reached in %d confirms" % (when, len(publisher.confirmed))], how
        if how != "start":
            begun = time.monotonic()
            code = with_faults.wait_exit(10)
            if time.monotonic() - begun > EXIT_SECONDS + STRACE_SECONDS:
                complaints.append("gone only after %.1f s" % (time.monotonic() - begun))
        if code != EXIT_IO:
            complaints.append("exit code %s, not %d" % (code, EXIT_IO))
        log = with_faults.log_text()
        if "Input/output error" not in log and "EIO" not in log:
            complaints.append("the log does not name the error:\n" + with_faults.log_tail(5))
    finally:
        with_faults.kill()
    if publisher.confirms_after_error:
        complaints.append("%d confirms after the first failure" % publisher.confirms_after_error)
    for error in publisher.refused:
        if raw.code_name(error.code) not in ("OUTCOME_UNKNOWN", "UNAVAILABLE"):
            complaints.append("clients heard %s" % raw.describe(error))
    return complaints + recover(daemon, data, folder, publisher), how


def recover(daemon, data, folder, publisher):
    """The next start, without faults: clean, nothing lost, resends stored once."""
    after = Broker(daemon, data, os.path.join(folder, "log2"))
    try:
        after.start(30)
        with Connection(after.address) as connection:
            connection.create_queue("jobs", if_not_exists=True)
        if publisher.epoch:
            publisher.resend_all(after.address)
        else:
            publisher.connect(after.address)
        for _ in range(10):
            publisher.send_new()
        publisher.drain_answers(20)
        complaints = judge(after.address, publisher)
        if len(publisher.confirmed) < 10:
            complaints.append("it confirms nothing after the restart")
        publisher.connection.close()  # else the broker waits for it as long as its drain may last
        if after.stop() != 0:
            complaints.append("the clean stop afterwards failed")
        return complaints
    except StartError as error:
        return ["the next start fails: %s\n%s" % (error, error.log)]
    finally:
        after.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--when", default="1 3 8 13 30 30+", help="which calls fail; 30+ means from then on")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        loop_disk.skip("no strace")
    failed = 0
    reached = set()
    for when in options.when.split():
        with tempfile.TemporaryDirectory(prefix="rockdove-sync-") as folder:
            complaints, how = one_failure(os.path.abspath(options.daemon), folder, when)
        reached.add(how)
        print("sync %-4s fails (%s): %s" % (when, how, "; ".join(complaints) or "ok"), flush=True)
        failed += bool(complaints)
    if not reached & {"error", "closed"}:
        print("INVALID RUN: no failure hit a publisher")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
