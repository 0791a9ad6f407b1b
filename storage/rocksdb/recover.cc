#include "storage/rocksdb/recover.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "storage/rocksdb/database.h"
#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/lock.h"
#include "storage/rocksdb/opening.h"
#include "storage/rocksdb/parts.h"
#include "storage/rocksdb/place.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/survey.h"

namespace rockdove::storage {
namespace {

using Reason = OpenFailure::Reason;

OpenFailure failure(const Directory& directory, const std::string& doing, const rocksdb::Status& status) {
    const Reason reason = is_permission_denied(status) ? Reason::kPermission : Reason::kIo;
    return {reason, describe(doing + " " + directory.path(), status)};
}

std::string number_or_null(const std::optional<std::uint64_t>& number) {
    return number ? std::to_string(*number) : "null";
}

std::string audit_line(const AcceptedLoss& loss) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return R"({"time_ms":)" + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) +
           R"(,"event":"accept_loss","version":")" ROCKDOVE_VERSION R"(","commits":)" + number_or_null(loss.commits) +
           R"(,"sequence_numbers":)" + number_or_null(loss.sequence_numbers) + R"(,"last_lsn":)" +
           std::to_string(loss.last_lsn) + R"(,"logs_dropped":)" + (loss.logs_dropped ? "true" : "false") + "}\n";
}

std::string summarize(const Directory& directory, const AcceptedLoss& loss) {
    std::string text =
        "data directory " + directory.path() + " goes on at commit " + std::to_string(loss.last_lsn) + ": ";
    text += loss.commits ? std::to_string(*loss.commits) + " commits (" + std::to_string(*loss.sequence_numbers) +
                               " sequence numbers) were given up"
                         : std::string("how many commits were given up is not known, because DURABLE did not say");
    if (loss.logs_dropped) text += "; what was only in the logs is among them";
    return text;
}

std::uint64_t missing(std::uint64_t confirmed, std::uint64_t found) {
    return confirmed > found ? confirmed - found : 0;
}

// Without CURRENT RocksDB finds nothing; the newest MANIFEST is the one it named.
rocksdb::Status repair_current(const Directory& directory) {
    std::vector<std::string> names;
    rocksdb::IOStatus status = directory.list(names);
    std::optional<std::uint32_t> newest;
    for (const std::string& name : names) newest = std::max(newest, manifest_number(name));
    if (!status.ok() || !newest) return status;
    std::string current;
    status = directory.read("CURRENT", current);
    if (status.ok() && manifest_number(current) == newest) return status;
    if (!status.ok() && !is_missing(status)) return status;
    return directory.replace("CURRENT", manifest_name(*newest) + "\n");
}

// Opens for writing what is there. `logs_dropped` is set if that is the tables alone.
rocksdb::Status open_what_is_there(Database& database, const Survey& found, bool& logs_dropped) {
    rocksdb::Status status = rocksdb::Status::Corruption();
    if (found.tables_readable) status = database.open(Database::Mode::kWrite, found.last, true);
    if (status.ok() || (status.IsIOError() && !is_missing(status))) return status;
    logs_dropped = true;
    return database.open(Database::Mode::kBestEffort);
}

std::variant<AcceptedLoss, OpenFailure> give_up_what_is_missing(const Directory& directory, const OpenOptions& options,
                                                                const Survey& found, AcceptedLoss loss) {
    StoreParts parts(directory, options);
    if (found.manifest_end) parts.database.shorten_manifest(*found.manifest_end);
    rocksdb::Status status = open_what_is_there(parts.database, found, loss.logs_dropped);
    if (!status.ok()) return failure(directory, "open", status);
    const Result<std::optional<MetaRecord>> meta = parts.database.meta();
    if (!meta) return OpenFailure{Reason::kDamaged, meta.error().text};
    const MetaRecord last = meta->value_or(MetaRecord());
    if (found.mark) {
        loss.commits = missing(found.mark->lsn, last.lsn);
        loss.sequence_numbers = missing(found.mark->sequence, parts.database->GetLatestSequenceNumber());
    }
    loss.last_lsn = last.lsn;
    loss.summary = summarize(directory, loss);
    // The line first: there must be no directory with a loss that nobody can see.
    status = directory.append(kAuditName, audit_line(loss));
    if (!status.ok()) return failure(directory, "write AUDIT of", status);
    status = parts.begin_epoch(last, found.mark.value_or(DurableMark()));
    if (status.ok()) status = parts.database->Flush(rocksdb::FlushOptions());  // then no old log is live any more
    if (status.ok()) status = parts.note_manifest();
    ++parts.mark.generation;
    if (status.ok()) status = parts.database.close();
    if (status.ok()) status = DurableMarkFile::create(directory, parts.mark);
    if (!status.ok()) return failure(directory, "go on with", status);
    return loss;
}

}  // namespace

std::variant<AcceptedLoss, OpenFailure> accept_loss(const OpenOptions& options) {
    const Directory directory = directory_of(options);
    std::variant<Place, OpenFailure> place = look_at(directory);
    if (auto* refused = std::get_if<OpenFailure>(&place)) return *refused;
    if (std::get<Place>(place) != Place::kStore) {
        return OpenFailure{Reason::kUnusable, directory.path() + " is not a data directory"};
    }
    DirectoryLock::Outcome lock = DirectoryLock::take(directory);
    if (auto* refused = std::get_if<OpenFailure>(&lock)) return *refused;
    const std::variant<FormatFile, OpenFailure> format = read_format(directory);
    if (auto* refused = std::get_if<OpenFailure>(&format)) return *refused;

    Survey found = survey(directory, options);
    AcceptedLoss loss;
    if (!found.objection) {
        loss.last_lsn = found.last.lsn;
        loss.summary = "data directory " + directory.path() + " lacks nothing; it was not changed";
        return loss;
    }
    if (found.objection->reason != Reason::kDamaged) return *found.objection;
    loss.needed = true;
    if (!found.tables_readable) {
        const rocksdb::Status status = repair_current(directory);
        if (!status.ok()) return failure(directory, "repair CURRENT of", status);
        found = survey(directory, options);
    }
    return give_up_what_is_missing(directory, options, found, loss);
}

}  // namespace rockdove::storage
