"""The other checks of tools/dev must find what they look for, and must leave good code alone."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

DEV = pathlib.Path(__file__).resolve().parents[2] / "tools" / "dev"


def run(check, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, DEV / check, "--root", folder], capture_output=True, text=True)


class CoroutinesTest(unittest.TestCase):
    def check(self, line, code):
        result = run("check_coroutines", {"server/net/a.cc": "// first\n" + line + "\n"})
        self.assertEqual(result.returncode, code, f"{line}\n{result.stdout}")
        if code:
            self.assertIn("server/net/a.cc:2:", result.stdout)

    def test_each_trap_is_found(self):
        for line in ("co_await f({.delay = d, .key = s});",
                     "co_await f(Options{.delay = d});",
                     "co_await f({});",
                     "co_await f(a, {b, c});",
                     "co_await f([s] { return s; });",
                     "co_await f([s](int x) { return s; });",
                     "auto r = co_await f(\n        {.delay = d});",
                     "if (!co_await f({.a = 1})) return;"):
            with self.subTest(line=line):
                self.check(line, 1)

    def test_safe_forms_pass(self):
        for line in ("Options options{.delay = d}; co_await f(options);",
                     "co_await f(Options().delay(d).key(s));",
                     "co_await f([] { return 1; });",
                     "auto frame = co_await stream_.read_frame(limits_.idle_timeout);",
                     "if (!co_await step()) {\n    return Error(ErrorCode::kFull, {});\n}",
                     "// co_await f({.delay = d});",
                     'log("co_await f({})");'):
            with self.subTest(line=line):
                self.check(line, 0)


class SleepsTest(unittest.TestCase):
    def test_each_sleep_is_found(self):
        for name, line in (("tests/unit/a.cc", "std::this_thread::sleep_for(10ms);"),
                           ("tests/unit/a.cc", "  ::usleep(10);"),
                           ("tests/unit/a.cc", "sleep(1);"),
                           ("tests/crash/a.py", "    time.sleep(0.1)"),
                           ("tests/crash/a.sh", "while true; do sleep 1; done"),
                           ("tests/crash/run", "kill -9 $pid; sleep 0.5")):
            with self.subTest(line=line):
                result = run("check_sleeps", {name: "\n" + line + "\n"})
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertIn(f"{name}:2:", result.stdout)

    def test_words_about_sleep_pass(self):
        result = run("check_sleeps", {"tests/unit/a.cc": "// never sleep_for() here\nauto sleepers = 3;\n",
                                      "tests/a.sh": "# sleep 5 would be wrong\n"})
        self.assertEqual(result.returncode, 0, result.stdout)


PROTO = "message Job {\n  string name = 1;\n  oneof kind { Ack ack_it = 2; }\n}\nenum State { READY = 0; }\n"
PAGE = "# Title\n\n## Job\n\n`name`, `ack_it`: see [State](#state)\n\n## State\n\n`READY`\n"


class DocsTest(unittest.TestCase):
    def check(self, page, code, expected=""):
        result = run("check_docs", {"protocol/proto/a.proto": PROTO, "docs/protocol.md": page, "docs/README.md": "x\n"})
        self.assertEqual(result.returncode, code, result.stdout)
        self.assertIn(expected, result.stdout)

    def test_a_complete_page_passes(self):
        self.check(PAGE, 0)

    def test_what_is_missing_is_named(self):
        self.check(PAGE.replace("`name`, ", ""), 1, "Job.name")
        self.check(PAGE.replace("`ack_it`", "`ack`"), 1, "Job.ack_it")
        self.check(PAGE.replace("`READY`", "`READY_`"), 1, "State.READY")
        # In the text, but not in a section about the message.
        self.check(PAGE.replace("`name`, ", "").replace("`READY`", "`READY` `name`"), 1, "Job.name")

    def test_a_broken_link_is_named(self):
        self.check(PAGE + "[gone](gone.md)\n", 1, "gone.md does not exist")
        self.check(PAGE + "[gone](README.md#no-such)\n", 1, "no such heading")


if __name__ == "__main__":
    unittest.main()
