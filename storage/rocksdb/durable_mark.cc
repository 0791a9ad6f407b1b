#include "storage/rocksdb/durable_mark.h"

#include "protocol/base/bytes.h"
#include "storage/kill_point.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

constexpr std::string_view kMagic = "RDMK";
constexpr std::uint32_t kMarkFormat = 1;
constexpr std::uint32_t kCleanFlag = 1U << 16;  // in the word of the format

std::size_t offset_of(const DurableMark& mark) { return (mark.generation % 2) * kMarkSlotDistance; }

}  // namespace

std::string encode_mark(const DurableMark& mark) {
    std::string slot;
    ByteWriter writer(slot);
    writer.raw(kMagic);
    writer.fixed32(kMarkFormat | (mark.clean ? kCleanFlag : 0));
    writer.fixed64(mark.generation);
    writer.fixed32(mark.epoch);
    writer.fixed32(mark.manifest_number);
    writer.fixed64(mark.manifest_bytes);
    writer.fixed64(mark.sequence);
    writer.fixed64(mark.lsn);
    writer.fixed64(mark.confirms);
    writer.fixed32(0);
    writer.fixed32(crc32c(slot));
    return slot;
}

std::optional<DurableMark> decode_mark(std::string_view slot) {
    if (slot.size() < kMarkSlotBytes) return std::nullopt;
    slot = slot.substr(0, kMarkSlotBytes);
    ByteReader reader(slot);
    const std::string_view magic = reader.raw(kMagic.size());
    const std::uint32_t format = reader.fixed32();
    DurableMark mark;
    mark.generation = reader.fixed64();
    mark.epoch = reader.fixed32();
    mark.manifest_number = reader.fixed32();
    mark.manifest_bytes = reader.fixed64();
    mark.sequence = reader.fixed64();
    mark.lsn = reader.fixed64();
    mark.confirms = reader.fixed64();
    mark.clean = (format & kCleanFlag) != 0;
    reader.fixed32();
    const std::uint32_t crc = reader.fixed32();
    const bool intact = crc == crc32c(slot.substr(0, kMarkSlotBytes - sizeof crc));
    if (magic != kMagic || (format & ~kCleanFlag) != kMarkFormat || !intact) return std::nullopt;
    return mark;
}

std::optional<DurableMark> newest_mark(std::string_view file) {
    const std::optional<DurableMark> first = decode_mark(file);
    std::optional<DurableMark> second;
    if (file.size() >= kMarkSlotDistance) second = decode_mark(file.substr(kMarkSlotDistance));
    if (!first || !second) return first ? first : second;
    return first->generation > second->generation ? first : second;
}

rocksdb::IOStatus DurableMarkFile::create(const Directory& directory, const DurableMark& mark) {
    std::string content(kMarkSlotDistance + kMarkSlotBytes, '\0');
    content.replace(offset_of(mark), kMarkSlotBytes, encode_mark(mark));
    return directory.replace(kDurableName, content);
}

rocksdb::IOStatus DurableMarkFile::open(const Directory& directory, const DurableMark& last) {
    last_ = last;
    return directory.file_system().NewRandomRWFile(directory.file(kDurableName), rocksdb::FileOptions(), &file_,
                                                   nullptr);
}

rocksdb::IOStatus DurableMarkFile::write(DurableMark mark) {
    mark.generation = last_.generation + 1;
    RD_KILL_POINT("mark_write");
    rocksdb::IOStatus status = file_->Write(offset_of(mark), encode_mark(mark), rocksdb::IOOptions(), nullptr);
    RD_KILL_POINT("mark_sync");
    if (status.ok()) status = file_->Sync(rocksdb::IOOptions(), nullptr);
    if (status.ok()) last_ = mark;
    RD_KILL_POINT("mark_synced");
    return status;
}

}  // namespace rockdove::storage
