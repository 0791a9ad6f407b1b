#include "storage/rocksdb/survey.h"

#include <algorithm>
#include <vector>

#include "storage/rocksdb/blob_files.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/wal_scan.h"

namespace rockdove::storage {
namespace {

using Reason = OpenFailure::Reason;

std::string what_to_do(const Directory& directory) {
    return "; nothing was changed. Restore the directory from a copy, or go on without what is missing: rockdove "
           "recover " +
           directory.path() + " --accept-loss";
}

OpenFailure damaged(const Directory& directory, const std::string& what) {
    return {Reason::kDamaged, "data directory " + directory.path() + " is damaged: " + what + what_to_do(directory)};
}

// A status of a read: a failing disk is not the same as damaged files.
OpenFailure unreadable(const Directory& directory, const std::string& doing, const rocksdb::Status& status) {
    const std::string text = describe(doing + " in " + directory.path(), status);
    if (is_permission_denied(status)) return {Reason::kPermission, text};
    if (status.IsIOError() && !is_missing(status)) return {Reason::kIo, text};
    return damaged(directory, status.ToString());
}

// Follows the commits through the logs.
class Trail {
public:
    explicit Trail(Survey& survey) : survey_(survey) {}

    void see(const WalEvent& event) {
        if (event.kind == WalEvent::Kind::kFault) return break_off(event);
        const MetaRecord& meta = event.batch.meta;
        if (survey_.torn) {  // nothing from here on will be used; but it can testify
            proven_durable_ = std::max(proven_durable_, meta.durable_lsn);
        } else if (event.kind == WalEvent::Kind::kWitness) {
            break_off(event);
        } else if (follows(survey_.last, meta)) {
            survey_.last = meta;
            survey_.last_sequence = event.batch.last_sequence();
            moved_ = true;
        } else if (moved_ || meta.epoch > survey_.last.epoch || meta.lsn > survey_.last.lsn) {
            break_off(event);
        }  // else: already in the tables
    }

    // The newest commit that a batch behind the break calls durable.
    [[nodiscard]] std::uint64_t proven_durable() const { return proven_durable_; }

private:
    void break_off(const WalEvent& event) {
        if (event.kind != WalEvent::Kind::kFault) {
            proven_durable_ = std::max(proven_durable_, event.batch.meta.durable_lsn);
        }
        if (survey_.torn) return;
        survey_.torn = true;
        survey_.torn_at = event.file + " at byte " + std::to_string(event.offset);
    }

