// Which shard owns which namespace: a table, never a hash, so that adding a shard moves nothing.
//
// Runs on: construction and load() before the shards run; the rest on shard 0's thread.
// Owns:    the table. Borrows the shards, which must outlive it. Shard 0 keeps the records: a namespace of shard 0 is
//          known by its own record there, one of another shard by a placement record (storage/FORMAT.md).
// Errors:  values; after a failed commit of shard 0 nothing becomes durable any more, and the process ends.
#pragma once

#include <boost/asio.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/ids.h"
#include "protocol/base/result.h"
#include "storage/message_store.h"

namespace rockdove::runtime {

namespace asio = boost::asio;

class Shard;

// The number of shards that shard 0's store knows of. Error: kInternal, the record cannot be read.
Result<std::uint32_t> read_shard_count(storage::MessageStore& store);

class Placement {
public:
    // `shards`: by id, at least one. `create`: whether a name that nobody owns gets an owner.
    Placement(std::vector<Shard*> shards, bool create);
    Placement(const Placement&) = delete;
    Placement& operator=(const Placement&) = delete;

    // Reads the table from the stores of all shards, by id. Error: kInternal, a record cannot be read, or the stores
    // contradict each other: a namespace on a shard that the table does not name, or names another one for.
    Result<void> load(std::span<storage::MessageStore* const> stores);

    // Makes the number of shards durable, if it has grown; `done` when it is. To be called before anything is placed.
    void keep_shard_count(std::uint32_t known, std::function<void()> done);

    // The owner. A name that has none goes to the shard with the fewest namespaces, and is staged in the same turn.
    // Errors: kInvalid (not a name), kNotFound (unknown, and none are created).
    Result<Shard*> find(std::string_view name);
    // True once the owner is known for good: nothing may be confirmed for the namespace before.
    [[nodiscard]] bool durable(std::string_view name) const;
    // Completes when durable() may have become true.
    asio::awaitable<void> wait();

    // Namespaces of each shard.
    [[nodiscard]] const std::vector<std::size_t>& counts() const { return counts_; }

private:
    struct Entry {
        ShardId shard;
        bool durable = true;
    };
    Result<void> load_table(storage::MessageStore& store);
    Result<void> check_names(ShardId shard, storage::MessageStore& store);
    void add(std::string name, Entry entry);
    [[nodiscard]] ShardId emptiest() const;

    const std::vector<Shard*> shards_;
    const bool create_;
    std::map<std::string, Entry, std::less<>> table_;
    std::vector<std::size_t> counts_;
    // Never expires; cancelled whenever a placement has become durable.
    asio::steady_timer changed_;
};

}  // namespace rockdove::runtime
