// What the records of a data directory add up to. Reads through a scan function, so that tests can use any store.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/result.h"
#include "storage/keys.h"
#include "storage/message_store.h"

namespace rockdove::inspect {

using Visit = std::function<bool(const storage::RecordView&)>;
using Scan = std::function<base::Result<void>(std::string_view begin, std::string_view end, const Visit& visit)>;

struct QueueContents {
    std::string space;  // its namespace's name
    std::string name;
    base::QueueId id;
    std::string durability;
    bool paused = false;
    std::uint64_t messages = 0;  // neither done nor dead
    std::uint64_t started = 0;   // of these: handed to a consumer
    std::uint64_t returned = 0;  // of these: came back at least once
    std::uint64_t dead = 0;
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;    // of all blocks, what is done in them included
    std::uint64_t damaged = 0;  // records that failed their checksum
};

// Namespaces in the order of their names, queues of each by number.
base::Result<std::vector<QueueContents>> read_contents(const Scan& scan);

// "1/block/16777217/1", for people and for --records.
std::string key_text(std::string_view key);

// Null if the payload is what its key promises, else what is wrong with it.
std::string check_record(const storage::RecordView& record);

struct Verification {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::vector<std::string> damaged;  // key and reason, the first kMostNamed
    std::uint64_t damaged_count = 0;
};
inline constexpr std::size_t kMostNamed = 100;

// Reads every record: checksum, form, and that each block has its index and the other way round.
base::Result<Verification> verify(const Scan& scan);

// One line about a record's payload: "3 messages, 4.1 KiB".
std::string describe_record(const storage::RecordView& record);

}  // namespace rockdove::inspect
