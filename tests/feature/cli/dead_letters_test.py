#!/usr/bin/env python3
"""Dead letters and tasks from the command line, against a real broker.

    dead_letters_test.py --daemon BIN --cli BIN [unittest arguments]
"""
import argparse
import json
import os
import pty
import select
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import BrokerCase, PATIENCE  # noqa: E402


class DeadLetterCase(BrokerCase):
    def kill_messages(self, queue, bodies):
        """Sends and rejects them; gives their ids."""
        self.send_lines(queue, bodies)
        out, _ = self.rockdove("receive", queue, "-n", str(len(bodies)), "--exec", "printf '%s\\n' $ROCKDOVE_ID; exit 65", code=1)
        self.wait_for("the deaths", lambda: self.shown(queue)["started"] == 0)
        return out.decode().split()

    def letters(self, queue, *words):
        return json.loads(self.rockdove("dlq", "show", queue, "-o", "json", *words)[0])["letters"]

    def tasks(self):
        return json.loads(self.rockdove("task", "list", "-o", "json")[0])["tasks"]


class LookAndDelete(DeadLetterCase):
    def test_what_died_is_listed_shown_and_exported(self):
        self.create("q")
        self.create("healthy")
        ids = self.kill_messages("q", ["a", "b", "c"])
        listed = json.loads(self.rockdove("dlq", "list", "-o", "json")[0])["queues"]
        self.assertEqual([(row["queue"], row["dead"], row["reasons"]) for row in listed], [("q", 3, {"rejected": 3})])
        self.assertEqual(self.rockdove("dlq", "list", "--no-headers")[0], b"q\t3\trejected 3\n")
        letters = self.letters("q")
        self.assertEqual([letter["body"] for letter in letters], ["a", "b", "c"])
        self.assertEqual(sorted(letter["id"] for letter in letters), sorted(ids))
        death = letters[0]["deaths"][0]
        self.assertEqual((death["reason"], death["attempt"], death["error"]),
                         ("rejected", 1, "the command ended with exit code 65"))
        self.assertGreaterEqual(death["duration_seconds"], 0)
        self.assertEqual([letter["body"] for letter in self.letters("q", "-n", "1", "--from", "2")], ["b"])
        self.assertEqual(self.letters("q", "--reason", "max_attempts"), [])
        self.rockdove("dlq", "show", "qq", code=3)
        out, talk = self.rockdove("dlq", "export", "q")
        self.assertEqual([json.loads(line)["body"] for line in out.decode().splitlines()], ["a", "b", "c"])
        self.assertIn(b"3 dead letters", talk)

    def test_an_export_has_more_than_one_page(self):
        self.create("q")
        self.kill_messages("q", ["%04d" % i + "x" * 5000 for i in range(1500)])
        out, _ = self.rockdove("dlq", "export", "q")
        self.assertEqual([json.loads(line)["sequence"] for line in out.decode().splitlines()], list(range(1, 1501)))

    def test_letters_are_deleted_only_with_a_yes(self):
        self.create("q")
        self.kill_messages("q", ["a", "b", "c", "d"])
        for words in (["purge", "q"], ["delete", "q", "2"]):
            _, talk = self.rockdove("dlq", *words, stdin=b"q\n", code=2)
            self.assertIn(b"--yes", talk)
            _, talk = self.rockdove("dlq", *words, "--dry-run")
            self.assertIn(b"dead letter", talk)
        self.assertEqual(self.shown("q")["dead"], 4)
        self.rockdove("dlq", "delete", "q", "2", "--yes")
        self.assertEqual([letter["body"] for letter in self.letters("q")], ["a", "c", "d"])
        self.rockdove("dlq", "delete", "q", "2", "3", "--yes", code=8)
        self.rockdove("dlq", "delete", "q", "2", "--yes", code=3)
        self.broker.kill()
        self.broker.start()
        self.assertEqual([letter["body"] for letter in self.letters("q")], ["a", "d"])
        done = json.loads(self.rockdove("dlq", "purge", "q", "--yes", "-o", "json")[0])
        self.assertEqual(done["letters"], 2)
        self.assertEqual(self.shown("q")["dead"], 0)


