// What one commit changes: an ordered list of puts and removals, and whether anybody waits for the disk.
//
// Filled by the shard's thread, then handed over whole to the commit thread. Values are the record's payload
// only: the store adds format byte, key binding and checksum (storage/FORMAT.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rockdove::storage {

// Bytes shared between a write set, the in-memory window and deliveries; never changed once staged.
using SharedBytes = std::shared_ptr<const std::string>;

class WriteSet {
public:
    enum class Kind : std::uint8_t { kPut, kRemove, kRemoveRange };
    struct Op {
        Kind kind;
        std::string key;
        std::string value;   // kPut: payload, unless `shared`; kRemoveRange: end of the range, excluded
        SharedBytes shared;  // kPut: payload, if set
        [[nodiscard]] const std::string& payload() const { return shared ? *shared : value; }
    };

    void put(std::string key, std::string payload) {
        bytes_ += key.size() + payload.size();
        ops_.push_back(Op{Kind::kPut, std::move(key), std::move(payload), nullptr});
    }
    void put(std::string key, SharedBytes payload) {
        bytes_ += key.size() + payload->size();
        ops_.push_back(Op{Kind::kPut, std::move(key), {}, std::move(payload)});
    }
    void remove(std::string key) {
        bytes_ += key.size();
        ops_.push_back(Op{Kind::kRemove, std::move(key), {}, nullptr});
    }
    // Removes [begin, end).
    void remove_range(std::string begin, std::string end) {
        bytes_ += begin.size() + end.size();
        ops_.push_back(Op{Kind::kRemoveRange, std::move(begin), std::move(end), nullptr});
    }
    // Somebody's confirm waits until this commit is on disk. Without it the commit is done once written
    // to the operating system.
    void require_sync() { sync_ = true; }

    [[nodiscard]] bool sync() const { return sync_; }
    [[nodiscard]] bool empty() const { return ops_.empty(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] const std::vector<Op>& ops() const { return ops_; }
    // Ready for reuse; keeps capacity.
    void clear() {
        ops_.clear();
        bytes_ = 0;
        sync_ = false;
    }

private:
    std::vector<Op> ops_;
    std::size_t bytes_ = 0;
    bool sync_ = false;
};

}  // namespace rockdove::storage
