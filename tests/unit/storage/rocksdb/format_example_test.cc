// The worked example of storage/FORMAT.md, byte for byte: a change here is a change of the format.
#include <catch2/catch.hpp>

#include "storage/keys.h"
#include "storage/record.h"
#include "storage/rocksdb/durable_mark.h"
#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/meta_record.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

std::string hex(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (!text.empty()) text += ' ';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

TEST_CASE("the worked example of FORMAT.md is what the program writes", "[storage][format]") {
    const std::int64_t time_ms = 1'700'000'000'000;
    CHECK(hex(meta_key()) == "00 00 00 00 6d");
    const MetaRecord meta{3, 17, 0x1122334455667788, time_ms, 16};
    CHECK(hex(seal(meta_key(), meta.encode())) ==
          "01 03 00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 88 77 66 55 44 33 22 11 00 68 e5 cf 8b 01 00 00 "
          "10 00 00 00 00 00 00 00 ed fb ba 42");

    const std::string key = block_key(NamespaceId(1), QueueId(2), Sequence(41));
    CHECK(hex(key) == "00 00 00 01 62 00 00 00 02 04 00 00 00 00 00 00 00 29");
    std::string block(kBlockHeaderBytes, '\0');
    for (const std::string message : {"\x0a\x02hi", "\x0a\x01!"}) {
        block.push_back(kMessageTag);
        block.push_back(static_cast<char>(message.size()));
        block += message;
    }
    write_block_header(block, {2, 0, time_ms});
    CHECK(hex(seal(key, block)) ==
          "01 02 00 00 00 00 00 00 00 00 68 e5 cf 8b 01 00 00 7a 04 0a 02 68 69 7a 03 0a 01 21 3c cd c3 98");

    const std::string index_key = block_index_key(NamespaceId(1), QueueId(2), Sequence(41));
    CHECK(hex(index_key) == "00 00 00 01 69 00 00 00 02 04 00 00 00 00 00 00 00 29");
    const BlockIndexRecord index{2, 11, time_ms, {}, {}, {}, {}, false, {}, {}, {}, 0};
    CHECK(hex(seal(index_key, index.encode())) == "01 02 0b 80 d0 95 ff bc 31 57 23 5d b2");

    DurableMark mark;
    mark.generation = 9;
    mark.epoch = 3;
    mark.manifest_number = 5;
    mark.manifest_bytes = 472;
    mark.sequence = 61;
    mark.lsn = 17;
    mark.confirms = 20;
    mark.clean = true;
    CHECK(hex(encode_mark(mark)) ==
          "52 44 4d 4b 01 00 01 00 09 00 00 00 00 00 00 00 03 00 00 00 05 00 00 00 d8 01 00 00 00 00 00 00 "
          "3d 00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 14 00 00 00 00 00 00 00 00 00 00 00 1d 94 85 0e");

    FormatFile format;
    format.created_by = "0.1.0";
    format.cluster_id = "6f1ed002ab5595859014ebf0951522d9";
    CHECK(format.encode() ==
          "rockdove data directory\nformat 1\noldest_reader 1\ncreated_by 0.1.0\n"
          "cluster_id 6f1ed002ab5595859014ebf0951522d9\nshard 0\nchecksum 6cf94ef5\n");
}

}  // namespace
}  // namespace rockdove::storage