class Redrive(DeadLetterCase):
    def test_redriven_messages_come_back_under_their_old_id(self):
        self.create("q")
        ids = self.kill_messages("q", ["a", "b", "c"])
        _, talk = self.rockdove("dlq", "redrive", "q", "--dry-run")
        self.assertIn(b"3 messages, reasons: rejected 3.", talk)
        self.assertEqual(self.shown("q")["dead"], 3)
        _, talk = self.rockdove("dlq", "redrive", "q", "--yes")
        self.assertIn(b"Done: 3 moved, 0 failed.", talk)
        self.assertEqual((self.shown("q")["dead"], self.shown("q")["ready"]), (0, 3))
        peeked = json.loads(self.rockdove("queue", "peek", "q", "-o", "json")[0])["messages"]
        self.assertEqual([(m["sequence"], m["id"]) for m in peeked], list(zip([4, 5, 6], sorted(ids))))
        out, _ = self.rockdove("receive", "q", "-n", "3", "--format", "%i %s %a %b\\n")
        self.assertEqual(out.decode().splitlines(),
                         ["%s %d 1 %s" % (ids[i], 4 + i, "abc"[i]) for i in range(3)])

    def test_without_a_terminal_and_without_a_yes_nothing_happens(self):
        self.create("q")
        self.kill_messages("q", ["a"])
        _, talk = self.rockdove("dlq", "redrive", "q", stdin=b"y\n", code=2)
        self.assertIn(b"--yes", talk)
        self.assertEqual(self.shown("q")["dead"], 1)
        self.rockdove("dlq", "redrive", "nowhere", "--yes", code=3)
        self.rockdove("dlq", "redrive", "q", "--to", "nowhere", "--yes", code=3)
        self.rockdove("dlq", "redrive", "q", "--reason", "boredom", "--yes", code=2)

    def on_a_terminal(self, words, answer):
        try:
            pid, terminal = pty.fork()
        except OSError as error:  # a container without /dev/pts
            self.skipTest("no terminal can be made here: %s" % error)
        if pid == 0:
            os.execve(harness.CLI, [harness.CLI, *words], self.env)
        screen = b""
        asked = False
        while select.select([terminal], [], [], PATIENCE)[0]:
            try:
                chunk = os.read(terminal, 1000)
            except OSError:
                break
            if not chunk:
                break
            screen += chunk
            if not asked and b"[y/N] " in screen:
                asked = True
                os.write(terminal, answer)
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), screen.decode()

    def test_on_a_terminal_it_asks_and_shows_progress(self):
        self.create("q")
        self.kill_messages("q", ["a", "b"])
        code, screen = self.on_a_terminal(["dlq", "redrive", "q"], b"n\n")
        self.assertEqual(code, 1, screen)
        self.assertIn("2 messages, reasons: rejected 2.  Back to: q.", screen)
        self.assertEqual(self.shown("q")["dead"], 2)
        code, screen = self.on_a_terminal(["dlq", "redrive", "q"], b"\x03")
        self.assertEqual(code, 130, screen)
        code, screen = self.on_a_terminal(["dlq", "redrive", "q"], b"y\n")
        self.assertEqual(code, 0, screen)
        self.assertIn("2/2", screen)
        self.assertEqual(self.shown("q")["ready"], 2)

    def test_a_redrive_goes_on_after_kill_9_and_loses_nothing(self):
        self.create("q")
        self.create("other")
        self.kill_messages("q", ["line %d" % i for i in range(300)])
        out, _ = self.rockdove("dlq", "redrive", "q", "--to", "other", "--rate", "500/s", "--yes", "--no-wait", "-o", "json")
        task = json.loads(out)["task"]
        self.wait_for("some to move", lambda: self.shown("other")["ready"] > 0)
        self.broker.kill()
        self.broker.start()
        document = json.loads(self.rockdove("task", "watch", str(task), "-o", "json")[0])
        self.assertEqual((document["state"], document["moved"], document["failed"]), ("done", 300, 0))
        self.assertEqual((self.shown("q")["dead"], self.shown("other")["ready"]), (0, 300))
        out, _ = self.rockdove("receive", "other", "-n", "300")
        self.assertEqual(out.decode().splitlines(), ["line %d" % i for i in range(300)])

    def test_a_task_is_watched_and_cancelled(self):
        self.create("q")
        self.kill_messages("q", ["line %d" % i for i in range(50)])
        self.rockdove("dlq", "redrive", "q", "--rate", "1/h", "--yes", "--no-wait")
        task = self.tasks()[0]
        self.assertEqual((task["kind"], task["queue"], task["to"], task["total"]), ("redrive", "q", "q", 50))
        watcher = self.start("task", "watch", str(task["task"]), stderr=subprocess.PIPE)
        self.wait_for("one to move", lambda: self.shown("q")["dead"] == 49)
        watcher.send_signal(signal.SIGINT)
        self.assertEqual(watcher.wait(PATIENCE), 130)
        self.assertIn(b"goes on", watcher.stderr.read())
        self.rockdove("task", "cancel", str(task["task"]))
        self.assertEqual(self.tasks()[0]["state"], "cancelled")
        self.assertEqual((self.shown("q")["dead"], self.shown("q")["ready"]), (49, 1))
        self.rockdove("task", "cancel", str(task["task"]), code=5)
        self.rockdove("task", "show", "77", code=3)
        self.rockdove("task", "watch", str(task["task"]), code=8)

    def test_a_full_target_makes_the_task_wait(self):
        self.create("q")
        self.create("small", "--max-messages", "1")
        self.kill_messages("q", ["a", "b"])
        self.rockdove("dlq", "redrive", "q", "--to", "small", "--yes", "--no-wait")
        self.wait_for("it to wait", lambda: self.tasks()[0]["state"] == "waiting")
        self.assertIn('"small" is full', self.tasks()[0]["text"])
        self.assertEqual(self.rockdove("receive", "small")[0], b"a\n")
        self.wait_for("it to go on", lambda: self.tasks()[0]["state"] == "done")
        self.assertEqual(self.rockdove("receive", "small")[0], b"b\n")


class DeadLetterTo(DeadLetterCase):
    def test_another_queue_gets_what_dies(self):
        self.rockdove("queue", "create", "jobs", "--dead-letter-to", "jobs.dead", code=3)
        self.create("jobs.dead")
        self.create("jobs", "--dead-letter-to", "jobs.dead")
        self.assertEqual(self.shown("jobs")["dead_letter_to"], "jobs.dead")
        self.rockdove("queue", "update", "jobs.dead", "--dead-letter-to", "jobs", code=2)
        ids = self.kill_messages("jobs", ["a"])
        self.assertEqual((self.shown("jobs")["dead"], self.shown("jobs.dead")["ready"]), (0, 1))
        out, _ = self.rockdove("receive", "jobs.dead", "--format", "%i %b")
        self.assertEqual(out.decode(), ids[0] + " a")
        self.rockdove("queue", "update", "jobs", "--dead-letter-to", "")
        self.assertEqual(self.shown("jobs")["dead_letter_to"], "")
        self.kill_messages("jobs", ["b"])
        self.assertEqual(self.shown("jobs")["dead"], 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--cli", required=True)
    options, rest = parser.parse_known_args()
    harness.DAEMON, harness.CLI = options.daemon, options.cli
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
