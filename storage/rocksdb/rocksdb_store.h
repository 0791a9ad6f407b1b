// The MessageStore on a disk: one RocksDB database, with FORMAT, DURABLE and a lock beside it (storage/FORMAT.md).
//
// It opens only what it can prove to be complete (survey.h) and stops at the first failed write, sync or
// background error: nothing is retried, the process recovers by opening again.
#pragma once

#include <memory>
#include <variant>

#include "storage/message_store.h"
#include "storage/rocksdb/open_failure.h"
#include "storage/rocksdb/open_options.h"

namespace rockdove::storage {

struct StoreParts;

// Threads: as MessageStore. Owns the directory's lock while it lives.
// Outcomes: a write or sync that failed is kUnknown; what is refused before it is written is kFailed.
class RocksdbStore final : public MessageStore {
public:
    using Outcome = std::variant<std::unique_ptr<RocksdbStore>, OpenFailure>;

    // Blocks: reads the logs, and flushes what they hold. A refusal leaves the data files as they are.
    static Outcome open(const OpenOptions& options);

    ~RocksdbStore() override;

    [[nodiscard]] const StoreState& opened() const override;
    CommitResult commit(const WriteSet& writes, const CommitStamp& stamp) override;
    CommitResult tick() override;
    Result<void> scan(std::string_view begin, std::string_view end,
                      const std::function<bool(const RecordView&)>& visit) override;
    Result<std::optional<std::string>> get(std::string_view key) override;
    [[nodiscard]] StoreStats stats() const override;
    Result<void> close() override;

    // What open() found and dropped behind the last commit: file and offset of the torn end of a log. Mostly empty.
    [[nodiscard]] const std::string& torn_at() const;

private:
    friend class Opening;
    explicit RocksdbStore(std::unique_ptr<StoreParts> parts);

    const std::unique_ptr<StoreParts> parts_;
};

}  // namespace rockdove::storage
