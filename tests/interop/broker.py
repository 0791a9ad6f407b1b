"""Starts and stops a rockdoved for the harnesses, always by its own pid."""
import os
import random
import select
import signal
import socket
import subprocess
import time
import urllib.request


# Sanitizers cost time, and memory that is not the broker's: figures are then not judged, or with this factor.
SANITIZED = bool(os.environ.get("ROCKDOVE_SANITIZE"))
SLOW = 10 if SANITIZED else 1


class StartError(Exception):
    """The daemon ended, or was not ready in time. `code` is its exit code, if it ended."""

    def __init__(self, text, code=None, log=""):
        super().__init__(text)
        self.code = code
        self.log = log


def stable_port():
    """A free port that the kernel does not give to outgoing connections: it has to be free at the next start, too."""
    while True:
        port = random.randrange(10_000, 32_000)  # net.ipv4.ip_local_port_range begins above
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Broker:
    """One daemon on one data directory; start() and kill() may alternate as often as one likes.

    The first start picks a free port, later ones use the same, so that clients find it again.
    """

    def __init__(self, binary, data_dir, log_path, wrapper=(), options=(), env=None):
        self.binary = binary
        self.data_dir = data_dir
        self.log_path = log_path
        self.wrapper = list(wrapper)  # such as strace with its options
        self.options = list(options)
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.address = None
        self.http = None
        self.starts = 0

    def launch(self):
        """Starts the process without waiting for it."""
        listen = self.address or "127.0.0.1:%d" % stable_port()
        http = self.http or "127.0.0.1:%d" % stable_port()
        command = self.wrapper + [self.binary, "--data-dir", self.data_dir, "--listen", listen, "--http", http]
        self.starts += 1
        with open(self.log_path, "ab") as log:
            log.write(b"--- start %d\n" % self.starts)
            log.flush()
            self.process = subprocess.Popen(command + self.options, stdout=subprocess.PIPE, stderr=log, env=self.env)

    def start(self, timeout=30.0):
        self.launch()
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30.0):
        """Reads stdout until 'ready rockdove://HOST:PORT http://HOST:PORT'. StartError if it ends before."""
        deadline = time.monotonic() + timeout
        pending = b""
        while True:
            wait = deadline - time.monotonic()
            if wait <= 0 or not select.select([self.process.stdout], [], [], wait)[0]:
                self.kill()
                raise StartError("not ready within %g s" % timeout, None, self.log_tail())
            chunk = os.read(self.process.stdout.fileno(), 4096)
            if not chunk:
                code = self.process.wait(10)
                raise StartError("rockdoved ended with code %d instead of getting ready" % code, code, self.log_tail())
            pending += chunk
            for line in pending.decode(errors="replace").splitlines():
                words = line.split()
                if len(words) >= 3 and words[0] == "ready" and pending.endswith(b"\n"):
                    self.address = words[1].split("//")[-1]
                    self.http = words[2].split("//")[-1]
                    return

    @property
    def pid(self):
        """The daemon's pid, also when a wrapper runs it."""
        if not self.wrapper:
            return self.process.pid
        path = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        with open(path) as children:
            return int(children.read().split()[0])

    def running(self):
        return self.process is not None and self.process.poll() is None

    def freeze(self):
        """SIGSTOP, and waits until no thread runs in user mode any more. What is inside a system call stays there."""
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while any(state not in "TDtXZ" for state in self._thread_states(pid)):
            if time.monotonic() > deadline:
                raise StartError("rockdoved does not stop on SIGSTOP", None, self.log_tail())

    @staticmethod
    def _thread_states(pid):
        states = []
        for task in os.listdir("/proc/%d/task" % pid):
            try:
                with open("/proc/%d/task/%s/stat" % (pid, task)) as stat:
                    states.append(stat.read().rpartition(")")[2].split()[0])
            except OSError:
                pass
        return states

    def kill(self):
        """kill -9; the data directory is left as it is."""
        if self.process is None:
            return
        if self.wrapper and self.running():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except (OSError, IndexError):
                pass
        try:
            self.process.kill()
        except OSError:
            pass
        self.process.wait(30)
        self.process.stdout.close()

    def stop(self, timeout=30.0):
        """SIGTERM, and the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait_exit(timeout)

    def wait_exit(self, timeout):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise StartError("rockdoved did not end within %g s" % timeout, None, self.log_tail()) from None
        self.process.stdout.close()
        return code

    def log_text(self):
        """What this last start has logged."""
        with open(self.log_path, "rb") as log:
            return log.read().rsplit(b"--- start ", 1)[-1].decode(errors="replace")

    def log_tail(self, lines=20):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def resident_bytes(self):
        with open("/proc/%d/status" % self.pid) as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def http_get(self, path, timeout=5.0):
        with urllib.request.urlopen("http://%s%s" % (self.http, path), timeout=timeout) as answer:
            return answer.read().decode()
