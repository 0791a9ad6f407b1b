// A file system in memory that forgets what was not synced, for tests of the store (RELIABILITY 2.0 and R4).
//
// At a chosen operation it takes a picture of what a disk would hold if the power failed in that moment: synced bytes
// of each file, of the others some sectors of 512 bytes and not others, and directory entries only as far as the
// directory was synced. The picture is a file system of its own; the one that was running goes on, so that the
// store on it can end as it likes.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace rockdove::test {

// Any thread; one lock around everything.
class PowerCutFileSystem final : public rocksdb::FileSystem {
public:
    explicit PowerCutFileSystem(std::uint64_t seed);
    ~PowerCutFileSystem() override;

    // The power fails before the n-th operation from now that changes or syncs anything (1: the next). `at_cut` is
    // called in that moment, on the thread of the operation, and must not use this file system.
    void cut_before(std::uint64_t n, std::function<void()> at_cut = {});
    // What the disk holds after the cut; empty if there was none yet.
    std::shared_ptr<PowerCutFileSystem> after_cut();
    // Cuts now.
    std::shared_ptr<PowerCutFileSystem> cut_now();

    // A disk that lies: syncs report success and do nothing. For control runs.
    void ignore_syncs();
    // The n-th operation from now that changes or syncs anything fails, and so does every later one.
    void fail_from(std::uint64_t n);
    void stop_failing();

    // Operations counted so far.
    [[nodiscard]] std::uint64_t operations() const;
    // Content of a file, for tests that damage it. Empty string if there is none.
    std::string content(const std::string& path) const;

    const char* Name() const override { return "PowerCutFileSystem"; }

    rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                        rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                          rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* result,
                                         rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSRandomRWFile>* result,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* result,
                                   rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus FileExists(const std::string& name, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus GetChildren(const std::string& name, const rocksdb::IOOptions& options,
                                  std::vector<std::string>* result, rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus CreateDir(const std::string& name, const rocksdb::IOOptions& options,
                                rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus CreateDirIfMissing(const std::string& name, const rocksdb::IOOptions& options,
                                         rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus DeleteDir(const std::string& name, const rocksdb::IOOptions& options,
                                rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus GetFileSize(const std::string& name, const rocksdb::IOOptions& options, std::uint64_t* size,
                                  rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus GetFileModificationTime(const std::string& name, const rocksdb::IOOptions& options,
                                              std::uint64_t* time, rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options, rocksdb::FileLock** lock,
                               rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus GetTestDirectory(const rocksdb::IOOptions& options, std::string* path,
                                       rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewLogger(const std::string& name, const rocksdb::IOOptions& options,
                                std::shared_ptr<rocksdb::Logger>* result, rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus GetAbsolutePath(const std::string& path, const rocksdb::IOOptions& options, std::string* result,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus IsDirectory(const std::string& path, const rocksdb::IOOptions& options, bool* is_directory,
                                  rocksdb::IODebugContext* debug) override;

private:
    friend class PowerCutFile;
    friend class PowerCutDirectory;

    struct Inode {
        std::string now;     // as programs see it
        std::string synced;  // as it was at the last sync
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;  // full path -> file
    struct NameChange {
        std::string name;
        std::shared_ptr<Inode> inode;  // empty: removed
        bool with_next = false;        // a rename is two changes that happen together
    };

    // With mutex_ held: counts an operation, cuts if it is time. An error if operations are to fail.
    rocksdb::IOStatus begin_change();
    void change_name(const std::string& name, std::shared_ptr<Inode> inode, bool with_next = false);
    void sync_file(Inode& inode);
    void sync_names(const std::string& directory);
    std::shared_ptr<PowerCutFileSystem> survivors();
    std::string torn(const Inode& inode);
    std::shared_ptr<Inode> find(const std::string& name) const;

    mutable std::mutex mutex_;  // RocksDB's background threads write too
    std::mt19937_64 random_;
    Names names_;
    Names synced_names_;
    std::vector<NameChange> unsynced_changes_;
    std::set<std::string> directories_;  // made durable at once: the store has only one, and syncs its parent
    std::set<std::string> locks_;
    std::uint64_t operations_ = 0;
    std::uint64_t cut_before_ = 0;  // 0: never
    std::uint64_t fail_from_ = 0;   // 0: never
    bool ignore_syncs_ = false;
    std::function<void()> at_cut_;
    std::shared_ptr<PowerCutFileSystem> after_cut_;
};

}  // namespace rockdove::test
