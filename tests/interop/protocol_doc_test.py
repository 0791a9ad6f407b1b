"""docs/protocol.md is complete: each message and enum has a section that names each of its fields and values, the
worked example decodes to what the text says, and the state table lists each frame kind with its number."""
import os
import re
import unittest

import rockdove_raw as raw

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def read_page():
    with open(os.path.join(ROOT, "docs", "protocol.md"), encoding="utf-8") as page:
        return page.read()


def sections(text):
    """'### Title' or '## Title' -> the text below it, up to the next heading."""
    parts = re.split(r"^#{2,3} (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def files():
    return [raw.admin, raw.data, raw.frame_pb2, raw.message, raw.session]


def hex_blocks(text):
    """Each indented block of hex with comments, as bytes."""
    blocks = []
    for block in re.findall(r"(?:^    .*\n)+", text, flags=re.M):
        found = re.findall(r"^ +((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  |$)", block, flags=re.M)
        if found and len(found) == len(block.strip().splitlines()):
            blocks.append(bytes.fromhex(" ".join(found)))
    return blocks


class ProtocolPage(unittest.TestCase):
    def setUp(self):
        self.page = read_page()
        self.sections = sections(self.page)

    def test_every_field_of_every_message_is_in_its_section(self):
        count = 0
        for file in files():
            for name, message in file.DESCRIPTOR.message_types_by_name.items():
                if name == "Frame":
                    continue
                self.assertIn(name, self.sections)
                for field in message.fields:
                    self.assertIn("`%s`" % field.name, self.sections[name], "%s.%s" % (name, field.name))
                    count += 1
        self.assertGreater(count, 150)

    def test_every_value_of_every_enum_is_in_its_section(self):
        for file in files():
            for name, enum in file.DESCRIPTOR.enum_types_by_name.items():
                for value in enum.values:
                    self.assertIn("`%s`" % value.name, self.sections[name], name)

    def test_the_error_list_has_the_right_numbers(self):
        for value in raw.message.ErrorCode.DESCRIPTOR.values:
            self.assertRegex(self.sections["ErrorCode"], r"\| `%s` \| %d \|" % (value.name, value.number))

    def test_the_state_table_lists_every_frame_kind_with_its_number(self):
        table = self.sections["4. Which frame when"]
        for field in raw.Frame.DESCRIPTOR.oneofs_by_name["kind"].fields:
            self.assertRegex(table, r"`%s` (\| )?%d\b" % (field.name, field.number))

    def test_the_worked_example_decodes_to_what_it_says(self):
        blocks = hex_blocks(self.sections["15. Worked example"])
        self.assertEqual(len(blocks), 3)
        frames = []
        for block in blocks:
            self.assertEqual(int.from_bytes(block[:4], "little"), len(block) - 4)
            frames.append(raw.Frame.FromString(block[4:]))
            self.assertEqual(raw.encode(frames[-1]), block)
        hello, publish, confirm = frames
        self.assertEqual((hello.request_id, hello.hello.client_name, hello.hello.producer_id), (1, "demo", "demo-1"))
        self.assertEqual([m.body for m in publish.publish.messages], [b"hello", b"world"])
        self.assertEqual(publish.publish.messages[1].headers[0].value, b"en")
        ids = [raw.message_id(confirm.confirm.id_prefix, seq) for seq in (1, 2)]
        self.assertEqual(ids, ["01JYYNM7000000008000000001", "01JYYNM7000000008000000002"])
        for text in ids:
            self.assertIn(text, self.page)


if __name__ == "__main__":
    unittest.main()
