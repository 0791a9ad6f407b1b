#include "storage/rocksdb/opening.h"

#include <algorithm>
#include <utility>

#include "storage/rocksdb/local_file_system.h"
#include "storage/rocksdb/parts.h"
#include "storage/rocksdb/status.h"

namespace rockdove::storage {
namespace {

using Reason = OpenFailure::Reason;

std::string without_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// For writing: as directory_of(), but with logs that sync quickly.
Directory writable_directory_of(const OpenOptions& options) {
    std::string path = without_slashes(options.path);
    return {options.file_system ? options.file_system : make_local_file_system(path), std::move(path)};
}

}  // namespace

Directory directory_of(const OpenOptions& options) {
    return {options.file_system ? options.file_system : rocksdb::FileSystem::Default(), without_slashes(options.path)};
}

std::variant<FormatFile, OpenFailure> read_format(const Directory& directory) {
    std::string content;
    const rocksdb::IOStatus status = directory.read(kFormatName, content);
    if (status.ok()) return FormatFile::decode(directory.file(kFormatName), content);
    const Reason reason = is_missing(status)             ? Reason::kUnusable
                          : is_permission_denied(status) ? Reason::kPermission
                                                         : Reason::kIo;
    return OpenFailure{reason, describe("read FORMAT of " + directory.path(), status)};
}

Opening::Opening(const OpenOptions& options)
    : options_(options),
      directory_(writable_directory_of(options)),
      parts_(std::make_unique<StoreParts>(directory_, options)) {}

RocksdbStore::Outcome Opening::run() {
    if (!options_.file_system) {
        if (Failure failure = check_local_path(directory_.path())) return *failure;
    }
    std::variant<Place, OpenFailure> place = look_at(directory_);
    if (std::holds_alternative<OpenFailure>(place)) return std::get<OpenFailure>(place);
    if (std::get<Place>(place) != Place::kStore && !options_.create_if_missing) {
        return OpenFailure{Reason::kUnusable, "data directory " + directory_.path() + " does not exist, or is empty"};
    }
    if (std::get<Place>(place) == Place::kAbsent) {
        if (Failure failure = make_directory()) return *failure;
    }
    if (Failure failure = take_lock()) return *failure;
    place = look_at(directory_);  // the one who had the lock before may have changed it
    if (std::holds_alternative<OpenFailure>(place)) return std::get<OpenFailure>(place);
    return finish(std::get<Place>(place) == Place::kStore ? open_existing() : create());
}

RocksdbStore::Outcome Opening::finish(Failure failure) {
    if (failure) return *std::move(failure);
    return std::unique_ptr<RocksdbStore>(new RocksdbStore(std::move(parts_)));
}

Opening::Failure Opening::io_failure(const std::string& doing, const rocksdb::Status& status) const {
    const Reason reason = is_permission_denied(status) ? Reason::kPermission : Reason::kIo;
    return OpenFailure{reason, describe(doing + " " + directory_.path(), status)};
}

Opening::Failure Opening::make_directory() {
    const std::string& path = directory_.path();
    rocksdb::FileSystem& file_system = directory_.file_system();
    rocksdb::IOStatus status = file_system.CreateDirIfMissing(path, rocksdb::IOOptions(), nullptr);
    if (!status.ok()) return io_failure("create data directory", status);
    const std::size_t slash = path.find_last_of('/');
    const Directory parent(directory_.shared_file_system(),
                           slash == std::string::npos ? "." : path.substr(0, slash + 1));
    status = parent.sync();
    if (!status.ok()) return io_failure("sync the parent of data directory", status);
    return std::nullopt;
}

Opening::Failure Opening::take_lock() {
    DirectoryLock::Outcome lock = DirectoryLock::take(directory_);
    if (auto* failure = std::get_if<OpenFailure>(&lock)) return *failure;
    parts_->lock = std::get<std::unique_ptr<DirectoryLock>>(std::move(lock));
    return std::nullopt;
}

Opening::Failure Opening::check_format() {
    std::variant<FormatFile, OpenFailure> format = read_format(directory_);
    if (auto* failure = std::get_if<OpenFailure>(&format)) return *failure;
    format_ = std::get<FormatFile>(std::move(format));
    if (format_.shard != options_.shard) {
        return OpenFailure{Reason::kUnusable, "data directory " + directory_.path() + " belongs to shard " +
                                                  std::to_string(format_.shard.value) + ", not to shard " +
                                                  std::to_string(options_.shard.value)};
    }
    if (Failure failure = check_clock()) return failure;
    if (options_.cluster_id.empty() || format_.cluster_id == options_.cluster_id) return std::nullopt;
    return OpenFailure{Reason::kDamaged, "data directory " + directory_.path() +
                                             " belongs to another broker (cluster id " + format_.cluster_id +
                                             ", expected " + options_.cluster_id +
                                             "); nothing was changed. Put back the directory that was there"};
}

Opening::Failure Opening::check_clock() const {
    if (format_.test_clock == options_.test_clock) return std::nullopt;
    const std::string name = "data directory " + directory_.path();
    if (options_.test_clock) {
        return OpenFailure{Reason::kClock,
                           name +
                               " was used without the test clock, and moving its time would make everything in it "
                               "expire; nothing was changed. Leave out --test-clock, or give it a directory of its "
                               "own (--data-dir), or one that is thrown away (--dev)"};
    }
    return OpenFailure{Reason::kClock,
                       name +
                           " was made with the test clock, and its times are not real; nothing was changed. Start "
                           "with --test-clock, or on another directory (--data-dir)"};
}

Opening::Failure Opening::check_free_space() {
    std::uint64_t free = 0;
    const rocksdb::IOStatus status =
        directory_.file_system().GetFreeSpace(directory_.path(), rocksdb::IOOptions(), &free, nullptr);
    if (status.IsNotSupported()) return std::nullopt;
    if (!status.ok()) return io_failure("ask for the free space of", status);
    if (free >= options_.min_free_bytes) return std::nullopt;
    return OpenFailure{Reason::kIo, "data directory " + directory_.path() + " has " + mebibytes(free) +
                                        " free on its disk, and " + mebibytes(options_.min_free_bytes) +
                                        " are needed to start; make room"};
}

Opening::Failure Opening::open_existing() {
    if (Failure failure = check_format()) return failure;
    if (Failure failure = check_free_space()) return failure;
    const Survey found = survey(directory_, options_);
    if (found.objection) return found.objection;
    // From here on files change. First of all it is no longer "closed cleanly at that sequence".
    rocksdb::Status status = parts_->mark_file.open(directory_, *found.mark);
    DurableMark mark = *found.mark;
    mark.clean = false;
    if (status.ok()) status = parts_->mark_file.write(mark);
    if (!status.ok()) return io_failure("write DURABLE of", status);
    if (status = remove_spare_logs(directory_); !status.ok()) return io_failure("clear", status);
    if (found.manifest_end) parts_->database.shorten_manifest(*found.manifest_end);
    status = parts_->database.open(Database::Mode::kWrite, found.last, found.torn);
    if (!status.ok()) return io_failure("open", status);
    const Result<std::optional<MetaRecord>> meta = parts_->database.meta();
    if (!meta || *meta != found.last) {
        return OpenFailure{Reason::kDamaged, "data directory " + directory_.path() +
                                                 " changed between its check and its opening: the last commit is not " +
                                                 std::to_string(found.last.lsn)};
    }
    parts_->torn_at = found.torn_at;
    if (Failure failure = begin_epoch(found.last, parts_->mark_file.last())) return failure;
    status = parts_->write_mark();
    if (!status.ok()) return io_failure("write DURABLE of", status);
    if (directory_.exists(kCreatingName)) {  // the creation was cut off at its very end
        status = directory_.remove(kCreatingName);
        if (status.ok()) status = directory_.sync();
        if (!status.ok()) return io_failure("finish the creation of", status);
    }
    return std::nullopt;
}

Opening::Failure Opening::create() {
    if (Failure failure = check_free_space()) return failure;
    rocksdb::Status status = directory_.replace(kCreatingName, "nothing was confirmed from this directory yet\n");
    if (!status.ok()) return io_failure("begin data directory", status);
    if (Failure failure = clear_unfinished()) return failure;
    status = parts_->database.open(Database::Mode::kCreate);
    if (!status.ok()) return io_failure("create", status);
    format_.created_by = ROCKDOVE_VERSION;
    format_.cluster_id = options_.cluster_id.empty() ? new_cluster_id() : options_.cluster_id;
    format_.shard = options_.shard;
    format_.test_clock = options_.test_clock;
    if (Failure failure = begin_epoch(MetaRecord(), DurableMark())) return failure;
    status = parts_->note_manifest();
    if (status.ok()) status = DurableMarkFile::create(directory_, parts_->mark);
    if (status.ok()) status = parts_->mark_file.open(directory_, parts_->mark);
    if (status.ok()) status = directory_.replace(kFormatName, format_.encode());  // last: now it is a store
    // Gone for good before the first confirm: with it, a lost FORMAT would look like an unfinished creation.
    if (status.ok()) status = directory_.remove(kCreatingName);
    if (status.ok()) status = directory_.sync();
    if (!status.ok()) return io_failure("create", status);
    parts_->mark_due = false;
    return std::nullopt;
}

Opening::Failure Opening::clear_unfinished() {
    std::vector<std::string> names;
    rocksdb::IOStatus status = directory_.list(names);
    for (const std::string& name : names) {
        const bool ours = is_rocksdb_name(name) || name == kDurableName || name.ends_with(kTempSuffix) ||
                          name.ends_with(kSpareLogSuffix);
        if (status.ok() && ours) status = directory_.remove(name);
    }
    if (!status.ok()) return io_failure("clear the unfinished", status);
    return std::nullopt;
}

Opening::Failure Opening::begin_epoch(const MetaRecord& last, const DurableMark& mark) {
    const rocksdb::Status status = parts_->begin_epoch(last, mark);
    if (!status.ok()) return io_failure("write to", status);
    StoreState& opened = parts_->opened;
    opened.shard = format_.shard;
    opened.epoch = parts_->meta.epoch;
    opened.last_lsn = Lsn(last.lsn);
    opened.chain = last.chain;
    opened.time_ms = last.time_ms;
    opened.cluster_id = format_.cluster_id;
    parts_->mark_written = std::chrono::steady_clock::now();
    return std::nullopt;
}

RocksdbStore::Outcome RocksdbStore::open(const OpenOptions& options) { return Opening(options).run(); }

}  // namespace rockdove::storage
