"""A disk that becomes full. Publishers are refused before the end, consumers and administration go on, publishing works again
once there is space; a disk filled by somebody else loses nothing; on a full disk the daemon refuses to start."""
import argparse
import hashlib
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

MIB = 1 << 20
DISK_MIB = 512
LOW_MIB = 128
OPTIONS = ["--set", "storage.disk_low=%dMiB" % LOW_MIB]
EXIT_IO = 74
NOT_DATA = ("OWNER", "OWNER.lock", "LOCK")  # who has the directory open


class Filler:
    """A file of somebody else on the same disk."""

    def __init__(self, disk):
        self.disk, self.path = disk, os.path.join(disk.mount_point, "filler")

    def take(self, size):
        with open(self.path, "ab") as file:
            os.posix_fallocate(file.fileno(), os.path.getsize(self.path), size)

    def take_all(self):
        """Until not a byte is left."""
        with open(self.path, "ab", buffering=0) as file:
            for step in (MIB, 4096):
                try:
                    while True:
                        file.write(b"x" * step)
                except OSError:
                    pass
            os.fsync(file.fileno())

    def leave(self):
        os.unlink(self.path)


def check(condition, text):
    print("%s: %s" % ("ok" if condition else "FAILED", text), flush=True)
    return 0 if condition else 1


def code_of(errors):
    return {raw.code_name(error.code) for error in errors}


def fills_slowly(broker, disk):
    """R7a."""
    failed = 0
    filler = Filler(disk)
    filler.take(100 * MIB)
    publisher = Publisher("slow", size=64 << 10, per_frame=8)
    with Connection(broker.address) as connection:
        connection.create_queue("slow", lease_ms=60_000)
        publisher.connect(broker.address)
        how = publisher.run_until_error(120)
        failed += check(how == "error" and code_of(publisher.refused) == {"STORE_BUSY"},
                        "publishers are refused with STORE_BUSY (%s, %s) after %d messages" % (
                            how, sorted(code_of(publisher.refused)), len(publisher.confirmed)))
        failed += check(all(error.retryable and error.text and not error.closes for error in publisher.refused),
                        "the refusal says why and may be retried: %s" % [e.text for e in publisher.refused[:1]])
        failed += check(disk.free_bytes() > 32 * MIB, "it stops before the end: %d MiB are left" % (disk.free_bytes() // MIB))
        failed += check(len(publisher.confirmed) > 500, "%d messages are confirmed" % len(publisher.confirmed))
        connection.create_queue("admin-goes-on")
        failed += check(connection.show_queue("slow").ready >= len(publisher.confirmed), "administration goes on")
        complaints = judge(broker.address, publisher)
        failed += check(not complaints, "consumers drain everything: %s" % (complaints or "all there"))
        filler.leave()
        begun = time.monotonic()
        accepted = False
        while not accepted and time.monotonic() - begun < 10:
            publisher.refused.clear()
            publisher.send_new()
            publisher.drain_answers(5)
            accepted = not publisher.refused
        publisher.connection.close()
        failed += check(accepted, "publishing works again %.1f s after space returned" % (time.monotonic() - begun))
    return failed


def fills_at_once(broker, disk):
    """R7b: somebody else takes the whole rest while publishers are at work."""
    filler = Filler(disk)
    publisher = Publisher("sudden", size=16 << 10, per_frame=4)
    with Connection(broker.address) as connection:
        connection.create_queue("sudden")
    publisher.connect(broker.address)
    publisher.run_until_error(20, limit=2_000)
    before = len(publisher.confirmed)
    filler.take_all()
    how = publisher.run_until_error(20)
    failed = check(how in ("error", "closed"), "a disk that is full at once ends publishing (%s, %s)" % (
        how, sorted(code_of(publisher.refused))))
    failed += check(code_of(publisher.refused) <= {"STORE_BUSY", "OUTCOME_UNKNOWN", "UNAVAILABLE"},
                    "clients hear %s" % sorted(code_of(publisher.refused)))
    code = None
    try:
        if how == "closed" or code_of(publisher.refused) - {"STORE_BUSY"}:
            code = broker.wait_exit(15)
            failed += check(code == EXIT_IO, "the process stops with code %s" % code)
            failed += refuses_to_start_full(broker)
    except StartError:
        failed += check(False, "after a failed write the process must not go on")
    filler.leave()
    if code is not None:
        broker.start()
    publisher.refused.clear()
    publisher.connect(broker.address)
    publisher.drain_answers(20)
    complaints = judge(broker.address, publisher)
    publisher.connection.close()
    return failed + check(not complaints, "nothing is lost (%d confirmed, %d of them before): %s" % (
        len(publisher.confirmed), before, complaints or "all there"))


def hashes(folder):
    found = {}
    for path, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.join(path, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


def refuses_to_start_full(broker):
    """R7c."""
    before = hashes(broker.data_dir)
    begun = time.monotonic()
    try:
        broker.start(20)
        return check(False, "the daemon starts on a full disk")
    except StartError as error:
        failed = check(error.code == EXIT_IO, "start on a full disk: exit code %s" % error.code)
        failed += check(time.monotonic() - begun < 3, "within %.1f s" % (time.monotonic() - begun))
        failed += check("MiB" in error.log, "it names free and needed space: " + error.log.splitlines()[-1])
        changed = [path for path, value in hashes(broker.data_dir).items()
                   if before.get(path) != value and os.path.basename(path) not in NOT_DATA]
        return failed + check(not changed and len(hashes(broker.data_dir)) >= len(before), "no data file changed: %s" % changed)


def start_on_full_disk(broker, disk):
    """R7c, with an orderly stop before."""
    code = broker.stop()
    failed = check(code == 0, "clean stop, code %s" % code)
    filler = Filler(disk)
    filler.take_all()
    failed += refuses_to_start_full(broker)
    filler.leave()
    broker.start()
    with Connection(broker.address) as connection:
        failed += check(connection.show_queue("slow").next_seq > 1, "with space again it starts")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daemon", required=True)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="rockdove-full-")
    disk, broker, failed = None, None, True
    try:
        disk = loop_disk.make(folder, DISK_MIB)
        broker = Broker(os.path.abspath(options.daemon), os.path.join(disk.mount_point, "data"),
                        os.path.join(folder, "log"), options=OPTIONS)
        broker.start()
        failed = fills_slowly(broker, disk) + start_on_full_disk(broker, disk) + fills_at_once(broker, disk)
        failed += check(broker.stop() == 0, "clean stop")
        return 1 if failed else 0
    finally:
        if failed and broker:
            print(broker.log_tail(40))
        if broker:
            broker.kill()
        if disk:
            disk.close()
        shutil.rmtree(folder, True)


if __name__ == "__main__":
    sys.exit(main())
