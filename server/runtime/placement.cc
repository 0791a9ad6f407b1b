#include "server/runtime/placement.h"

#include <algorithm>

#include "protocol/base/check.h"
#include "protocol/names.h"
#include "server/runtime/shard.h"
#include "storage/keys.h"
#include "storage/record.h"

namespace rockdove::runtime {

namespace {

constexpr std::string_view kDefaultNamespace = "default";

Error contradiction(std::string_view name, const std::string& what) {
    return {ErrorCode::kInternal,
            "namespace \"" + std::string(name) + "\" " + what +
                "; the directories of the shards are not of the same moment. Restore all of them from one copy"};
}

std::string on_shard(ShardId shard) { return "on shard " + std::to_string(shard.value); }

// Calls `take` with name and payload of each record of a kind in the system namespace.
Result<void> for_each_record(storage::MessageStore& store, storage::Tag tag,
                             const std::function<Result<void>(std::string name, std::string_view payload)>& take) {
    Result<void> result;
    const auto [begin, end] = storage::tag_range(storage::kSystemNamespace, tag);
    Result<void> scanned = store.scan(begin, end, [&](const storage::RecordView& record) {
        const Result<storage::KeyView> key = storage::parse_key(record.key);
        if (!key || record.damaged) {
            result = Error(ErrorCode::kInternal, "a record that says where a namespace is cannot be read");
        } else {
            result = take(std::string(key->name), record.payload);
        }
        return result.has_value();
    });
    return result ? scanned : result;
}

}  // namespace

Result<std::uint32_t> read_shard_count(storage::MessageStore& store) {
    const Result<std::optional<std::string>> bytes = store.get(storage::shard_count_key());
    if (!bytes) return Error(bytes.error().code, "the number of shards cannot be read: " + bytes.error().text);
    if (!*bytes) return 1;
    const Result<storage::ShardCountRecord> record = storage::ShardCountRecord::decode(**bytes);
    if (!record) return record.error();
    return record->count;
}

Placement::Placement(std::vector<Shard*> shards, bool create)
    : shards_(std::move(shards)),
      create_(create),
      counts_(shards_.size()),
      changed_(shards_.front()->context(), asio::steady_timer::time_point::max()) {
    // The one namespace that is always there.
    add(std::string(kDefaultNamespace), Entry{ShardId(0)});
}

void Placement::add(std::string name, Entry entry) {
    if (table_.emplace(std::move(name), entry).second) ++counts_[entry.shard.value];
}

Result<void> Placement::load_table(storage::MessageStore& store) {
    return for_each_record(store, storage::Tag::kPlacement, [&](std::string name, std::string_view payload) {
        const Result<storage::PlacementRecord> record = storage::PlacementRecord::decode(payload);
        if (!record) return Result<void>(record.error());
        if (record->shard.value == 0 || record->shard.value >= shards_.size()) {
            return Result<void>(contradiction(name, "is " + on_shard(record->shard) + ", which is not there"));
        }
        add(std::move(name), Entry{record->shard});
        return Result<void>();
    });
}

// Each namespace of a shard must be in the table before it is made: one that is not comes from another time.
Result<void> Placement::check_names(ShardId shard, storage::MessageStore& store) {
    return for_each_record(store, storage::Tag::kNamespace, [&](std::string name, std::string_view) {
        const auto it = table_.find(name);
        if (it == table_.end() && shard.value == 0) {
            add(std::move(name), Entry{shard});
        } else if (it == table_.end() || it->second.shard != shard) {
            const std::string known = it == table_.end() ? "nowhere" : on_shard(it->second.shard);
            return Result<void>(contradiction(name, "is " + on_shard(shard) + ", and should be " + known));
        }
        return Result<void>();
    });
}

Result<void> Placement::load(std::span<storage::MessageStore* const> stores) {
    RD_CHECK(stores.size() == shards_.size());
    if (Result<void> loaded = load_table(*stores[0]); !loaded) return loaded;
    for (std::size_t i = 0; i < stores.size(); ++i) {
        const ShardId shard(static_cast<std::uint16_t>(i));
        if (Result<void> checked = check_names(shard, *stores[i]); !checked) return checked;
    }
    return {};
}

void Placement::keep_shard_count(std::uint32_t known, std::function<void()> done) {
    if (shards_.size() <= known) return done();
    storage::ShardCountRecord record;
    record.count = static_cast<std::uint32_t>(shards_.size());
    shards_[0]->stage_record(storage::shard_count_key(), record.encode(),
                             [done = std::move(done)](const Error* failure) {
                                 if (failure == nullptr) done();
                             });
}

ShardId Placement::emptiest() const {
    const auto least = std::min_element(counts_.begin(), counts_.end());
    return ShardId(static_cast<std::uint16_t>(least - counts_.begin()));
}

Result<Shard*> Placement::find(std::string_view name) {
    if (name.empty()) name = kDefaultNamespace;
    if (const auto it = table_.find(name); it != table_.end()) return shards_[it->second.shard.value];
    if (Result<void> ok = base::check_name("namespace", name); !ok) return ok.error();
    if (!create_) return Error(ErrorCode::kNotFound, "namespace \"" + std::string(name) + "\" does not exist");
    Entry entry;
    entry.shard = emptiest();
    // On shard 0 the namespace's own record, made in this turn, says where it is.
    entry.durable = entry.shard.value == 0;
    add(std::string(name), entry);
    if (!entry.durable) {
        storage::PlacementRecord record;
        record.shard = entry.shard;
        shards_[0]->stage_record(storage::placement_key(name), record.encode(),
                                 [this, name = std::string(name)](const Error* failure) {
                                     if (failure == nullptr) table_.find(name)->second.durable = true;
                                     changed_.cancel();
                                 });
    }
    return shards_[entry.shard.value];
}

bool Placement::durable(std::string_view name) const {
    const auto it = table_.find(name.empty() ? kDefaultNamespace : name);
    return it != table_.end() && it->second.durable;
}

asio::awaitable<void> Placement::wait() { co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable)); }

}  // namespace rockdove::runtime
