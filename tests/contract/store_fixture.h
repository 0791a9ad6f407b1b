// What the contract test runs on: a way to open a store, and to open it again after a clean or an unclean end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/message_store.h"

namespace rockdove::storage {

struct StoreKind {
    std::string name;
    // Each call of the inner function opens the same place again. The outer one makes a new, empty place.
    std::function<std::function<std::unique_ptr<MessageStore>()>()> make_place;
};

// One per implementation of MessageStore.
const std::vector<StoreKind>& store_kinds();

// A store in a new place, with short ways to commit to it and to read it.
class StoreFixture {
public:
    explicit StoreFixture(const StoreKind& kind) : open_(kind.make_place()) { reopen(); }

    MessageStore& store() { return *store_; }
    // Ends the store without close() and opens it again.
    void reopen() {
        store_.reset();
        store_ = open_();
        lsn_ = store_->opened().last_lsn.value;
    }
    void close() { REQUIRE(store_->close()); }

    CommitOutcome commit(const WriteSet& writes) {
        ++lsn_;
        return store_->commit(writes, {Lsn(lsn_), static_cast<std::int64_t>(1000 + lsn_)}).outcome;
    }
    CommitOutcome put(std::string key, std::string payload) {
        WriteSet writes;
        writes.put(std::move(key), std::move(payload));
        writes.require_sync();
        return commit(writes);
    }
    std::vector<std::pair<std::string, std::string>> scan(std::string_view begin, std::string_view end) {
        std::vector<std::pair<std::string, std::string>> records;
        REQUIRE(store_->scan(begin, end, [&](const RecordView& record) {
            CHECK_FALSE(record.damaged);
            records.emplace_back(record.key, record.payload);
            return true;
        }));
        return records;
    }
    std::optional<std::string> get(std::string_view key) {
        Result<std::optional<std::string>> value = store_->get(key);
        REQUIRE(value);
        return *value;
    }

private:
    std::function<std::unique_ptr<MessageStore>()> open_;
    std::unique_ptr<MessageStore> store_;
    std::uint64_t lsn_ = 0;
};

}  // namespace rockdove::storage
