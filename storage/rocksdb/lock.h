// The lock on a data directory: one process at a time, and the second one learns who the first is.
#pragma once

#include <memory>
#include <variant>

#include "storage/rocksdb/files.h"
#include "storage/rocksdb/open_failure.h"

namespace rockdove::storage {

// Holds the lock until destroyed; the operating system lets it go when the process dies. The file OWNER says the
// holder's process id; it is a file of its own because closing any handle of a locked file drops the lock.
class DirectoryLock {
public:
    using Outcome = std::variant<std::unique_ptr<DirectoryLock>, OpenFailure>;

    // Whether OWNER is written: not by those who promise to change nothing.
    enum class Announce : bool { kNo, kYes };

    // Errors: kLocked with the holder's pid, kPermission, kIo. Creates the lock file if need be.
    static Outcome take(const Directory& directory, Announce announce = Announce::kYes);

    DirectoryLock(Directory directory, rocksdb::FileLock* lock) : directory_(std::move(directory)), lock_(lock) {}
    DirectoryLock(const DirectoryLock&) = delete;
    DirectoryLock& operator=(const DirectoryLock&) = delete;
    ~DirectoryLock();

private:
    const Directory directory_;
    rocksdb::FileLock* const lock_;
};

}  // namespace rockdove::storage
