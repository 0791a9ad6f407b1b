#!/usr/bin/env python3
"""The command line against a real broker: data in pipes, exit codes, signals, formats.

    cli_test.py --daemon BIN --cli BIN [unittest arguments]
"""
import argparse
import hashlib
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


class SendAndReceive(BrokerCase):
    def test_a_stream_of_lines_survives_kill_9_of_the_broker(self):
        self.create("files")
        lines = ["/usr/share/file %d" % i for i in range(30000)]
        half = len(lines) // 2
        sender = self.start("send", "files", "--each", "line", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        sender.stdin.write("".join(line + "\n" for line in lines[:half]).encode())
        sender.stdin.flush()
        self.wait_for("the first messages", lambda: self.shown("files")["ready"] > 0)
        self.broker.kill()
        sender.stdin.write("".join(line + "\n" for line in lines[half:half + 1000]).encode())
        self.broker.start()
        sender.stdin.write("".join(line + "\n" for line in lines[half + 1000:]).encode())
        sender.stdin.close()
        talk = sender.stderr.read().decode()
        self.assertEqual(sender.wait(PATIENCE), 0, talk)
        self.assertIn("30,000 messages confirmed", talk)
        self.broker.kill()
        self.broker.start()
        self.assertEqual(self.shown("files")["ready"], len(lines))
        out, _ = self.rockdove("receive", "files", "-n", str(len(lines)), "--format", "%b\\n")
        self.assertEqual(sorted(out.decode().splitlines()), sorted(lines))
        self.wait_for("all acks", lambda: self.shown("files")["started"] == 0)
        self.assertEqual(self.shown("files")["ready"], 0)

    def test_bodies_come_from_argument_file_and_stdin(self):
        self.create("q")
        path = os.path.join(self.folder, "body")
        with open(path, "wb") as file:
            file.write(b"from\nfile\n")
        identity, _ = self.rockdove("send", "q", "from argument")
        self.assertRegex(identity.decode(), r"^[0-9A-Z]{26}\n$")
        self.rockdove("send", "q", "@" + path)
        self.rockdove("send", "q", stdin=b"from stdin")
        self.rockdove("send", "q", "-", stdin=b"")
        out, _ = self.rockdove("receive", "q", "-n", "4", "--format", "[%b]")
        self.assertEqual(out, b"[from argument][from\nfile\n][from stdin][]")

    def test_input_is_cut_into_messages(self):
        self.create("q")
        self.rockdove("send", "q", "--each", "json", stdin=b'{"a": 1} [2]\n"x"')
        self.rockdove("send", "q", "--each", "nul", stdin=b"one\n\0two\0")
        self.rockdove("send", "q", "same", "--count", "2", "--quiet")
        out, _ = self.rockdove("receive", "q", "-n", "7", "--format", "%b|")
        self.assertEqual(out, b'{"a": 1}|[2]|"x"|one\n|two|same|same|')

    def test_bytes_of_every_value_come_back(self):
        self.create("q")
        body = bytes(range(256)) * 300
        self.rockdove("send", "q", stdin=body)
        out, _ = self.rockdove("receive", "q", "--format", "%b")
        self.assertEqual(out, body)

    def test_format_shows_properties_and_headers(self):
        self.create("q")
        identity, _ = self.rockdove("send", "q", "hi", "-H", "lang:en", "-H", "to: ada")
        out, _ = self.rockdove("receive", "q", "--format", "%i %q %s %a %h{lang} %h{to} %h{none}%%\\t\\n")
        self.assertEqual(out, identity.strip() + b" q 1 1 en ada %\t\n")

    def test_json_carries_the_whole_message(self):
        self.create("q")
        self.rockdove("send", "q", "hi", "-H", "lang:en", "--content-type", "text/plain", "--correlation-id", "c-1")
        self.rockdove("send", "q", stdin=b"\xff\x00")
        out, _ = self.rockdove("receive", "q", "-n", "2", "-o", "json")
        document = json.loads(out)
        self.assertEqual(document["api_version"], "v1")
        first, second = document["messages"]
        self.assertEqual((first["body"], first["content_type"], first["correlation_id"]), ("hi", "text/plain", "c-1"))
        self.assertEqual(first["headers"], [{"name": "lang", "value": "en"}])
        self.assertEqual(second["body_base64"], "/wA=")

    def test_what_the_queue_refuses_is_reported_as_partly_done(self):
        self.create("small", "--max-messages", "5")
        _, talk = self.rockdove("send", "small", "--each", "line", stdin=b"x\n" * 2000, code=8)
        self.assertIn(b"full", talk)
        self.assertEqual(self.shown("small")["ready"], 5)
        self.rockdove("send", "small", "one more", code=1)

    def test_released_messages_are_back_at_once(self):
        self.create("q", "--max-attempts", "1")
        self.send_lines("q", ["a", "b"])
        for _ in range(2):
            out, _ = self.rockdove("receive", "q", "-n", "2", "--release")
            self.assertEqual(out, b"a\nb\n")
            self.wait_for("the release", lambda: self.shown("q")["ready"] == 2)
        self.assertEqual(self.shown("q")["dead"], 0)

    def test_a_filter_takes_what_matches(self):
        self.create("q")
        for region in ("eu", "us", "eu"):
            self.rockdove("send", "q", region, "-H", "region:" + region)
        out, _ = self.rockdove("receive", "q", "-n", "5", "--wait", "2s", "-q", "--filter", "header.region = 'eu'")
        self.assertEqual(out, b"eu\neu\n")
        self.assertEqual(self.shown("q")["ready"], 1)
        self.rockdove("receive", "q", "--filter", "header.region =", code=2)
        self.rockdove("receive", "q", "--filter", "age > 5m", code=2)

    def test_explicit_start_counts_no_attempt_for_what_waits(self):
        self.create("q", "--max-attempts", "1")
        self.send_lines("q", ["a", "b", "c"])
        child = self.start("receive", "q", "--follow", "--explicit-start", "--exec", "cat; sleep 60", stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        self.wait_for("the first", lambda: self.shown("q")["started"] == 1)
        child.kill()
        child.wait(PATIENCE)
        out, _ = self.rockdove("receive", "q", "-n", "2", "--explicit-start", "--format", "%b %a\n")
        self.assertEqual(out, b"b 1\nc 1\n")

    def test_ack_on_delivery_is_at_most_once(self):
        self.create("q")
        self.send_lines("q", ["a", "b"])
        child = self.start("receive", "q", "--follow", "--ack-on-delivery", "--exec", "exit 1", stderr=subprocess.PIPE)
        self.wait_for("both", lambda: self.shown("q")["acked"] == 2)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)
        self.assertEqual(self.shown("q")["retried"], 0)
        self.assertEqual(self.shown("q")["ready"], 0)
        for words in (["-n", "1"], [], ["--follow", "--explicit-start"]):
            self.rockdove("receive", "q", "--ack-on-delivery", *words, code=2)

    def test_no_message_in_time_is_exit_code_6(self):
        self.create("q")
        out, talk = self.rockdove("receive", "q", "--wait", "100ms", code=6)
        self.assertEqual(out, b"")
        self.assertIn(b"No message", talk)
        out, _ = self.rockdove("receive", "q", "--wait", "100ms", "-o", "json", code=6)
        self.assertEqual(json.loads(out)["messages"], [])


class Signals(BrokerCase):
    def test_ctrl_c_settles_what_was_printed(self):
        self.create("q")
        self.send_lines("q", ["a", "b", "c"])
        child = self.start("receive", "q", "--follow", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        seen = b""
        while seen.count(b"\n") < 3:
            seen += os.read(child.stdout.fileno(), 100)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(PATIENCE), 130)
        self.assertEqual(seen, b"a\nb\nc\n")
        self.assertEqual(self.shown("q")["ready"], 0)
        self.assertEqual(self.shown("q")["started"], 0)
        self.assertEqual(self.shown("q")["acked"], 3)

    def test_a_reader_that_goes_away_loses_nothing(self):
        self.create("q")
        count = 3000
        self.send_lines("q", ["line %05d %s" % (i, "x" * 100) for i in range(count)])
        child = self.start("receive", "q", "-n", str(count), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.read(child.stdout.fileno(), 1000)
        child.stdout.close()
        self.assertEqual(child.wait(PATIENCE), 8)
        self.wait_for("the rest to come back", lambda: self.shown("q")["started"] == 0)
        shown = self.shown("q")
        self.assertGreater(shown["acked"], 0)
        self.assertEqual(shown["ready"] + shown["acked"], count)
        self.assertGreater(shown["ready"], 0)

    def test_ctrl_c_while_sending_reports_what_was_confirmed(self):
        self.create("q")
        child = self.start("send", "q", "--each", "line", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(b"a\nb\n")
        child.stdin.flush()
        self.wait_for("both", lambda: self.shown("q")["ready"] == 2)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(PATIENCE), 130)
        self.assertIn(b"2 messages confirmed", child.stderr.read())


class Exec(BrokerCase):
    def test_exit_codes_of_the_command_settle_the_message(self):
        self.create("q", "--max-attempts", "5", "--backoff-first", "1h", "--backoff-longest", "1h")
        for code in ("0", "65", "1", "75"):  # what is released is the next one again
            self.rockdove("send", "q", code)
        self.rockdove("receive", "q", "-n", "4", "--exec", "exit $(cat)", code=8)
        self.wait_for("the release", lambda: self.shown("q")["started"] == 0)
        shown = self.shown("q")
        self.assertEqual((shown["acked"], shown["dead"], shown["waiting"]), (1, 1, 1))
        self.assertEqual(shown["ready"], 1)
        out, _ = self.rockdove("receive", "q", "--format", "%b %a")
        self.assertEqual(out, b"75 1")

    def test_the_command_gets_body_and_environment(self):
        self.create("q")
        identity, _ = self.rockdove("send", "q", "the body", "-H", "some-name:value")
        command = 'printf "%s " "$ROCKDOVE_ID" "$ROCKDOVE_QUEUE" "$ROCKDOVE_ATTEMPT" "$ROCKDOVE_HEADER_SOME_NAME"; cat'
        out, _ = self.rockdove("receive", "q", "--exec", command)
        self.assertEqual(out, identity.strip() + b" q 1 value the body")

    def test_a_large_body_and_a_command_that_does_not_read_it(self):
        self.create("q")
        self.rockdove("send", "q", stdin=b"x" * 1000000)
        self.rockdove("send", "q", stdin=b"y" * 1000000)
        out, _ = self.rockdove("receive", "q", "--exec", "wc -c")
        self.assertEqual(out.strip(), b"1000000")
        self.rockdove("receive", "q", "--exec", "true")
        self.assertEqual(self.shown("q")["acked"], 2)

    def test_commands_run_side_by_side(self):
        self.create("q")
        self.send_lines("q", ["1", "2", "3"])
        # Each waits until all three have begun: with fewer at a time this would never end.
        command = ('touch "%s/begun.$ROCKDOVE_SEQUENCE"; '
                   'while [ $(ls %s | grep -c begun) -lt 3 ]; do :; done' % (self.folder, self.folder))
        self.rockdove("receive", "q", "-n", "3", "--concurrency", "3", "--exec", command)
        self.assertEqual(self.shown("q")["acked"], 3)


class Administration(BrokerCase):
    def test_settings_are_flags_both_ways(self):
        self.create("q", "--durability", "async", "--lease", "2m", "--max-attempts", "3", "--max-messages", "1,000",
                    "--max-bytes", "1MiB", "--backoff-first", "5s", "--backoff-factor", "3", "--backoff-longest", "1h",
                    "--backoff-jitter", "0.2", "--dead-max", "10", "--reconnect-grace", "1s", "--max-releases", "7")
        shown = self.shown("q")
        self.assertEqual(
            [shown[key] for key in ("durability", "lease_seconds", "max_attempts", "max_messages", "max_bytes",
                                    "backoff_first_seconds", "backoff_factor", "backoff_longest_seconds",
                                    "backoff_jitter", "dead_max", "reconnect_grace_seconds", "max_releases")],
            ["async", 120, 3, 1000, 1048576, 5, 3, 3600, 0.2, 10, 1, 7])
        self.rockdove("queue", "update", "q", "--lease", "1m")
        self.assertEqual(self.shown("q")["lease_seconds"], 60)
        self.assertEqual(self.shown("q")["max_attempts"], 3)
        self.rockdove("queue", "update", "q", code=2)

    def test_lists_are_sorted_cut_and_named(self):
        for queue in ("beta", "alpha", "gamma"):
            self.create(queue)
        self.send_lines("gamma", ["x"])
        self.assertEqual(self.rockdove("queue", "list", "-o", "name")[0], b"alpha\nbeta\ngamma\n")
        out, _ = self.rockdove("queues", "list", "--sort", "-ready", "--limit", "1", "--columns", "name,ready", "--no-headers")
        self.assertEqual(out, b"gamma\t1\n")
        self.assertEqual(self.rockdove("queue", "list", "be", "-o", "name")[0], b"beta\n")
        self.rockdove("queue", "list", "--columns", "nmae", code=2)

    def test_peek_takes_nothing(self):
        self.create("q")
        self.send_lines("q", ["a", "b", "c"])
        out, _ = self.rockdove("queue", "peek", "q", "-n", "2", "-o", "json")
        self.assertEqual([m["body"] for m in json.loads(out)["messages"]], ["a", "b"])
        self.assertEqual(self.shown("q")["ready"], 3)
        self.assertEqual(self.shown("q")["delivered"], 0)

    def test_a_paused_queue_takes_and_does_not_give(self):
        self.create("q")
        self.rockdove("queue", "pause", "q")
        self.rockdove("send", "q", "x")
        self.rockdove("receive", "q", "--wait", "200ms", code=6)
        self.assertEqual(self.shown("q")["state"], "paused")
        self.rockdove("queue", "resume", "q")
        self.assertEqual(self.rockdove("receive", "q")[0], b"x\n")

    def test_nothing_is_destroyed_without_a_yes(self):
        self.create("q")
        self.send_lines("q", ["a", "b"])
        for verb in ("delete", "purge"):
            _, talk = self.rockdove("queue", verb, "q", stdin=b"q\n", code=2)
            self.assertIn(b"--yes", talk)
            _, talk = self.rockdove("queue", verb, "q", "--dry-run")
            self.assertIn(b"2 messages", talk)
        self.assertEqual(self.shown("q")["ready"], 2)
        self.rockdove("queue", "purge", "q", "--yes")
        self.assertEqual(self.shown("q")["ready"], 0)
        self.rockdove("queue", "delete", "q", "--yes")
        self.rockdove("queue", "delete", "q", "--yes", code=3)
        self.rockdove("queue", "delete", "q", "--yes", "--if-exists")

    def answer_on_a_terminal(self, words, answer):
        """Runs with a terminal as stdin, stdout and stderr, answers the question; gives exit code and screen."""
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
            if not asked and screen.rstrip().endswith(b":"):
                asked = True
                os.write(terminal, answer)
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), screen.decode()

    def test_on_a_terminal_the_name_is_asked_for(self):
        self.create("q")
        self.send_lines("q", ["a", "b"])
        code, screen = self.answer_on_a_terminal(["queue", "purge", "q"], b"yes\n")
        self.assertEqual(code, 1, screen)
        self.assertIn("2 messages", screen)
        self.assertEqual(self.shown("q")["ready"], 2)
        code, screen = self.answer_on_a_terminal(["queue", "purge", "q"], b"q\n")
        self.assertEqual(code, 0, screen)
        self.assertEqual(self.shown("q")["ready"], 0)


class Filters(BrokerCase):
    def peek(self, expression, *words, count=1000):
        out, _ = self.rockdove("queue", "peek", "q", "-n", str(count), "--filter", expression, *words, "-o", "json")
        return [message["body"] for message in json.loads(out)["messages"]]

    def test_peek_shows_what_matches(self):
        self.create("q", "--backoff-first", "10m")
        self.rockdove("send", "q", "fails")
        self.rockdove("receive", "q", "--exec", "exit 1", code=1)
        self.wait_for("the retry", lambda: self.shown("q")["waiting"] == 1)
        self.rockdove("send", "q", "urgent", "--priority", "9", "-H", "region:eu", "-H", "tries:12")
        self.rockdove("send", "q", "plain", "-H", "region:us", "-H", "x-id:it's", "--content-type", "text/plain")
        self.rockdove("send", "q", "later", "--delay", "3d", "--correlation-id", "c-7")
        for expression, found in [
                ("priority >= 7", ["urgent"]), ("header.region IN ('eu', 'us')", ["urgent", "plain"]),
                ("header.tries > 5", ["urgent"]), ("header['x-id'] = 'it''s'", ["plain"]),
                ("NOT header.region = 'eu'", ["plain"]), ("header.region IS NULL", ["fails", "later"]),
                ("content_type LIKE 'text/%'", ["plain"]), ("state = 'scheduled' AND visible_at > '2024-02-29'", ["later"]),
                ("state = 'waiting' AND attempts = 1 AND reason IS NOT NULL", ["fails"]), ("age > 1d", []),
                ("age < 1d AND commit_time > '2024-02-29' AND size = 5", ["fails", "plain", "later"]),
                ("correlation_id LIKE 'c-_' OR priority = 9", ["urgent", "later"])]:
            with self.subTest(expression):
                self.assertEqual(self.peek(expression), found)
        self.assertEqual(self.peek("sequence > 1 AND correlation_id IS NULL", "--state", "ready"), ["urgent", "plain"])

    def test_peek_goes_on_until_it_has_found_enough(self):
        self.create("q")
        self.send_lines("q", ["%05d" % i for i in range(7000)])
        self.rockdove("send", "q", "needle", "-H", "find:me")
        self.assertEqual(self.peek("header.find = 'me'", count=1), ["needle"])
        self.assertEqual(self.peek("header.find = 'you'"), [])
        self.assertEqual(self.peek("sequence >= 100 AND sequence < 5000", count=3000), ["%05d" % i for i in range(99, 3099)])
        self.assertEqual(len(self.peek("size = 5", count=7000)), 7000)
        self.broker.kill()  # all on disk
        self.broker.start()
        self.assertEqual(self.peek("header.find = 'me'", "--from", "2000"), ["needle"])

    def test_a_mistake_is_shown_where_it_is(self):
        self.create("q")
        _, talk = self.rockdove("queue", "peek", "q", "--filter", "priority > 3 AND priorty < 5", code=2)
        self.assertIn(b'position 18: unknown property "priorty"; did you mean "priority"?', talk)
        self.rockdove("queue", "peek", "q", "--filter", "", code=2)
        self.rockdove("queue", "peek", "q", "--filter", "priority > 3" + " " * 4084)
        self.rockdove("queue", "peek", "q", "--filter", "priority > 3" + " " * 4085, code=2)


class ExitCodesAndTexts(BrokerCase):
    def test_exit_codes_are_as_documented(self):
        self.create("emails")
        self.rockdove(code=2)
        self.rockdove("sned", code=2)
        self.rockdove("queue", "show", "nothing-like-it", code=3)
        self.rockdove("receive", "nothing-like-it", "--wait", "5s", code=3)
        self.rockdove("send", "nothing-like-it", "x", code=3)
        self.rockdove("queue", "create", "emails", code=5)
        self.rockdove("queue", "create", "emails", "--if-not-exists")
        self.rockdove("queue", "create", "bad name", code=2)
        self.rockdove("errors", "show", "no_such_code", code=3)
        self.rockdove("--help")
        self.rockdove("queue", "create", "--help")

    def test_without_a_broker_it_says_where_it_looked(self):
        address = self.broker.address
        self.broker.kill()
        _, talk = self.rockdove("queue", "list", "--timeout", "2s", code=7)
        self.assertIn(address.encode(), talk)
        out, _ = self.rockdove("doctor", "--timeout", "2s", "-o", "json", code=2)
        self.assertEqual(json.loads(out)["status"], "critical")

    def test_a_mistyped_queue_is_suggested(self):
        self.create("emails")
        for words in (["queue", "show", "email"], ["send", "email", "x"], ["receive", "email"]):
            _, talk = self.rockdove(*words, code=3)
            self.assertIn(b'Did you mean "emails"?', talk)

    def test_priority_and_delay_of_a_send(self):
        self.create("q")
        self.rockdove("send", "q", "later", "--delay", "1h")
        for priority in ("0", "9", "4"):
            self.rockdove("send", "q", "p" + priority, "--priority", priority)
        shown = self.shown("q")
        self.assertEqual((shown["ready"], shown["scheduled"]), (3, 1))
        out, _ = self.rockdove("queue", "peek", "q", "--state", "scheduled", "-o", "json")
        self.assertEqual([item["state"] for item in json.loads(out)["messages"]], ["scheduled"])
        bodies = [self.rockdove("receive", "q", "-n", "1", "-q")[0].strip() for _ in range(3)]
        self.assertEqual(bodies, [b"p9", b"p4", b"p0"])
        self.rockdove("send", "q", "far", "--at", "2199-12-31T23:59:59.5Z")
        out, _ = self.rockdove("queue", "peek", "q", "--state", "scheduled", "-o", "json")
        self.assertIn("2199-12-31T23:59:59.500Z", out.decode())
        for time in ("tomorrow", "2262-12-31T00:00:00Z", "1969-12-31T23:59:59Z"):
            self.rockdove("send", "q", "x", "--at", time, code=2)
        self.rockdove("send", "q", "x", "--at", "2199-12-31T23:59:59Z", "--delay", "1s", code=2)
        self.rockdove("send", "q", "past", "--at", "2020-01-01T00:00:00Z")
        out, _ = self.rockdove("receive", "q", "-n", "1", "-q")
        self.assertEqual(out.strip(), b"past")
        self.rockdove("send", "q", "soon", "--delay", "200ms")
        out, _ = self.rockdove("receive", "q", "-n", "1", "-q")  # waits for it
        self.assertEqual(out.strip(), b"soon")

    def test_keys_stop_with_a_death_and_are_resumed(self):
        self.rockdove("queue", "create", "q", "--key-on-dead", "pause")
        self.rockdove("send", "q", "first", "--key", "c 9")
        self.rockdove("send", "q", "second", "--key", "c 9")
        self.rockdove("receive", "q", "-n", "1", "-q", "--exec", "exit 65", code=1)
        self.rockdove("receive", "q", "-n", "1", "--wait", "0s", code=6)
        out, _ = self.rockdove("queue", "keys", "list", "q", "-o", "json")
        keys = json.loads(out)["keys"]
        self.assertEqual([(key["key"], key["dead_sequence"], key["behind"]) for key in keys], [("c 9", 1, 1)])
        self.rockdove("queue", "keys", "resume", "q", code=2)
        out, _ = self.rockdove("queue", "keys", "resume", "q", "another", "-o", "json")
        self.assertEqual(json.loads(out)["resumed"], 0)
        self.rockdove("queue", "keys", "resume", "q", "c 9")
        out, _ = self.rockdove("receive", "q", "-n", "1", "-q")
        self.assertEqual(out.strip(), b"second")
        self.rockdove("queue", "keys", "list", "nowhere", code=3)

    def test_a_message_is_shown_explained_moved_and_cancelled(self):
        self.create("q")
        out, _ = self.rockdove("send", "q", "later", "--delay", "1h", "--key", "k", "-o", "json")
        message = json.loads(out)["id"]
        out, _ = self.rockdove("message", "show", message, "-o", "json")
        shown = json.loads(out)
        self.assertEqual((shown["state"], shown["gate"], shown["body"], shown["key"]), ("scheduled", "not_due", "later", "k"))
        out, _ = self.rockdove("explain", message)
        self.assertIn(b"it is scheduled, and not due until", out)
        self.rockdove("message", "reschedule", message, code=2)
        self.rockdove("message", "reschedule", message, "--delay", "0s")
        out, _ = self.rockdove("explain", "q", "-o", "json")
        self.assertEqual((json.loads(out)["gate"], json.loads(out)["sequence"]), ("no_consumer", 1))
        out, _ = self.rockdove("explain", "q", "--key", "k", "-o", "json")
        self.assertEqual(json.loads(out)["gate"], "no_consumer")
        self.rockdove("message", "reschedule", message, "--at", "2199-01-01T00:00:00Z", code=5)
        self.rockdove("message", "cancel", message)
        self.rockdove("message", "cancel", message, code=3)
        out, _ = self.rockdove("message", "show", message, "-o", "json", code=3)
        self.assertEqual(json.loads(out)["state"], "gone")
        self.rockdove("message", "show", "nonsense", code=2)
        self.rockdove("explain", "nowhere", code=3)

    def test_messages_expire(self):
        self.rockdove("queue", "create", "q", "--ttl", "1h", "--on-expire", "drop", "--oldest-every", "10")
        shown = self.shown("q")
        self.assertEqual((shown["ttl_seconds"], shown["on_expire"], shown["oldest_every"]), (3600, "drop", 10))
        self.rockdove("send", "q", "x", "--ttl", "1ms")
        while self.shown("q")["expired"] != 1:
            pass
        self.assertEqual(self.shown("q")["dead"], 0)
        self.rockdove("queue", "update", "q", "--on-expire", "dead")
        self.rockdove("send", "q", "x", "--ttl", "1ms")
        while self.shown("q")["dead"] != 1:
            pass

    def test_a_dedup_id_stores_a_message_once(self):
        self.rockdove("queue", "create", "q", "--dedup-window", "1h")
        self.assertEqual((self.shown("q")["dedup_window_seconds"], self.shown("q")["dedup_mode"]), (3600, "window"))
        first, _ = self.rockdove("send", "q", "x", "--dedup-id", "d")
        again, _ = self.rockdove("send", "q", "x", "--dedup-id", "d")
        self.assertEqual(first, again)
        out, _ = self.rockdove("send", "q", "x", "--dedup-id", "d", "-o", "json")
        self.assertTrue(json.loads(out)["duplicate"])
        _, talk = self.rockdove("send", "q", "y", "--dedup-id", "d", code=5)
        self.assertIn(b"dedup_conflict", talk)
        self.assertIn(first.strip(), talk)
        self.assertEqual((self.shown("q")["ready"], self.shown("q")["dedup_ids"]), (1, 1))
        out, _ = self.rockdove("send", "q", "--each", "line", "--dedup-id", "log-{{sha256}}", "-o", "json",
                               stdin=b"a\nb\na\nc\n")
        self.assertEqual((json.loads(out)["confirmed"], json.loads(out)["duplicates"]), (4, 1))
        self.assertEqual(self.shown("q")["ready"], 4)
        out, _ = self.rockdove("queue", "peek", "q", "-n", "10", "-o", "json")
        self.assertIn(b"log-" + hashlib.sha256(b"b").hexdigest().encode(), out)
        self.rockdove("queue", "update", "q", "--dedup-mode", "until_done")
        self.rockdove("queue", "purge", "q", "--yes")
        self.assertNotEqual(self.rockdove("send", "q", "x", "--dedup-id", "d")[0], first)

    def test_a_full_queue_drops_the_oldest(self):
        self.rockdove("queue", "create", "q", "--overflow", "drop_oldest", "--max-messages", "2")
        self.rockdove("send", "q", "--each", "line", stdin=b"a\nb\nc\n")
        shown = self.shown("q")
        self.assertEqual((shown["overflow"], shown["ready"], shown["dropped"]), ("drop_oldest", 2, 1))
        while self.shown("q")["dead"] != 1:
            pass
        out, _ = self.rockdove("dlq", "show", "q", "-o", "json")
        self.assertIn(b"overflow", out)
        self.assertEqual(self.rockdove("receive", "q", "-n", "2", "--format", "%b\n")[0], b"b\nc\n")


class Formats(BrokerCase):
    COMMANDS = [["queue", "list"], ["queue", "show", "q"], ["queue", "create", "new"],
                ["queue", "keys", "list", "q"], ["queue", "keys", "resume", "q", "k"], ["explain", "q"], ["message", "show", "LATER"],
                ["message", "reschedule", "LATER", "--delay", "1h"], ["message", "cancel", "LATER"],
                ["queue", "update", "q", "--lease", "1m"],
                ["queue", "pause", "q"], ["queue", "resume", "q"], ["queue", "peek", "q"], ["queue", "purge", "q", "--yes"],
                ["queue", "delete", "new", "--yes"], ["dlq", "list"], ["dlq", "show", "q"], ["dlq", "export", "q"],
                ["dlq", "purge", "q", "--yes"], ["dlq", "redrive", "q", "--yes"], ["dlq", "redrive", "q", "--dry-run"],
                ["task", "list"], ["task", "show", "1"], ["task", "watch", "1"], ["send", "q", "hello"], ["send", "q", "--each", "line"],
                ["receive", "q"], ["stats"], ["clock", "show"], ["doctor"], ["version"], ["completion", "bash"], ["examples"],
                ["examples", "send"],
                ["topic", "create", "t"], ["topic", "list"], ["topic", "show", "t"], ["topic", "update", "t", "--retain-age", "1h"],
                ["subscription", "create", "t/s", "--subject", "a.>"], ["subscription", "update", "t/s", "--lease", "1m"],
                ["publish", "t", "hello", "--subject", "a.b"], ["publish", "t", "--each", "line"],
                ["subscription", "list"], ["subscription", "show", "t/s"], ["subscription", "lag", "t"],
                ["subscribe", "t", "--durable", "s", "--subject", "a.>", "--lease", "1m"],
                ["subscription", "replay", "t/s", "--from", "1h"], ["subscription", "seek", "t/s", "--to", "end", "--yes"],
                ["subscription", "delete", "t/s", "--yes"], ["topic", "delete", "t", "--yes"],
                ["errors"], ["errors", "show", "full"], ["help"], ["help", "queue", "create"]]

    def test_every_command_of_the_tree_prints_valid_json(self):
        tree = json.loads(self.rockdove("help", "-o", "json")[0])
        # Need a stopped broker, ten seconds, or a test clock; tested elsewhere.
        offline = {"inspect", "recover", "bench", "clock advance"}

        def leaves(command, path):
            if not command["commands"]:
                yield path
            for sub in command["commands"]:
                yield from leaves(sub, path + [sub["name"]])

        nouns = ("queue", "clock", "message", "dlq", "task", "topic", "subscription")
        tried = {" ".join(words[:2]) if words[0] in nouns else words[0] for words in self.COMMANDS}
        tried |= {"dlq delete", "task cancel"}  # need something to do; tested elsewhere
        for path in leaves(tree, []):
            name = " ".join(path[:2]) if path[0] in nouns else path[0]
            self.assertIn(name, tried | offline)
        self.create("q")
        self.rockdove("send", "q", "something")
        later = json.loads(self.rockdove("send", "q", "later", "--delay", "1d", "-o", "json")[0])["id"]
        for words in self.COMMANDS:
            words = [later if word == "LATER" else word for word in words]
            with self.subTest(" ".join(words)):
                codes = {0, 1, 3} if words[0] == "doctor" else {0}
                done = subprocess.run([harness.CLI, *words, "-o", "json"], input=b"a line\n", stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, env=self.env, timeout=PATIENCE, check=False)
                self.assertIn(done.returncode, codes, done.stderr)
                self.assertEqual(json.loads(done.stdout)["api_version"], "v1")

    def bench(self, *words):
        return json.loads(self.rockdove("bench", *words, "--pid", str(self.broker.pid), "-o", "json")[0])

    def test_bench_measures_what_it_says(self):
        quick = ["--seconds", "0.2", "--warm-up", "0.1"]
        for words in (["W1", "--producers", "2"], ["W2"], ["W2", "--ack", "each"], ["W3", "--size", "64", "--rate", "500"]):
            with self.subTest(" ".join(words)):
                line = self.bench(*words, *quick)
                self.assertEqual(line["workload"], words[0])
                self.assertGreater(line["messages"], 0)
                self.assertGreater(line["confirm_p50_us"], 0)
                if words[0] == "W3":
                    self.assertLess(line["messages"], 300)  # 500 a second for a fifth of it
                    self.assertGreater(line["e2e_p50_us"], 0)
        for mode in ("none", "strict"):
            line = self.bench("W4", "--mode", mode, "--subscribers", "2", *quick)
            self.assertEqual((line["subscribers"], line["lost_pct"], line["mode"]), (2, 0, mode))
            self.assertEqual(line["received_total"], 2 * line["published_total"])
            self.assertGreater(line["messages"], 0)
        self.rockdove("bench", "W1", "--mode", "none", code=2)
        beside = self.bench("W3", "--flood", "200", *quick)
        self.assertGreater(beside["flood_rate"], 0)
        self.assertEqual(beside["flood_size"], 200)
        self.assertEqual(self.bench("W6-fill", "--count", "3000", "--size", "50")["messages"], 3000)
        self.assertEqual(self.shown("rockdove.bench")["ready"], 3000)
        self.assertGreater(self.bench("W6-first", "--count", "3000", "--since", "1", "--ack", "none")["first_s"], 0)
        drained = self.bench("W6-drain", "--count", "3000", "--after", "stop", "--stop_ms", "7", "--dir_mb", "2")
        self.assertEqual((drained["messages"], drained["after"], drained["stop_ms"]), (3000, "stop", 7))
        self.assertEqual(self.bench("W6-fill", "--count", "450", "--queues", "3", "--queue", "several")["messages"], 450)
        self.assertEqual([self.shown("several.%d" % i)["ready"] for i in range(3)], [150, 150, 150])
        self.assertGreater(self.bench("W7", "--connections", "3", "--queues", "5")["rss_queues_mb"], 1)
        self.rockdove("bench", "W2", "--ack", "none", code=2)
        self.rockdove("bench", "W3", "--size", "7", code=2)
        self.rockdove("bench", "W7", code=2)

    def test_the_other_formats_work_on_a_list(self):
        self.create("q")
        self.assertTrue(self.rockdove("queue", "list", "-o", "csv")[0].startswith(b"name,state,ready"))
        self.assertIn(b"queues:\n  - name: q\n", self.rockdove("queue", "list", "-o", "yaml")[0])
        self.assertEqual(json.loads(self.rockdove("queue", "list", "-o", "jsonl")[0])["name"], "q")
        self.assertTrue(self.rockdove("queue", "list", "-o", "table")[0].startswith(b"NAME  STATE"))
        self.assertIn(b"DURABILITY", self.rockdove("queue", "list", "-o", "wide")[0])

    def test_completion_knows_commands_flags_and_live_names(self):
        self.create("emails")
        self.create("orders")
        complete = lambda *words: self.rockdove("__complete", "--", *words)[0].decode().split()
        self.assertEqual(complete("que"), ["queue"])
        self.assertIn("show", complete("queue", ""))
        self.assertEqual(complete("queue", "show", "em"), ["emails"])
        self.assertEqual(complete("send", ""), ["emails", "orders"])
        self.rockdove("topic", "create", "events")
        self.rockdove("subscription", "create", "events/audit")
        self.rockdove("subscription", "create", "events/billing")
        self.assertEqual(complete("publish", "e"), ["events"])
        self.assertEqual(complete("subscription", "show", "events/b"), ["events/billing"])
        self.assertEqual(complete("queue", "peek", "events/a"), ["events/audit"])
        self.assertIn("topics", complete("examples", ""))
        self.assertEqual(complete("queue", "create", "x", "--durability", ""), ["sync", "async", "memory"])
        self.assertIn("--max-attempts", complete("queue", "create", "x", "--max"))
        self.assertEqual(self.rockdove("__complete", "queue", "show", "or")[0], b"orders\n")
        script, _ = self.rockdove("completion", "bash")
        subprocess.run(["bash", "-n"], input=script, check=True, timeout=PATIENCE)


class Topics(BrokerCase):
    def lines(self, *words, code=0):
        return self.rockdove(*words, code=code)[0].decode().splitlines()

    def lag(self, name):
        found = json.loads(self.rockdove("subscription", "lag", "-o", "json")[0])["subscriptions"]
        return next(s for s in found if s["name"] == name)

    def test_publish_subscribe_lag_replay_and_seek(self):
        self.rockdove("topic", "create", "orders", "--retain-age", "1d")
        self.rockdove("subscription", "create", "orders/billing", "--subject", "order.*.created")
        self.rockdove("subscription", "create", "orders/audit", "--from", "start")
        said = json.loads(self.rockdove("publish", "orders", "one", "--subject", "order.eu.created", "-o", "json")[0])
        self.assertEqual((said["routed"], said["topic"]), (2, "orders"))
        self.rockdove("publish", "orders", "two", "--subject", "order.eu.deleted")
        self.assertEqual(self.lag("orders/billing")["lag_messages"], 1)
        self.assertEqual(self.lag("orders/audit")["lag_messages"], 2)
        subscribe = ["subscribe", "orders", "--durable"]
        self.assertEqual(self.lines(*subscribe, "billing", "--subject", "order.*.created"), ["one"])
        self.assertEqual(self.lines(*subscribe, "audit", "-n", "2"), ["one", "two"])
        self.assertEqual(self.lag("orders/audit")["lag_seconds"], None)
        self.rockdove("subscription", "replay", "orders/billing", "--from", "1h")
        self.assertEqual(self.lines(*subscribe, "billing", "--subject", "order.*.created"), ["one"])
        self.rockdove("subscription", "seek", "orders/audit", "--to", "2", "--yes")
        self.assertEqual(self.lines(*subscribe, "audit"), ["two"])
        self.assertEqual(self.lines("subscribe", "orders", "--from", "start", "-n", "2"), ["one", "two"])
        explained = json.loads(self.rockdove("explain", said["id"], "--queue", "orders/audit", "-o", "json")[0])
        self.assertEqual(explained["gate"], "message_gone")
        self.rockdove("explain", said["id"], code=2)

    def test_the_events_example_is_killed_and_goes_on(self):
        example = os.path.join(os.path.dirname(harness.CLI), "example_events")
        url = self.env["ROCKDOVE_URL"]

        def service(role):
            child = subprocess.Popen([example, role, url], stdout=subprocess.PIPE, text=True)
            self.children.append(child)
            return child

        def order(subject, body):
            done = subprocess.run([example, "order", subject, body, url], stdout=subprocess.PIPE, text=True, check=True,
                                  timeout=PATIENCE)
            return int(done.stdout.split()[2])

        def listed():
            return json.loads(self.rockdove("subscription", "list", "order-events", "-o", "json")[0])["subscriptions"]

        def lag(name):
            return {s["name"]: s for s in listed()}["order-events/" + name]

        def names():
            return [s["name"].split("/")[1] for s in listed()]

        self.assertEqual(order("order.eu.created", "1"), 0)  # before anybody listens
        audit = service("audit")
        self.assertEqual(audit.stdout.readline(), "order.eu.created 1\n")
        billing = service("billing")
        self.wait_for("billing to be there", lambda: "billing" in names())
        order("order.eu.created", "2")
        self.assertEqual(billing.stdout.readline(), "order.eu.created 2\n")
        self.wait_for("billing to be done", lambda: lag("billing")["lag_messages"] == 0)
        billing.kill()
        billing.wait()
        order("order.us.created", "3")
        order("order.us.deleted", "4")
        self.wait_for("billing's lag", lambda: lag("billing")["lag_messages"] == 1)
        self.broker.kill()
        self.broker.start()
        dashboard = service("dashboard")
        billing = service("billing")
        self.assertEqual(billing.stdout.readline(), "order.us.created 3\n")  # and not the second once more
        self.wait_for("the dashboard to be there", lambda: order("probe", "x") == 2)
        order("order.eu.created", "5")
        self.assertEqual(billing.stdout.readline(), "order.eu.created 5\n")
        news = dashboard.stdout.readline()
        while news == "probe x\n":
            news = dashboard.stdout.readline()
        self.assertEqual(news, "order.eu.created 5\n")
        self.wait_for("billing to be done", lambda: lag("billing")["lag_messages"] == 0)
        self.rockdove("subscription", "replay", "order-events/billing", "--from", "1h")
        again = [billing.stdout.readline() for _ in range(4)]
        self.assertEqual(again, ["order.%s %d\n" % o for o in (("eu.created", 1), ("eu.created", 2), ("us.created", 3),
                                                              ("eu.created", 5))])

    def test_what_is_wrong_is_said(self):
        self.create("q")
        self.rockdove("topic", "create", "t")
        self.assertIn(b"did you mean publish", self.rockdove("send", "t", "x", code=3)[1])
        self.assertIn(b"did you mean send", self.rockdove("publish", "q", "x", code=3)[1])
        self.rockdove("topic", "create", "t", code=5)
        self.rockdove("topic", "create", "q", code=5)
        self.rockdove("topic", "show", "nowhere", code=3)
        self.rockdove("subscription", "show", "t/nobody", code=3)
        self.rockdove("subscription", "show", "nobody", code=2)
        self.rockdove("subscription", "create", "t/s", "--subject", "a..b", code=2)
        self.rockdove("subscription", "create", "t/s", "--from", "yesterday", code=2)
        self.rockdove("publish", "t", "x", "--mandatory", code=1)
        self.assertIn(b"No subscription", self.rockdove("publish", "t", "x")[1])
        self.rockdove("topic", "update", "t", code=2)
        self.rockdove("topic", "delete", "t", code=2)  # nobody there to be asked
        self.rockdove("topic", "delete", "t", "--yes")
        self.rockdove("topic", "delete", "t", code=3)
        self.rockdove("topic", "delete", "t", "--if-exists")


class Offline(BrokerCase):
    def test_inspect_shows_what_is_in_a_stopped_directory(self):
        self.create("files")
        self.send_lines("files", ["line %d" % i for i in range(1000)])
        self.rockdove("receive", "files", "-n", "100", "--format", "")
        self.wait_for("what was prefetched to be back", lambda: self.shown("files")["ready"] == 900)
        self.rockdove("inspect", self.broker.data_dir, code=5)  # the broker has it
        self.broker.kill()
        out, _ = self.rockdove("inspect", self.broker.data_dir, "-o", "json")
        document = json.loads(out)
        self.assertEqual(document["directory"]["format"], 1)
        self.assertEqual([(q["name"], q["messages"], q["durability"]) for q in document["queues"]], [("files", 900, "sync")])
        verified = json.loads(self.rockdove("inspect", self.broker.data_dir, "--verify", "-o", "json")[0])
        self.assertEqual(verified["damaged"], 0)
        self.assertGreater(verified["records"], 3)
        records = self.rockdove("inspect", self.broker.data_dir, "--records", "0/namespace/", "-o", "name")[0]
        self.assertEqual(records, b"0/namespace/default\n")
        self.rockdove("recover", self.broker.data_dir, code=2)
        recovered = json.loads(self.rockdove("recover", self.broker.data_dir, "--accept-loss", "-o", "json")[0])
        self.assertEqual(recovered["needed"], False)
        self.rockdove("inspect", os.path.join(self.folder, "nowhere"), code=3)
        self.broker.start()
        self.assertEqual(self.shown("files")["ready"], 900)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--cli", required=True)
    options, rest = parser.parse_known_args()
    harness.DAEMON, harness.CLI = options.daemon, options.cli
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
