// Records come from a disk: any bytes are answered by a value or an error, and a value survives being written and read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/record.h"
#include "storage/value.h"
#include "tests/fuzz/require.h"

namespace {

template <class Record>
void try_record(std::string_view bytes) {
    const rockdove::base::Result<Record> record = Record::decode(bytes);
    if (!record) return;
    const std::string once = record->encode();
    const rockdove::base::Result<Record> again = Record::decode(once);
    FUZZ_REQUIRE(again);
    FUZZ_REQUIRE(again->encode() == once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rockdove::storage;
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 19) {
        case 0:
            try_record<NamespaceRecord>(bytes);
            break;
        case 1:
            try_record<QueueRecord>(bytes);
            break;
        case 2:
            try_record<HeadRecord>(bytes);
            break;
        case 3:
            try_record<BlockIndexRecord>(bytes);
            break;
        case 4:
            try_record<BlockStateRecord>(bytes);
            break;
        case 5:
            try_record<ReturnedRecord>(bytes);
            break;
        case 6:
            try_record<DeadRecord>(bytes);
            break;
        case 7:
            try_record<ProducerRecord>(bytes);
            break;
        case 8: {
            const rockdove::base::Result<BlockView> block = read_block(bytes);
            if (!block) break;
            FUZZ_REQUIRE(block->ends.size() == block->header.count);
            FUZZ_REQUIRE(block->ends.empty() || block->ends.back() == bytes.size());
            break;
        }
        case 10:
            try_record<PlacementRecord>(bytes);
            break;
        case 11:
            try_record<ShardCountRecord>(bytes);
            break;
        case 12:
            try_record<OriginRecord>(bytes);
            break;
        case 13:
            try_record<TaskRecord>(bytes);
            break;
        case 14:
            try_record<DedupRecord>(bytes);
            break;
        case 15:
            try_record<PausedKeyRecord>(bytes);
            break;
        case 16:
            try_record<TopicRecord>(bytes);
            break;
        case 17:
            try_record<SubscriptionRecord>(bytes);
            break;
        case 18:
            try_record<LastValueRecord>(bytes);
            break;
        default: {
            const std::string_view key = bytes.substr(0, bytes.size() / 2);
            const std::string_view payload = bytes.substr(key.size());
            unseal(key, payload);  // most likely refused; must not read beyond it
            const std::string sealed = seal(key, payload);
            FUZZ_REQUIRE(unseal(key, sealed) == payload);
        }
    }
    return 0;
}
