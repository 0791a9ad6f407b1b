"""The layer check must find planted violations, each with file and line, and must leave allowed includes alone."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools" / "dev" / "check_layers"

ALLOWED = {
    "protocol/base/result.h": "#include <variant>\n",
    "protocol/frame.cc": '#include "rockdove/v1/frame.pb.h"\n#include "protocol/base/result.h"\n',
    "storage/message_store.h": '#include "protocol/base/result.h"\n',
    "storage/rocksdb/rocksdb_store.cc": '#include <rocksdb/db.h>\n#include "storage/message_store.h"\n',
    "server/core/queue.cc": '#include <boost/container/flat_map.hpp>\n#include "storage/message_store.h"\n',
    "server/runtime/shard.cc": '#include <boost/asio.hpp>\n#include "server/core/queue.h"\n',
    "client/include/rockdove/client.h": "#include <string>\n",
    "client/src/client.cc": '#include "rockdove/client.h"\n#include "protocol/frame.h"\n',
    "tests/contract/store_test.cc": '#include <rocksdb/env.h>\n#include "storage/message_store.h"\n',
}

PLANTED = [
    ("server/core/queue.cc", "#include <boost/asio.hpp>\n"),
    ("server/core/queue.cc", '#include "rockdove/v1/message.pb.h"\n'),
    ("server/core/queue.cc", '#include "server/net/session.h"\n'),
    ("server/core/queue.cc", '#include "storage/rocksdb/rocksdb_store.h"\n'),
    ("server/core/queue.cc", "#include <thread>\n"),
    ("server/core/queue.cc", "auto now = std::chrono::steady_clock::now();\n"),
    ("server/net/session.cc", '#include "storage/rocksdb/rocksdb_store.h"\n'),
    ("server/runtime/shard.cc", "#include <google/protobuf/message.h>\n"),
    ("server/runtime/shard.cc", "#include <rocksdb/db.h>\n"),
    ("server/main.cc", '#include "server/core/queue.h"\n'),
    ("storage/committer.cc", '#include "server/core/queue.h"\n'),
    ("storage/keys.cc", "#include <rocksdb/slice.h>\n"),
    ("protocol/base/error.h", "#include <google/protobuf/message.h>\n"),
    ("protocol/base/error.h", '#include "protocol/frame.h"\n'),
    ("protocol/frame.cc", "#include <boost/asio.hpp>\n"),
    ("client/src/client.cc", '#include "server/core/queue.h"\n'),
    ("client/include/rockdove/client.h", "#include <boost/asio.hpp>\n"),
    ("tools/ctl/main.cc", '#include "storage/message_store.h"\n'),
    ("tests/feature/queue_test.cc", "#include <rocksdb/db.h>\n"),
    ("server/strange/thing.cc", "#include <vector>\n"),
]


def run(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, CHECK, "--root", folder], capture_output=True, text=True)


class LayersTest(unittest.TestCase):
    def test_allowed_includes_pass(self):
        result = run(ALLOWED)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_each_planted_violation_is_found(self):
        for name, line in PLANTED:
            with self.subTest(name=name, line=line):
                files = dict(ALLOWED)
                files[name] = "// A comment above.\n" + line
                result = run(files)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertTrue(f"{name}:2:" in result.stdout or f"{name}:1:" in result.stdout, result.stdout)
                self.assertIn(" 1 forbidden", result.stdout)

    def test_an_empty_tree_is_not_a_pass(self):
        self.assertEqual(run({}).returncode, 2)


if __name__ == "__main__":
    unittest.main()
