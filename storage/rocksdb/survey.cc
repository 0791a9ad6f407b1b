#include "storage/rocksdb/survey.h"

#include <algorithm>
#include <vector>

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
    const std::string text = describe(doing + " of " + directory.path(), status);
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

}  // namespace

Survey survey(const Directory& directory, const OpenOptions& options) {
    Survey found;
    std::string content;
    const rocksdb::IOStatus mark_status = directory.read(kDurableName, content);
    if (mark_status.ok()) found.mark = newest_mark(content);

    Database tables(directory, options);
    const rocksdb::Status status = tables.open(Database::Mode::kTablesOnly);
    if (!status.ok()) {
        found.objection = unreadable(directory, "open", status);
        return found;
    }
    const Result<std::optional<MetaRecord>> base = tables.meta();
    if (!base) {
        found.objection = damaged(directory, base.error().text);
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
        found.objection = unreadable(directory, "read of the logs", scanned);
    } else if (!found.mark) {
        found.objection = !mark_status.ok() && !is_missing(mark_status)
                              ? unreadable(directory, "read of DURABLE", mark_status)
                              : damaged(directory, std::string("its file DURABLE is ") +
                                                       (mark_status.ok() ? "not readable" : "missing") +
                                                       ", so nobody can tell whether confirmed messages are missing");
    } else {
        found.objection = verdict(directory, found, trail.proven_durable());
    }
    return found;
}

}  // namespace rockdove::storage
