#include "server/core/block.h"

#include <numeric>
#include <type_traits>

#include "protocol/base/bytes.h"
#include "protocol/base/check.h"

namespace rockdove::core {

namespace {

std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges(const Bits& bits) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> out;
    for (std::uint32_t at = bits.find(0, true); at < bits.size();) {
        const std::uint32_t end = bits.find(at, false);
        out.emplace_back(at, end);
        at = bits.find(end, true);
    }
    return out;
}

}  // namespace

storage::BlockStateRecord BlockState::to_record() const {
    storage::BlockStateRecord record;
    record.done = ranges(done);
    if (leaving) record.leaving = ranges(*leaving);
    if (pushed_out) record.pushed_out = ranges(*pushed_out);
    record.runs.reserve(runs.size());
    for (const Run& run : runs) {
        storage::RunRecord out;
        out.first = run.first;
        out.count = run.count;
        out.lease = run.lease;
        out.attempts = run.attempts;
        out.releases = run.releases;
        out.losses = run.losses;
        out.epoch = run.epoch;
        out.lease_end_ms = to_unix_ms(run.lease_end);
        out.started_ms = to_unix_ms(run.started);
        out.consumer = run.consumer->name;
        record.runs.push_back(std::move(out));
    }
    return record;
}

void Limits::add(std::uint32_t index, std::int64_t expires, std::uint32_t most_attempts) {
    if (index == 0) {
        if (expires != 0) expires_ms.push_back(expires);
    } else if (expires_ms.size() > 1 || expires != expiry_ms(0)) {
        if (expires_ms.size() < 2) expires_ms.assign(index, expiry_ms(0));
        expires_ms.push_back(expires);
    }
    if (max_attempts.empty() && most_attempts == 0) return;
    max_attempts.resize(index);
    max_attempts.push_back(most_attempts);
}

Block Block::copy_of_messages() const {
    const auto copy = [](const auto& from) {
        using T = typename std::remove_reference_t<decltype(from)>::element_type;
        return from ? std::make_unique<T>(*from) : nullptr;
    };
    Block block;
    block.first = first;
    block.count = count;
    block.bytes = bytes;
    block.commit_time_ms = commit_time_ms;
    block.lsn = lsn;
    block.payload = payload;
    block.keyed = keyed;
    block.lane = lane;
    block.offsets = copy(offsets);
    block.due_ms = copy(due_ms);
    block.limits = copy(limits);
    block.keys = copy(keys);
    block.source = copy(source);
    return block;
}

void Block::grow(Sequence sequence, std::uint32_t added) {
    if (count == 0) first = sequence;
    const auto offset = static_cast<std::uint32_t>(sequence.value - first.value);
    if (!offsets && offset != count) {
        offsets = std::make_unique<std::vector<std::uint32_t>>(count);
        std::iota(offsets->begin(), offsets->end(), 0);
    }
    if (offsets) {
        for (std::uint32_t i = 0; i < added; ++i) offsets->push_back(offset + i);
    }
    count += added;
}

std::string_view message_records(const Payload& payload, std::uint32_t first, std::uint32_t end) {
    const std::size_t from = first == 0 ? storage::kBlockHeaderBytes : payload.ends[first - 1];
    return std::string_view(payload.bytes).substr(from, payload.ends[end - 1] - from);
}

std::uint32_t message_size(std::uint32_t record) {
    std::uint32_t length_bytes = 1;
    while (length_bytes < 5 && record - 1 - length_bytes >= 1ULL << (7 * length_bytes)) ++length_bytes;
    return record - 1 - length_bytes;
}

std::uint64_t message_bytes(const Payload& payload, std::uint32_t first, std::uint32_t end) {
    std::uint64_t bytes = 0;
    std::uint32_t from = first == 0 ? storage::kBlockHeaderBytes : payload.ends[first - 1];
    for (std::uint32_t i = first; i < end; ++i) {
        bytes += message_size(payload.ends[i] - from);
        from = payload.ends[i];
    }
    return bytes;
}

std::string_view message_body(const Payload& payload, std::uint32_t index) {
    ByteReader in(message_records(payload, index, index + 1));
    in.u8();
    return in.string();
}

namespace {

// The part [first, end) of `whole`, taking its share of the byte credit from `whole`.
Run part(Run& whole, std::uint32_t first, std::uint32_t end, const Bits& done) {
    Run run = whole;
    run.first = first;
    run.count = end - first;
    run.left = run.count - done.count(first, end);
    run.bytes_left = whole.left == 0 ? 0 : whole.bytes_left * run.left / whole.left;
    whole.bytes_left -= run.bytes_left;
    whole.left -= run.left;
    return run;
}

}  // namespace

Run carve(std::vector<Run>& runs, std::size_t index, std::uint32_t first, std::uint32_t end, const Bits& done) {
    Run whole = runs[index];
    RD_CHECK(first >= whole.first && end <= whole.end() && first < end);
    const Run before = part(whole, whole.first, first, done);
    const Run behind = part(whole, end, whole.end(), done);
    whole.first = first;
    whole.count = end - first;
    const auto at = runs.begin() + static_cast<std::ptrdiff_t>(index);
    const bool keep_before = before.left != 0;
    const bool keep_behind = behind.left != 0;
    if (keep_before && keep_behind) {
        *at = before;
        runs.insert(at + 1, behind);
    } else if (keep_before) {
        *at = before;
    } else if (keep_behind) {
        *at = behind;
    } else {
        runs.erase(at);
    }
    return whole;
}

}  // namespace rockdove::core
