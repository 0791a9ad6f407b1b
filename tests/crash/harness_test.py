"""The kill harness is run against the toy broker: sound it must pass, and with each planted fault it must be found out."""
import concurrent.futures
import os
import subprocess
import sys
import tempfile

import fake_broker

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = {"lose_publish": "I1", "forget_ack": "I7", "forget_producers": "I4", "reuse_sequence": "I4",
            "late_settle": "I8", "change_byte": "I3", "forget_attempts": "I10", "repeat_delivery": "I9"}


def crash_run(plant, starter, seed):
    # Kills tell most about what is stored; the two faults of leases need time to show instead.
    timing = ["--cycles", "5", "--shortest", "5", "--longest", "6"] if plant == "late_settle" else [
        "--cycles", "6", "--shortest", "1", "--longest", "2.5"]
    command = [sys.executable, "-B", os.path.join(HERE, "crash_kill.py"), "--daemon", starter, "--toy", "--rate", "120",
               "--seed", str(seed)] + timing
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180, check=False,
                          env=dict(os.environ, FAKE_BROKER_PLANT=plant or ""))
    return done.returncode, done.stdout.decode()


def found_out(plant, starter):
    """(good, verdict, output). A planted fault shows only if the load meets it, so a second load may look for it; what is
    sound must pass at once."""
    for seed in (5, 6):
        code, output = crash_run(plant, starter, seed)
        verdict = next((line for line in output.splitlines() if line.startswith("verdict: ")), "no verdict")
        if plant is None:
            return code == 0 and verdict == "verdict: 0 violations", verdict, output
        if code == 1 and EXPECTED[plant] in verdict:
            return True, verdict, output
    return False, verdict, output


def main():
    plants = [None] + list(fake_broker.PLANTS)
    failed = False
    with tempfile.TemporaryDirectory(prefix="rockdove-harness-") as folder:
        starter = os.path.join(folder, "fake-rockdoved")
        with open(starter, "w") as script:
            script.write("#!/bin/sh\nexec '%s' -B '%s' \"$@\"\n" % (sys.executable, os.path.join(HERE, "fake_broker.py")))
        os.chmod(starter, 0o755)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for plant, (good, verdict, output) in zip(plants, pool.map(lambda p: found_out(p, starter), plants)):
                print("%-17s %-6s %s" % (plant or "(sound)", "ok" if good else "WRONG", verdict), flush=True)
                if not good:
                    failed = True
                    print(output)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
