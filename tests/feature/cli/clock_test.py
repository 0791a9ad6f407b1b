#!/usr/bin/env python3
"""The test clock: days pass in milliseconds, and nothing is waited for.

    clock_test.py --daemon BIN --cli BIN [unittest arguments]
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import BrokerCase, PATIENCE, StartError  # noqa: E402
from rockdove_raw import Connection, Frame, admin, code_name, encode  # noqa: E402

DAY = 86400


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class ClockCase(BrokerCase):
    def show(self):
        return json.loads(self.rockdove("clock", "show", "-o", "json")[0])

    def time(self):
        return seconds(self.show()["time"])

    def advance(self, by):
        document = json.loads(self.rockdove("clock", "advance", by, "-o", "json")[0])
        self.assertTrue(document["test_clock"])
        return seconds(document["time"])

    def restart(self):
        self.broker.kill()
        self.broker.start()

    def metrics(self):
        return urllib.request.urlopen("http://%s/metrics" % self.broker.http, timeout=PATIENCE).read().decode()

    def hold(self):
        """A consumer that holds its first message, and waits for a second one to give both back."""
        return self.start("receive", "q", "-n", "2", "--release", "--wait", "%ds" % PATIENCE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def refused(self, options, code, *words):
        """A start with these options ends with the code, and the last words of the log say why."""
        self.broker.options = list(options)
        with self.assertRaises(StartError) as caught:
            self.broker.start()
        self.broker.process.stdout.close()
        self.assertEqual(caught.exception.code, code)
        for word in words:
            self.assertIn(word, caught.exception.log)


class TestClock(ClockCase):
    OPTIONS = ("--test-clock",)

    def test_time_stands_still_moves_when_told_and_survives_a_restart(self):
        start = self.time()
        self.assertTrue(self.show()["test_clock"])
        self.assertEqual(self.time(), start)
        self.assertEqual(self.advance("90s"), start + 90)
        self.assertEqual(self.advance("3d"), start + 90 + 3 * DAY)
        self.restart()
        self.assertEqual(self.time(), start + 90 + 3 * DAY)
        self.assertIn(b"time stands still", self.rockdove("doctor", code=1)[0])
        self.assertIn("\nrockdove_test_clock 1\n", self.metrics())

    def test_a_delay_of_three_days_takes_no_three_days(self):
        self.create("q")
        self.rockdove("send", "q", "later", "--delay", "3d")
        self.rockdove("send", "q", "now")
        self.advance("71h")
        self.assertEqual(self.rockdove("receive", "q")[0], b"now\n")
        self.assertEqual(self.shown("q")["scheduled"], 1)
        self.restart()
        self.advance("1h")
        self.assertEqual((self.shown("q")["scheduled"], self.shown("q")["ready"]), (0, 1))
        self.assertEqual(self.rockdove("receive", "q")[0], b"later\n")

    def test_a_lease_ends_under_a_consumer_that_is_slow_and_the_backoff_passes(self):
        self.create("q", "--lease", "30s", "--backoff-first", "10s", "--backoff-jitter", "0")
        self.rockdove("send", "q", "job")
        self.hold()
        self.wait_for("the first attempt", lambda: self.shown("q")["started"] == 1)
        self.advance("29s")
        self.assertEqual(self.shown("q")["started"], 1)
        self.advance("1s")
        self.assertEqual((self.shown("q")["started"], self.shown("q")["waiting"]), (0, 1))
        self.advance("9999ms")
        self.assertEqual(self.shown("q")["waiting"], 1)
        self.advance("1ms")
        self.assertEqual(self.shown("q")["waiting"], 0)

    def test_a_lost_consumer_has_its_grace_in_the_time_of_the_test(self):
        self.create("q")
        self.rockdove("send", "q", "job")
        worker = self.hold()
        self.wait_for("the first attempt", lambda: self.shown("q")["started"] == 1)
        worker.kill()
        worker.wait()
        # Its connection is gone; it may come back within the grace, which is time of the broker.
        self.wait_for("the lost connection", lambda: self.shown("q")["consumers"] == 0)
        self.assertEqual(self.shown("q")["started"], 1)
        self.advance("4999ms")
        self.assertEqual(self.shown("q")["started"], 1)
        self.advance("1ms")
        self.assertEqual((self.shown("q")["started"], self.shown("q")["ready"]), (0, 1))

    def test_retries_wait_for_the_test_clock_over_a_restart(self):
        self.create("q", "--backoff-first", "10s", "--backoff-jitter", "0", "--max-attempts", "2")
        self.rockdove("send", "q", "job")
        self.rockdove("receive", "q", "--exec", "exit 1", code=1)
        self.wait_for("the retry", lambda: self.shown("q")["waiting"] == 1)
        self.advance("9s")
        self.restart()
        self.assertEqual(self.shown("q")["waiting"], 1)
        self.advance("1s")
        self.assertEqual(self.shown("q")["ready"], 1)
        self.rockdove("receive", "q", "--exec", "exit 1", code=1)
        self.wait_for("its death", lambda: self.shown("q")["dead"] == 1)

    def test_a_started_message_of_a_killed_broker_comes_back_when_its_lease_ends(self):
        self.create("q", "--lease", "30s", "--backoff-first", "10s", "--backoff-jitter", "0")
        self.rockdove("send", "q", "job")
        worker = self.hold()
        self.wait_for("the first attempt", lambda: self.shown("q")["started"] == 1)
        worker.kill()
        worker.wait()
        self.broker.kill()
        self.broker.start()
        self.advance("1h")
        self.assertEqual(self.shown("q")["ready"], 1)
        self.assertEqual(self.rockdove("receive", "q", "--format", "%b %a")[0], b"job 2")

    def test_a_hundred_years_and_no_more(self):
        self.advance("10000d")
        _, talk = self.rockdove("clock", "advance", "30000d", code=2)
        self.assertIn(b"100 years", talk)
        self.rockdove("clock", "advance", "101y", code=2)
        self.advance("26499d")
        self.rockdove("clock", "advance", "2d", code=2)
        self.rockdove("queue", "list")

    def test_the_directory_is_for_tests_for_good(self):
        self.create("q")
        self.broker.kill()
        self.refused([], 78, "was made with the test clock", "Start with --test-clock")
        self.broker.options = ["--test-clock"]
        self.broker.start()
        self.assertEqual(self.shown("q")["ready"], 0)
        self.broker.kill()
        shown = json.loads(self.rockdove("inspect", self.broker.data_dir, "-o", "json")[0])
        self.assertEqual(shown["directory"]["test_clock"], True)


class SeveralShards(ClockCase):
    OPTIONS = ("--test-clock", "--shards", "2", "--create-on-use")

    def test_all_shards_have_the_same_time(self):
        urls = [self.env["ROCKDOVE_URL"] + "/" + name for name in ("default", "away")]
        for url in urls:
            self.rockdove("send", "q", "later", "--delay", "3d", "--url", url)
        start = self.time()
        self.advance("2d")
        self.rockdove("clock", "advance", "1d", "--url", urls[1])
        self.restart()
        for url in urls:
            shown = json.loads(self.rockdove("clock", "show", "-o", "json", "--url", url)[0])
            self.assertEqual(seconds(shown["time"]), start + 3 * DAY)
            self.assertEqual(self.rockdove("receive", "q", "--url", url)[0], b"later\n")
        self.broker.kill()
        self.refused(["--shards", "2"], 78, "was made with the test clock")
        self.broker.options = ["--test-clock", "--shards", "3"]  # a new one stands at the time of the others
        self.broker.start()
        self.assertEqual(self.time(), start + 3 * DAY)


    def test_advances_past_sixteen_at_a_time_are_refused_and_the_others_made_in_turn(self):
        start = self.time()
        asked = 1000
        times = set()
        with Connection(self.broker.address, timeout=PATIENCE, namespace="away") as connection:
            connection.send_bytes(b"".join(encode(Frame(request_id=100 + i, clock_advance=admin.ClockAdvance(advance_ms=1)))
                                           for i in range(asked)))
            for _ in range(asked):
                answer = connection.receive()
                if answer.WhichOneof("kind") == "error":
                    self.assertEqual(code_name(answer.error.code), "RATE_LIMITED")
                else:
                    times.add(answer.clock_info.time_ms)  # answers may overtake each other
        begin = round(start * 1000)
        self.assertEqual(times, set(range(begin + 1, begin + len(times) + 1)))
        self.assertGreaterEqual(len(times), 16)
        self.assertEqual(round(self.time() * 1000), max(times))


class RealClock(ClockCase):
    def test_real_time_is_shown_and_not_moved(self):
        self.assertFalse(self.show()["test_clock"])
        _, talk = self.rockdove("clock", "advance", "3d", code=1)
        self.assertIn(b"--test-clock", talk)
        self.assertNotIn("rockdove_test_clock", self.metrics())

    def test_a_directory_with_real_times_is_refused_and_unharmed(self):
        self.create("q")
        self.send_lines("q", ["a", "b"])
        self.broker.kill()
        self.refused(["--test-clock"], 78, "was used without the test clock", "Leave out --test-clock")
        self.broker.options = []
        self.broker.start()
        self.assertEqual(self.shown("q")["ready"], 2)


class Dev(unittest.TestCase):
    def test_dev_and_test_clock_go_together(self):
        daemon = subprocess.Popen([harness.DAEMON, "--dev", "--test-clock"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        try:
            url = daemon.stdout.readline().split()[1].decode()
            env = dict(os.environ, ROCKDOVE_URL=url, TERM="dumb")
            run = lambda *words: subprocess.run([harness.CLI, *words], env=env, stdout=subprocess.PIPE,
                                                stdin=subprocess.DEVNULL, timeout=PATIENCE, check=True).stdout
            run("send", "reminders", "call back", "--delay", "3d")
            run("clock", "advance", "3d")
            self.assertEqual(run("receive", "reminders"), b"call back\n")
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)
            daemon.stdout.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--cli", required=True)
    options, rest = parser.parse_known_args()
    harness.DAEMON, harness.CLI = options.daemon, options.cli
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
