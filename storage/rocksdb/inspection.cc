#include "storage/rocksdb/inspection.h"

#include "storage/rocksdb/database.h"
#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/lock.h"
#include "storage/rocksdb/opening.h"
#include "storage/rocksdb/place.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/survey.h"

namespace rockdove::storage {

struct Inspection::Parts {
    std::unique_ptr<DirectoryLock> lock;
    std::unique_ptr<Database> database;  // empty if nothing can be opened
    InspectedDirectory found;
    std::string problem;  // then: why
};

namespace {

using Reason = OpenFailure::Reason;

std::vector<InspectedFile> files_of(const Directory& directory) {
    std::vector<std::string> names;
    std::vector<InspectedFile> files;
    if (!directory.list(names).ok()) return files;
    for (std::string& name : names) {
        bool is_directory = false;  // of another shard
        const bool known = directory.file_system()
                               .IsDirectory(directory.file(name), rocksdb::IOOptions(), &is_directory, nullptr)
                               .ok();
        if (known && is_directory) continue;
        InspectedFile file{std::move(name), 0};
        const rocksdb::IOStatus status =
            directory.file_system().GetFileSize(directory.file(file.name), rocksdb::IOOptions(), &file.bytes, nullptr);
        if (status.ok()) files.push_back(std::move(file));
    }
    return files;
}

InspectedDirectory describe_directory(const Directory& directory, const FormatFile& format, const Survey& survey) {
    InspectedDirectory found;
    found.format = format.version;
    found.oldest_reader = format.oldest_reader;
    found.created_by = format.created_by;
    found.test_clock = format.test_clock;
    if (survey.mark) {
        found.durable = InspectedMark{survey.mark->epoch, survey.mark->sequence, survey.mark->lsn,
                                      survey.mark->confirms, survey.mark->clean};
    }
    found.files = files_of(directory);
    found.state.shard = format.shard;
    found.state.cluster_id = format.cluster_id;
    found.state.epoch = survey.last.epoch;
    found.state.last_lsn = Lsn(survey.last.lsn);
    found.state.chain = survey.last.chain;
    found.state.time_ms = survey.last.time_ms;
    found.sequence = survey.last_sequence;
    found.torn_at = survey.torn_at;
    found.objection = survey.objection;
    return found;
}

}  // namespace

Inspection::Inspection(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Inspection::~Inspection() = default;

Inspection::Outcome Inspection::open(const OpenOptions& options) {
    const Directory directory = directory_of(options);
    std::variant<Place, OpenFailure> place = look_at(directory);
    if (auto* refused = std::get_if<OpenFailure>(&place)) return *refused;
    if (std::get<Place>(place) != Place::kStore) {
        return OpenFailure{Reason::kUnusable, directory.path() + " is not a data directory"};
    }
    auto parts = std::make_unique<Parts>();
    if (directory.exists(kLockName)) {  // a copy without it is nobody's, and stays without it
        DirectoryLock::Outcome lock = DirectoryLock::take(directory, DirectoryLock::Announce::kNo);
        if (auto* refused = std::get_if<OpenFailure>(&lock)) return *refused;
        parts->lock = std::get<std::unique_ptr<DirectoryLock>>(std::move(lock));
    }
    const std::variant<FormatFile, OpenFailure> format = read_format(directory);
    if (auto* refused = std::get_if<OpenFailure>(&format)) return *refused;

    const Survey found = survey(directory, options);
    parts->found = describe_directory(directory, std::get<FormatFile>(format), found);
    if (found.tables_readable) {
        parts->database = std::make_unique<Database>(directory, options);
        if (found.manifest_end) parts->database->shorten_manifest(*found.manifest_end);
        const rocksdb::Status status = parts->database->open(Database::Mode::kReadOnly, found.last, true);
        if (!status.ok()) {
            parts->problem = describe("open " + directory.path(), status);
            parts->database.reset();
        }
    } else if (found.objection) {
        parts->problem = found.objection->text;
    }
    return std::unique_ptr<Inspection>(new Inspection(std::move(parts)));
}

const InspectedDirectory& Inspection::directory() const { return parts_->found; }

Result<void> Inspection::scan(std::string_view begin, std::string_view end,
                              const std::function<bool(const RecordView&)>& visit) const {
    if (!parts_->database) return Error(ErrorCode::kInternal, parts_->problem);
    return parts_->database->scan(begin, end, visit);
}

Result<std::optional<std::string>> Inspection::get(std::string_view key) const {
    if (!parts_->database) return Error(ErrorCode::kInternal, parts_->problem);
    return parts_->database->get(key);
}

}  // namespace rockdove::storage
