"""A small ext4 file system in a file, which can lose power or become full. Needs root and loop devices."""
import contextlib
import fcntl
import os
import struct
import subprocess
import sys

FS_IOC_SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = 2
SKIPPED = 77  # ctest counts it as not run


def why_impossible():
    """None if loop disks work here, else the reason."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices (/dev/loop-control)"
    for tool in ("mkfs.ext4", "mount", "umount"):
        if not any(os.access(os.path.join(d, tool), os.X_OK) for d in ("/sbin", "/usr/sbin", "/bin", "/usr/bin")):
            return "no " + tool
    return None


def skip(reason):
    print("SKIPPED: this machine cannot run it: " + reason, flush=True)
    sys.exit(SKIPPED)


class LoopDisk:
    """Mounted from construction to close(). power_cut() forgets all that was not synced, as a real one would."""

    def __init__(self, folder, mebibytes=1024):
        self.image = os.path.join(folder, "disk.img")
        self.mount_point = os.path.join(folder, "mnt")
        os.makedirs(self.mount_point, exist_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(mebibytes << 20)
        self._run("mkfs.ext4", "-qF", "-m", "0", self.image)
        self.mounted = False
        self.mount()

    def _run(self, *command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
                              env=dict(os.environ, PATH="/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")))
        if done.returncode != 0:
            raise OSError("%s: %s" % (" ".join(command), done.stdout.decode(errors="replace").strip()))

    def mount(self):
        self._run("mount", "-o", "loop", self.image, self.mount_point)
        self.mounted = True

    def unmount(self):
        self._run("umount", self.mount_point)
        self.mounted = False

    def power_cut(self):
        """From here on the file system answers EIO. Kill what uses it, then come_back()."""
        fd = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        finally:
            os.close(fd)

    def come_back(self):
        self.unmount()
        self.mount()

    def free_bytes(self):
        stat = os.statvfs(self.mount_point)
        return stat.f_bavail * stat.f_frsize

    def close(self):
        if self.mounted:
            with contextlib.suppress(OSError):
                self.unmount()


def make(folder, mebibytes=1024):
    """A LoopDisk, or the end of the test as skipped."""
    reason = why_impossible()
    if reason:
        skip(reason)
    try:
        return LoopDisk(folder, mebibytes)
    except OSError as error:
        skip(str(error))
