// A look into a data directory that nobody else has open; nothing is changed: `rockdove inspect DIR`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/message_store.h"
#include "storage/rocksdb/open_failure.h"
#include "storage/rocksdb/open_options.h"

namespace rockdove::storage {

struct InspectedFile {
    std::string name;
    std::uint64_t bytes = 0;
};

// What DURABLE says: how far the store had confirmed when the file was last written.
struct InspectedMark {
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;
    std::uint64_t lsn = 0;
    std::uint64_t confirms = 0;
    bool clean = false;
};

struct InspectedDirectory {
    std::uint32_t format = 0;
    std::uint32_t oldest_reader = 0;
    std::string created_by;
    bool test_clock = false;
    std::optional<InspectedMark> durable;  // empty if missing or damaged
    std::vector<InspectedFile> files;
    // What the records say; of the last commit that can be reached.
    StoreState state;
    std::uint64_t sequence = 0;
    std::string torn_at;                   // where a log stops being readable; mostly empty
    std::optional<OpenFailure> objection;  // why a daemon would not start on it
};

// Any thread. Holds the directory's lock while it lives.
class Inspection {
public:
    using Outcome = std::variant<std::unique_ptr<Inspection>, OpenFailure>;

    // Of the options it uses path, file system, memory and log. Errors: kLocked, kNewerFormat, kUnusable, kIo,
    // kPermission; damage is an error only if FORMAT is not readable, otherwise see `objection`.
    static Outcome open(const OpenOptions& options);

    ~Inspection();

    [[nodiscard]] const InspectedDirectory& directory() const;

    // Records as MessageStore::scan() and get() show them. Error: kInternal, also if nothing can be opened.
    Result<void> scan(std::string_view begin, std::string_view end,
                      const std::function<bool(const RecordView&)>& visit) const;
    Result<std::optional<std::string>> get(std::string_view key) const;

private:
    struct Parts;
    explicit Inspection(std::unique_ptr<Parts> parts);

    const std::unique_ptr<Parts> parts_;
};

}  // namespace rockdove::storage
