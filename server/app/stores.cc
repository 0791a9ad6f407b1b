#include "server/app/stores.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "server/app/logging.h"
#include "server/runtime/placement.h"

namespace rockdove::app {
namespace {

// With less RocksDB writes more than it keeps.
constexpr std::uint64_t kLeastMemory = std::uint64_t{16} << 20;

// True if a store was made in the directory; false if there is none, or its making did not come to its end.
bool has_store(const std::string& directory) {
    const auto exists = [&](const char* name) {
        std::error_code ignored;
        return std::filesystem::exists(std::filesystem::path(directory) / name, ignored);
    };
    return exists("FORMAT") || (!exists("CREATING") && (exists("CURRENT") || exists("DURABLE")));
}

// One more than the highest shard with a directory; shard 0 always counts.
std::uint32_t shards_there(const std::string& data_dir) {
    std::uint32_t count = 1;
    for (std::uint32_t shard = 1; shard < base::kMaxShards; ++shard) {
        if (has_store(shard_directory(data_dir, shard))) count = shard + 1;
    }
    return count;
}

std::string shards_text(std::uint32_t count) { return std::to_string(count) + (count == 1 ? " shard" : " shards"); }

Failure lost(const std::string& data_dir, std::uint32_t shard, std::uint32_t count) {
    return Failure{kExitData, "data directory " + data_dir + " is damaged: it has " + shards_text(count) +
                                  ", and the directory of shard " + std::to_string(shard) + ", " +
                                  shard_directory(data_dir, shard) +
                                  ", is missing or empty. Restore it from a copy; a new one would hide what was in it"};
}

std::optional<Failure> check_there(const std::string& data_dir, std::uint32_t there, std::uint32_t wanted) {
    for (std::uint32_t shard = 1; shard < there; ++shard) {
        if (!has_store(shard_directory(data_dir, shard))) return lost(data_dir, shard, there);
    }
    if (wanted == 0 || wanted >= there) return std::nullopt;
    return Failure{kExitConfig, "server.shards: " + shards_text(wanted) + " asked for, but data directory " + data_dir +
                                    " has " + std::to_string(there) + " (the last one is " +
                                    shard_directory(data_dir, there - 1) +
                                    "), and namespaces do not move; leave the setting out, or ask for " +
                                    std::to_string(there) + " or more"};
}

}  // namespace

std::uint32_t default_shards(unsigned processors) {
    return std::clamp<std::uint32_t>(processors / 4, 1, base::kMaxShards);
}

std::string shard_directory(const std::string& data_dir, std::uint32_t shard) {
    return shard == 0 ? data_dir : data_dir + "/shard-" + std::to_string(shard);
}

std::optional<Failure> Stores::open(storage::OpenOptions options, std::uint32_t wanted, std::uint32_t otherwise) {
    const std::string data_dir = options.path;
    const std::uint32_t there = shards_there(data_dir);
    if (auto failure = check_there(data_dir, there, wanted)) return failure;
    const std::uint32_t count = std::max(wanted != 0 ? wanted : otherwise, there);
    options.memory_bytes = std::max(options.memory_bytes / count, kLeastMemory);
    for (std::uint32_t shard = 0; shard < count; ++shard) {
        options.path = shard_directory(data_dir, shard);
        options.shard = base::ShardId(static_cast<std::uint16_t>(shard));
        if (auto failure = open_one(options)) return failure;
        if (shard > 0) continue;
        options.cluster_id = stores_[0]->opened().cluster_id;
        if (auto failure = check_recorded(data_dir, there)) return failure;
    }
    return std::nullopt;
}

std::optional<Failure> Stores::open_one(const storage::OpenOptions& options) {
    auto opened = storage::RocksdbStore::open(options);
    if (const auto* failure = std::get_if<storage::OpenFailure>(&opened)) {
        return Failure{failure->exit_code(), failure->text};
    }
    auto& store = std::get<std::unique_ptr<storage::RocksdbStore>>(opened);
    if (!store->torn_at().empty()) {
        spdlog::warn(
            "an unfinished write at the end of the log was dropped; nothing confirmed was in it shard={} at={}",
            options.shard.value, field(store->torn_at()));
    }
    stores_.push_back(std::move(store));
    return std::nullopt;
}

// The last shard's directory is missed by nobody else.
std::optional<Failure> Stores::check_recorded(const std::string& data_dir, std::uint32_t there) {
    const base::Result<std::uint32_t> recorded = runtime::read_shard_count(*stores_[0]);
    if (!recorded) return Failure{kExitData, "data directory " + data_dir + ": " + recorded.error().text};
    recorded_ = *recorded;
    if (recorded_ > there) return lost(data_dir, there, recorded_);
    return std::nullopt;
}

base::Result<void> Stores::close() {
    base::Result<void> result;
    for (const auto& store : stores_) {
        if (const base::Result<void> closed = store->close(); !closed && result) result = closed;
    }
    return result;
}

}  // namespace rockdove::app
