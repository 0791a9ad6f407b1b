"""One broker and its command line, as processes."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "interop"))
from broker import Broker, StartError  # noqa: E402,F401

DAEMON = None
CLI = None
PATIENCE = 60


class BrokerCase(unittest.TestCase):
    """A fresh broker for each test; the program is run with ROCKDOVE_URL set to it."""

    OPTIONS = ()  # of the daemon

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="rockdove-cli-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.broker = Broker(DAEMON, os.path.join(self.folder, "data"), os.path.join(self.folder, "broker.log"),
                             options=self.OPTIONS)
        self.addCleanup(self.broker.kill)
        self.broker.start()
        self.env = dict(os.environ, ROCKDOVE_URL="rockdove://" + self.broker.address, TERM="dumb")
        self.children = []
        self.addCleanup(self.end_children)

    def end_children(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()

    def rockdove(self, *words, stdin=b"", code=0, timeout=PATIENCE):
        """Runs to the end and checks the exit code; gives (stdout, stderr) as bytes."""
        if words[:1] == ("receive",) and "--wait" not in words:
            words += ("--wait", "%ds" % PATIENCE)  # slow machines are no reason to fail
        done = subprocess.run([CLI, *words], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.env, timeout=timeout, check=False)
        self.assertEqual(done.returncode, code, "rockdove %s\n%s" % (" ".join(words), done.stderr.decode(errors="replace")))
        return done.stdout, done.stderr

    def start(self, *words, **options):
        child = subprocess.Popen([CLI, *words], env=self.env, **options)
        self.children.append(child)
        return child

    def shown(self, queue):
        return json.loads(self.rockdove("queue", "show", queue, "-o", "json")[0])

    def wait_for(self, what, condition):
        """Asks again and again until `condition()` is true."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail("waited in vain for " + what)

    def create(self, queue, *settings):
        self.rockdove("queue", "create", queue, *settings)

    def send_lines(self, queue, lines):
        self.rockdove("send", queue, "--each", "line", stdin="".join(line + "\n" for line in lines).encode())
