"""Damaged data directories, written by the real daemon. Each start must end in one of three ways: everything confirmed is
delivered intact; or exit 65 with a sentence, and no data file changed; or it starts, counts what is damaged, and never
delivers that. Silent loss, a wrong payload or a crash is a failure."""
import argparse
import glob
import hashlib
import os
import random
import shutil
import sys
import tempfile
import threading
import time

from broker import Broker, StartError
from publisher import Publisher, judge
from rockdove_raw import Closed, Connection

EXIT_DAMAGED = 65
MESSAGES = 1200
NOT_DATA = ("OWNER", "OWNER.lock", "LOCK")  # who has the directory open


def build(daemon, folder):
    """A directory with table files, a live log of its own, and MESSAGES confirmed messages; killed, not closed."""
    data = os.path.join(folder, "sound")
    publisher = Publisher("jobs", size=700)
    broker = Broker(daemon, data, os.path.join(folder, "log"))
    try:
        for part in (1, 2, 3):  # what one start leaves in its log, the next puts into tables
            broker.start()
            if part == 1:
                with Connection(broker.address) as connection:
                    connection.create_queue("jobs", lease_ms=60_000)
            publisher.per_frame = 8 if part == 2 else 1  # some blocks are large enough for a blob file, some are not
            publisher.connect(broker.address)
            publisher.run_until_error(60, MESSAGES * part // 3)
            publisher.drain_answers(10)
            publisher.connection.close()
            if part == 2:
                broker.stop()
            else:
                wait_for_mark(data)
                broker.kill()
    finally:
        broker.kill()
    if publisher.open or publisher.refused or len(publisher.confirmed) < MESSAGES:
        raise SystemExit("cannot build the directory: %d confirmed" % len(publisher.confirmed))
    return data, publisher


def wait_for_mark(data):
    """Until the watermark, written about once a second, has come to rest. Damage to a log's very last second looks like the
    torn write of a crash; only the watermark tells them apart."""
    path = os.path.join(data, "DURABLE")
    content, since = None, time.monotonic()
    while time.monotonic() - since < 2.5:
        with open(path, "rb") as file:
            now = file.read()
        if now != content:
            content, since = now, time.monotonic()
        threading.Event().wait(0.1)


def data_files(folder):
    found = {}
    for path, _, files in os.walk(folder):
        for name in files:
            full = os.path.join(path, name)
            if name not in NOT_DATA:
                with open(full, "rb") as file:
                    found[os.path.relpath(full, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def newest(folder, pattern):
    found = [p for p in glob.glob(os.path.join(folder, "**", pattern), recursive=True) if os.path.getsize(p)]
    if not found:
        raise SystemExit("no %s in the directory: %s" % (pattern, sorted(data_files(folder))))
    return max(found, key=lambda p: (os.path.getsize(p) > 0, os.path.basename(p)))


def clip(path, count):
    with open(path, "r+b") as file:
        file.truncate(max(os.path.getsize(path) - count, 0))


def flip(path, offset, bit=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def used_size(path):
    """Without the zeros that a log is preallocated with."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def middle_of_log(part):
    def damage(folder):
        log = newest(folder, "*.log")
        flip(log, int(used_size(log) * part), 3)
    return damage


def remove(pattern):
    return lambda folder: os.unlink(newest(folder, pattern))


def cut_log(folder):
    log = newest(folder, "*.log")
    clip(log, os.path.getsize(log) - used_size(log) // 2)


def zero(pattern):
    def damage(folder):
        path = newest(folder, pattern)
        with open(path, "r+b") as file:
            file.write(bytes(os.path.getsize(path)))
    return damage


def flip_both_marks(folder):
    path = newest(folder, "DURABLE")
    for offset in range(8, os.path.getsize(path), 16):
        flip(path, offset)


# Name -> (damage, whether exit 65 is the only right answer)
CASES = {
    "MANIFEST clipped by 20 bytes": (lambda f: clip(newest(f, "MANIFEST-*"), 20), True),
    "MANIFEST clipped by 60 bytes": (lambda f: clip(newest(f, "MANIFEST-*"), 60), True),
    "MANIFEST clipped by 200 bytes": (lambda f: clip(newest(f, "MANIFEST-*"), 200), True),
    "MANIFEST emptied": (lambda f: clip(newest(f, "MANIFEST-*"), 1 << 30), True),
    "MANIFEST deleted": (remove("MANIFEST-*"), True),
    "CURRENT deleted": (remove("CURRENT"), True),
    "log: a bit flipped at 10 %": (middle_of_log(0.1), True),
    "log: a bit flipped at 50 %": (middle_of_log(0.5), True),
    "log: a bit flipped at 80 %": (middle_of_log(0.8), True),
    "log deleted": (remove("*.log"), True),
    "log cut in the middle": (cut_log, True),
    "log zeroed": (zero("*.log"), True),
    "table deleted": (remove("*.sst"), True),
    "table zeroed": (zero("*.sst"), True),
    "blob file deleted": (remove("*.blob"), True),
    "blob file zeroed": (zero("*.blob"), True),
    "blob file cut by 1 byte": (lambda f: clip(newest(f, "*.blob"), 1), True),
    "DURABLE deleted": (remove("DURABLE"), True),
    "DURABLE damaged in both slots": (flip_both_marks, True),
    "FORMAT deleted": (remove("FORMAT"), True),
    "FORMAT zeroed": (zero("FORMAT"), True),
}


def random_flip(seed):
    def damage(folder):
        rng = random.Random(seed)
        files = sorted(data_files(folder))
        path = os.path.join(folder, rng.choice(files))
        size = used_size(path)
        if size:
            flip(path, rng.randrange(size), rng.randrange(8))
        damage.what = "%s of %d bytes" % (os.path.relpath(path, folder), size)
    damage.what = ""
    return damage


def outcome(daemon, folder, publisher):
    """(verdict, complaints) of starting on a damaged directory."""
    before = data_files(folder)
    broker = Broker(daemon, folder, os.path.join(folder + ".log"))
    try:
        broker.start(20)
    except StartError as error:
        complaints = []
        if error.code != EXIT_DAMAGED:
            complaints.append("exit code %s\n%s" % (error.code, error.log))
        sentence = error.log.strip().splitlines()[-1] if error.log.strip() else ""
        if len(sentence.split()) < 4:
            complaints.append("no sentence says why: %r" % sentence)
        after = data_files(folder)
        changed = {p for p in set(before) | set(after) if before.get(p) != after.get(p)}
        if "nothing was changed" not in sentence:
            # It had begun to work when it met the damage: what lay in tables and blob files must still be there.
            changed = {p for p in changed if p in before and p.endswith((".sst", ".blob"))}
        if changed:
            complaints.append("data files changed: %s" % sorted(changed))
        return "refused: " + sentence[-150:], complaints
    try:
        with Connection(broker.address) as connection:
            damaged = connection.show_queue("jobs").damaged
        try:
            complaints = judge(broker.address, publisher)
        except (AssertionError, Closed, OSError) as error:
            try:  # to stop at the first unreadable file is sound, if it says so
                code = broker.wait_exit(5)
            except StartError:
                code = None
            sentence = " ".join(str(error).split())[:300]
            return "starts, and stops when it reads it, code %s: %s" % (code, sentence), (
                [] if code == EXIT_DAMAGED and "orruption" in sentence else ["it goes on, or ends with another code"])
        if complaints:
            with Connection(broker.address) as connection:
                damaged = connection.show_queue("jobs").damaged
            lost = [c for c in complaints if "lost" in c or "only" in c]
            others = [c for c in complaints if c not in lost]
            if lost and publisher.lost <= damaged:
                return "starts, reports %d damaged, %d are missing" % (damaged, publisher.lost), others
            return "starts", complaints
        return "starts, everything is there", []
    finally:
        broker.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--random", type=int, default=20, help="so many single flipped bits anywhere")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    daemon = os.path.abspath(options.daemon)
    cases = dict(CASES)
    for number in range(options.random):
        cases["random bit, seed %d" % (options.seed + number)] = (random_flip(options.seed + number), False)
    failed = 0
    refused = 0
    with tempfile.TemporaryDirectory(prefix="rockdove-damage-") as folder:
        sound, publisher = build(daemon, folder)
        control = os.path.join(folder, "control")
        shutil.copytree(sound, control)
        verdict, complaints = outcome(daemon, control, publisher)
        if complaints or verdict != "starts, everything is there":
            print("FAILED control: the undamaged directory: %s %s" % (verdict, complaints))
            return 1
        for name, (damage, must_refuse) in cases.items():
            copy = os.path.join(folder, "copy")
            shutil.copytree(sound, copy)
            damage(copy)
            verdict, complaints = outcome(daemon, copy, publisher)
            if must_refuse and not verdict.startswith("refused"):
                complaints = complaints + ["it had to refuse"]
            refused += verdict.startswith("refused")
            what = getattr(damage, "what", "")
            print("%s: %s%s: %s%s" % ("FAILED" if complaints else "ok", name, " (%s)" % what if what else "", verdict,
                                      "".join("\n    " + c for c in complaints)), flush=True)
            failed += bool(complaints)
            shutil.rmtree(copy)
    print("%d cases, %d refused, %d failed" % (len(cases), refused, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
