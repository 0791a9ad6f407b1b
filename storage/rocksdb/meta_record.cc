#include "storage/rocksdb/meta_record.h"

#include "protocol/base/bytes.h"
#include "storage/keys.h"
#include "storage/value.h"

namespace rockdove::storage {

std::string MetaRecord::encode() const {
    std::string payload;
    ByteWriter writer(payload);
    writer.fixed64(epoch);
    writer.fixed64(lsn);
    writer.fixed64(chain);
    writer.fixed64(static_cast<std::uint64_t>(time_ms));
    writer.fixed64(durable_lsn);
    return payload;
}

std::optional<MetaRecord> MetaRecord::decode(std::string_view payload) {
    ByteReader reader(payload);
    MetaRecord meta;
    meta.epoch = reader.fixed64();
    meta.lsn = reader.fixed64();
    meta.chain = reader.fixed64();
    meta.time_ms = static_cast<std::int64_t>(reader.fixed64());
    meta.durable_lsn = reader.fixed64();
    if (!reader.ok() || !reader.at_end()) return std::nullopt;
    return meta;
}

bool follows(const MetaRecord& before, const MetaRecord& next) {
    if (next.epoch == before.epoch) return next.lsn == before.lsn + 1;
    return next.epoch > before.epoch && next.lsn == before.lsn && next.chain == before.chain;
}

bool is_empty_wal_batch(std::string_view batch) {
    ByteReader reader(batch);
    reader.fixed64();
    return reader.fixed32() == 0 && reader.ok() && reader.at_end();
}

std::optional<WalBatch> parse_wal_batch(std::string_view head) {
    // RocksDB's write batch: sequence (8), count (4), then operations; a put is 1, key, value, both with a
    // varint length before them.
    constexpr std::uint8_t kPut = 1;
    ByteReader reader(head);
    WalBatch batch;
    batch.first_sequence = reader.fixed64();
    batch.count = reader.fixed32();
    const std::uint8_t kind = reader.u8();
    const std::string_view key = reader.string();
    const std::string_view stored = reader.string();
    if (!reader.ok() || batch.count == 0 || kind != kPut || key != meta_key()) return std::nullopt;
    const std::optional<std::string_view> payload = unseal(key, stored);
    if (!payload) return std::nullopt;
    const std::optional<MetaRecord> meta = MetaRecord::decode(*payload);
    if (!meta) return std::nullopt;
    batch.meta = *meta;
    return batch;
}

}  // namespace rockdove::storage
