"""What the checks in this folder share: the list of the tree's files, and C++ text without comments and strings."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = {".git", "build", "__pycache__", "third_party"}

_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^()\\ ]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                    re.DOTALL)


def files(root, suffixes):
    """All files of the tree with one of `suffixes`, sorted: what git knows or would add, else what lies there."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True) if (root / ".git").exists() and _has_git() else None
    if listed is not None and listed.returncode == 0:
        names = (root / name for name in listed.stdout.split("\0") if name)
    else:
        names = (path for path in root.rglob("*") if not SKIPPED.intersection(path.relative_to(root).parts))
    return sorted({path for path in names if path.suffix in suffixes and path.is_file()})


def _has_git():
    try:
        return subprocess.run(["git", "--version"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def without_noise(text):
    """`text` with comments and literals blanked out; every line keeps its number."""
    def blank(match):
        found = match.group(0)
        keep = '""' if found[0] in '"R' else ""
        return keep + "\n" * found.count("\n")
    return _NOISE.sub(blank, text)
