#include "storage/rocksdb/wal_scan.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "storage/value.h"

namespace rockdove::storage {
namespace {

constexpr std::size_t kBlockBytes = 32 * 1024;
constexpr std::size_t kHeaderBytes = 7;  // CRC32C (4), length (2), kind (1)

enum class FragmentKind : std::uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

struct Fragment {
    FragmentKind kind = FragmentKind::kZero;
    std::string_view payload;
};

std::uint32_t unmasked(std::uint32_t stored) {
    const std::uint32_t rotated = stored - 0xa282ead8U;
    return (rotated >> 17) | (rotated << 15);
}

// The fragment at the start of `bytes`, if it is one and whole.
std::optional<Fragment> read_fragment(std::string_view bytes) {
    if (bytes.size() < kHeaderBytes) return std::nullopt;
    std::uint32_t crc = 0;
    std::uint16_t size = 0;
    std::memcpy(&crc, bytes.data(), sizeof crc);
    std::memcpy(&size, bytes.data() + sizeof crc, sizeof size);
    const auto kind = static_cast<std::uint8_t>(bytes[kHeaderBytes - 1]);
    if (kind < 1 || kind > 4 || kHeaderBytes + size > bytes.size()) return std::nullopt;
    if (crc32c(bytes.substr(kHeaderBytes - 1, size + 1U)) != unmasked(crc)) return std::nullopt;
    return Fragment{static_cast<FragmentKind>(kind), bytes.substr(kHeaderBytes, size)};
}

// Puts fragments together to batches; keeps only the head of each.
class Assembler {
public:
    Assembler(const std::string& file, const std::function<void(const WalEvent&)>& visit)
        : file_(file), visit_(visit) {}

    void add(const Fragment& fragment, std::uint64_t offset) {
        const bool begins = fragment.kind == FragmentKind::kFull || fragment.kind == FragmentKind::kFirst;
        const bool ends = fragment.kind == FragmentKind::kFull || fragment.kind == FragmentKind::kLast;
        if (begins == open_) {  // a batch that did not end, or a piece of one that did not begin
            fault(offset);
            if (!begins) return;
        }
        if (begins) {
            head_.clear();
            start_ = offset;
            open_ = true;
        }
        head_.append(fragment.payload.substr(0, kWalBatchHeadBytes - std::min(head_.size(), kWalBatchHeadBytes)));
        if (ends) finish();
    }

    // What was begun is given up.
    void fault(std::uint64_t offset) {
        if (std::exchange(open_, false)) {
            if (const auto batch = parse_wal_batch(head_)) visit_({WalEvent::Kind::kWitness, file_, start_, *batch});
        }
        visit_({WalEvent::Kind::kFault, file_, offset, {}});
    }

    void end_of_file(std::uint64_t offset) {
        if (open_) fault(offset);
    }

    [[nodiscard]] bool open() const { return open_; }

private:
    void finish() {
        open_ = false;
        if (const auto batch = parse_wal_batch(head_)) {
            visit_({WalEvent::Kind::kBatch, file_, start_, *batch});
        } else if (!is_empty_wal_batch(head_)) {
            visit_({WalEvent::Kind::kFault, file_, start_, {}});
        }
    }

    const std::string& file_;
    const std::function<void(const WalEvent&)>& visit_;
    bool open_ = false;
    std::string head_;
    std::uint64_t start_ = 0;
};

// Only looks for the first fault.
class FaultFinder {
public:
    explicit FaultFinder(std::optional<std::uint64_t>& first_fault) : first_fault_(first_fault) {}

    void add(const Fragment& fragment, std::uint64_t) {
        open_ = fragment.kind == FragmentKind::kFirst || fragment.kind == FragmentKind::kMiddle;
    }
    void fault(std::uint64_t offset) {
        if (!first_fault_) first_fault_ = offset;
        open_ = false;
    }
    void end_of_file(std::uint64_t) {}  // a record that has no end is passed over by RocksDB too
    [[nodiscard]] bool open() const { return open_; }

private:
    std::optional<std::uint64_t>& first_fault_;
    bool open_ = false;
};

bool all_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

template <class Sink>
void scan_block(std::string_view block, std::uint64_t block_offset, Sink& sink) {
    std::size_t at = 0;
    while (at < block.size()) {
        const std::string_view rest = block.substr(at);
        if (const std::optional<Fragment> fragment = read_fragment(rest)) {
            sink.add(*fragment, block_offset + at);
            at += kHeaderBytes + fragment->payload.size();
            continue;
        }
        if (block.size() == kBlockBytes && rest.size() < kHeaderBytes && all_zero(rest)) return;  // the block's trailer
        // Zeros to the end may be space that was reserved and not used: a fault only inside a batch. If
        // batches follow in later blocks, a hole shows as a gap between commits.
        if (all_zero(rest)) {
            if (sink.open()) sink.fault(block_offset + at);
            return;
        }
        sink.fault(block_offset + at);
        do {
            ++at;
        } while (at < block.size() && !read_fragment(block.substr(at)));
    }
}

template <class Sink>
rocksdb::IOStatus scan_file(const Directory& directory, const std::string& name, Sink& sink) {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    rocksdb::IOStatus status =
        directory.file_system().NewSequentialFile(directory.file(name), rocksdb::FileOptions(), &file, nullptr);
    std::string block(kBlockBytes, '\0');
    std::uint64_t offset = 0;
    while (status.ok()) {
        std::size_t filled = 0;
        while (status.ok() && filled < kBlockBytes) {  // reads may be short
            rocksdb::Slice piece;
            status = file->Read(kBlockBytes - filled, rocksdb::IOOptions(), &piece, block.data() + filled, nullptr);
            if (!status.ok() || piece.empty()) break;
            if (piece.data() != block.data() + filled) std::memmove(block.data() + filled, piece.data(), piece.size());
            filled += piece.size();
        }
        if (!status.ok() || filled == 0) break;
        scan_block(std::string_view(block).substr(0, filled), offset, sink);
        offset += filled;
        if (filled < kBlockBytes) break;
    }
    if (status.ok()) sink.end_of_file(offset);
    return status;
}

}  // namespace

rocksdb::IOStatus scan_wal(const Directory& directory, const std::string& name,
                           const std::function<void(const WalEvent&)>& visit) {
    Assembler assembler(name, visit);
    return scan_file(directory, name, assembler);
}

rocksdb::IOStatus find_fault(const Directory& directory, const std::string& name,
                             std::optional<std::uint64_t>& first_fault) {
    FaultFinder finder(first_fault);
    return scan_file(directory, name, finder);
}

rocksdb::IOStatus list_wals(const Directory& directory, std::uint64_t from_number, std::vector<std::string>& names) {
    std::vector<std::string> all;
    const rocksdb::IOStatus status = directory.list(all);
    names.clear();
    for (std::string& name : all) {
        const std::optional<std::uint64_t> number = wal_number(name);
        if (number && *number >= from_number) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end(),
              [](const std::string& a, const std::string& b) { return *wal_number(a) < *wal_number(b); });
    return status;
}

}  // namespace rockdove::storage