    Survey& survey_;
    bool moved_ = false;
    std::uint64_t proven_durable_ = 0;
};

std::string missing_commits(std::uint64_t confirmed, std::uint64_t found) {
    return std::to_string(confirmed - found) + " confirmed commits are missing (confirmed up to " +
           std::to_string(confirmed) + ", found up to " + std::to_string(found) + ")";
}

std::optional<OpenFailure> verdict(const Directory& directory, const Survey& found, std::uint64_t proven_durable) {
    const DurableMark& mark = *found.mark;
    const std::string where = found.torn ? "; the log is not readable from " + found.torn_at : std::string();
    if (const std::uint64_t confirmed = std::max(mark.lsn, proven_durable); found.last.lsn < confirmed) {
        return damaged(directory, missing_commits(confirmed, found.last.lsn) + where);
    }
    if (found.last_sequence < mark.sequence || found.last.epoch < mark.epoch) {
        return damaged(directory, std::to_string(mark.sequence - std::min(mark.sequence, found.last_sequence)) +
                                      " confirmed sequence numbers are missing" + where);
    }
    if (mark.clean && (found.last_sequence != mark.sequence || found.last.lsn != mark.lsn || found.torn)) {
        return damaged(directory, "it was closed at commit " + std::to_string(mark.lsn) +
                                      ", but its files are not those of that moment" + where);
    }
    return std::nullopt;
}

// RocksDB takes a MANIFEST that lost its end for a whole one, and one whose end is torn for damaged.
std::optional<OpenFailure> check_manifest(const Directory& directory, const DurableMark& mark,
                                          std::optional<ManifestEnd>& end) {
    std::string current;
    rocksdb::IOStatus status = directory.read("CURRENT", current);
    if (!status.ok()) return unreadable(directory, "read CURRENT", status);
    const std::optional<std::uint32_t> number = manifest_number(current);
    if (!number || *number < mark.manifest_number) {
        return damaged(directory, "its file CURRENT does not name the last MANIFEST, which is " +
                                      manifest_name(mark.manifest_number));
    }
    const std::string name = manifest_name(*number);
    // A later one was made since, on the way to a new start: nothing is known of its size.
    const std::uint64_t known_bytes = *number == mark.manifest_number ? mark.manifest_bytes : 0;
    std::uint64_t bytes = 0;
    std::optional<std::uint64_t> fault;
    status = directory.file_system().GetFileSize(directory.file(name), rocksdb::IOOptions(), &bytes, nullptr);
    if (status.ok()) status = find_fault(directory, name, fault);
    if (!status.ok()) return unreadable(directory, "read " + name, status);
    if (bytes < known_bytes) {
        return damaged(directory, "its file " + name + " lost its end: " + std::to_string(known_bytes) +
                                      " bytes were written, " + std::to_string(bytes) + " are there");
    }
    if (!fault) return std::nullopt;
    if (*fault < known_bytes) {
        return damaged(directory, "its file " + name + " is not readable from byte " + std::to_string(*fault));
    }
    // Behind what was known to be synced: a torn end. RocksDB syncs several records at once, so whole ones may follow the
    // torn one. Were they synced after all, their tables or commits will be missed by the checks to come.
    end = ManifestEnd{name, *fault};
    return std::nullopt;
}

// What DURABLE says, and what is wrong with it.
std::optional<OpenFailure> read_mark(const Directory& directory, std::optional<DurableMark>& mark) {
    std::string content;
    const rocksdb::IOStatus status = directory.read(kDurableName, content);
    if (!status.ok() && !is_missing(status)) return unreadable(directory, "read DURABLE", status);
    if (status.ok()) mark = newest_mark(content);
    if (mark) return std::nullopt;
    return damaged(directory, std::string("its file DURABLE is ") + (status.ok() ? "not readable" : "missing") +
                                  ", so nobody can tell whether confirmed messages are missing");
}

}  // namespace

Survey survey(const Directory& directory, const OpenOptions& options) {
    Survey found;
    found.objection = read_mark(directory, found.mark);
    if (!found.objection) found.objection = check_manifest(directory, *found.mark, found.manifest_end);

    // Whatever the objection is, those who recover or inspect need to know what is there.
    const auto object = [&](OpenFailure failure) {
        if (!found.objection) found.objection = std::move(failure);
    };
    Database tables(directory, options);
    if (found.manifest_end) tables.shorten_manifest(*found.manifest_end);
    rocksdb::Status status = tables.open(Database::Mode::kTablesOnly);
    if (status.ok()) status = check_blob_files(*tables, directory.file_system(), directory.path());
    if (!status.ok()) {
        object(unreadable(directory, "open", status));
        return found;
    }
    const Result<std::optional<MetaRecord>> base = tables.meta();
    if (!base) {
        object(damaged(directory, base.error().text));
        return found;
    }
    found.tables_readable = true;
    found.last = base->value_or(MetaRecord());
    found.last_sequence = tables->GetLatestSequenceNumber();

    std::vector<std::string> wals;
    rocksdb::IOStatus scanned = list_wals(directory, tables.oldest_wal(), wals);
    Trail trail(found);
    for (const std::string& wal : wals) {
        if (scanned.ok()) scanned = scan_wal(directory, wal, [&](const WalEvent& event) { trail.see(event); });
    }
    if (!scanned.ok()) {
        object(unreadable(directory, "read the logs", scanned));
    } else if (!found.objection) {
        found.objection = verdict(directory, found, trail.proven_durable());
    }
    return found;
}

}  // namespace rockdove::storage
