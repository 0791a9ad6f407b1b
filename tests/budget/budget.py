"""Instructions that a message costs in the daemon, against the budgets in budgets.json.

Counted by valgrind's callgrind on budget_scenario, as the difference between a long and a short run, so that starting up
does not count. A count differs by less than a percent between runs and machines; a budget allows 5 % more than was
measured when it was written. Better by a tenth: lower the budget, or the next loss will hide in it.

  budget.py ... --update    writes what is measured into the file
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

SHORT, LONG = 5_000, 15_000
SLACK = 1.05


def instructions(options, case, messages):
    store, size = case.split("-")
    with tempfile.TemporaryDirectory(prefix="rockdove-budget-") as folder:
        done = subprocess.run(
            [options.valgrind, "--tool=callgrind", "--callgrind-out-file=" + os.path.join(folder, "out"),
             options.scenario, store, size, str(messages)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ, TMPDIR=folder), check=False, timeout=250)
    found = re.search(r"Collected : (\d+)", done.stdout.decode(errors="replace"))
    if done.returncode != 0 or not found:
        raise SystemExit("%s with %d messages: exit code %d\n%s" % (
            case, messages, done.returncode, done.stdout.decode(errors="replace")))
    return int(found.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--valgrind", default="valgrind")
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--budgets", required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    with open(options.budgets) as file:
        budgets = json.load(file)
    failed = 0
    for case, budget in budgets.items():
        cost = (instructions(options, case, LONG) - instructions(options, case, SHORT)) / (LONG - SHORT)
        good = cost <= budget * SLACK
        failed += not good
        remark = "ok" if good else "FAILED: over the budget"
        if cost < 0.9 * budget:
            remark += "; a tenth below it: lower it"
        print("%-14s %7.0f instructions a message, budget %7d: %s" % (case, cost, budget, remark), flush=True)
        if options.update:
            budgets[case] = round(cost)
    if options.update:
        with open(options.budgets, "w") as file:
            json.dump(budgets, file, indent=4)
            file.write("\n")
    return 1 if failed and not options.update else 0


if __name__ == "__main__":
    sys.exit(main())
