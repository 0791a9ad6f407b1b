// The files of a data directory besides RocksDB's own, and small operations on files, all through the one
// rocksdb::FileSystem of the shard (ARCHITECTURE section 3).
#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rockdove::storage {

inline constexpr char kFormatName[] = "FORMAT";
inline constexpr char kDurableName[] = "DURABLE";
inline constexpr char kLockName[] = "OWNER.lock";    // locked by the process that has the directory open
inline constexpr char kOwnerName[] = "OWNER";        // that process's id
inline constexpr char kCreatingName[] = "CREATING";  // the directory is being created: nothing was confirmed yet
inline constexpr char kAuditName[] = "AUDIT";        // one line for each loss that was accepted
inline constexpr char kTempSuffix[] = ".tmp";

// One directory, seen through a file system. Any thread. Copies are cheap.
class Directory {
public:
    Directory(std::shared_ptr<rocksdb::FileSystem> file_system, std::string path)
        : file_system_(std::move(file_system)), path_(std::move(path)) {}

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] rocksdb::FileSystem& file_system() const { return *file_system_; }
    [[nodiscard]] const std::shared_ptr<rocksdb::FileSystem>& shared_file_system() const { return file_system_; }
    [[nodiscard]] std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

    [[nodiscard]] bool exists(std::string_view name) const;
    // Names in it, without "." and "..", sorted.
    rocksdb::IOStatus list(std::vector<std::string>& names) const;
    // NotFound or PathNotFound if there is no such file.
    rocksdb::IOStatus read(std::string_view name, std::string& content) const;
    // Creates or overwrites the file in place. Not synced: for what may be lost or torn.
    rocksdb::IOStatus write(std::string_view name, std::string_view content) const;
    // After it returns OK the file has this content, also after a power cut; before, the old one.
    rocksdb::IOStatus replace(std::string_view name, std::string_view content) const;
    // Adds to the end of a file (made if need be), and syncs.
    rocksdb::IOStatus append(std::string_view name, std::string_view content) const;
    rocksdb::IOStatus remove(std::string_view name) const;
    // Makes creations, renames and removals in it outlast a power cut.
    rocksdb::IOStatus sync() const;

private:
    std::shared_ptr<rocksdb::FileSystem> file_system_;
    std::string path_;
};

// Number of a write-ahead log from its name ("000012.log"), or nothing.
std::optional<std::uint64_t> wal_number(std::string_view name);
// Number of a MANIFEST from its name, or from the content of CURRENT ("MANIFEST-000005\n").
std::optional<std::uint32_t> manifest_number(std::string_view name);
std::string manifest_name(std::uint32_t number);
// True for names that RocksDB gives to its files.
bool is_rocksdb_name(std::string_view name);
// True for a status that says that the file is not there.
bool is_missing(const rocksdb::Status& status);

}  // namespace rockdove::storage
