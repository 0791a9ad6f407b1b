#include "server/core/dead_reader.h"

#include "server/core/limits.h"

namespace rockdove::core {

Result<DeadPage> read_dead_letters(storage::MessageStore& store, const DeadReadRequest& request) {
    DeadPage page;
    std::size_t bytes = 0;
    std::size_t visited = 0;
    const std::string begin = storage::dead_key(request.ns, request.queue, request.first);
    const std::string end = storage::dead_key(request.ns, request.queue, request.end);
    Result<void> scanned = store.scan(begin, end, [&](const storage::RecordView& record) {
        const Result<storage::KeyView> key = storage::parse_key(record.key);
        DeadLetter letter;
        letter.sequence = key ? key->sequence : Sequence(0);
        std::size_t size = record.payload.size();
        visited += size;
        letter.damaged = record.damaged;
        if (!record.damaged) {
            Result<storage::DeadRecord> dead = storage::DeadRecord::decode(record.payload);
            letter.damaged = !dead;
            if (dead) letter.record = *std::move(dead);
        }
        if (!request.bodies) {
            size -= letter.record.message.size();
            letter.record.message = std::string();
        }
        bytes += size;
        const bool full = page.letters.size() >= request.limit || bytes > request.max_bytes || visited > kDeadReadBytes;
        if (full && !page.letters.empty()) {
            page.next = letter.sequence;
            return false;
        }
        page.letters.push_back(std::move(letter));
        return true;
    });
    if (scanned) return page;
    if (scanned.error().code != ErrorCode::kConflict) return scanned.error();
    if (page.letters.empty()) {
        page.failure = scanned.error();
    } else {
        page.next = Sequence(page.letters.back().sequence.value + 1);
    }
    return page;
}

}  // namespace rockdove::core
