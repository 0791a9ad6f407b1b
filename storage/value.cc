#include "storage/value.h"

#include <isa-l.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace rockdove::storage {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) {
    std::uint32_t crc = ~seed;
    while (!bytes.empty()) {  // isa-l counts in int
        const std::size_t step = std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max());
        auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));  // only read
        crc = crc32_iscsi(data, static_cast<int>(step), crc);
        bytes.remove_prefix(step);
    }
    return ~crc;
}

std::uint32_t value_checksum(std::string_view key, std::string_view payload) {
    return crc32c(payload, crc32c({&kValueFormat, 1}, crc32c(key)));
}

std::string seal(std::string_view key, std::string_view payload) {
    const std::uint32_t crc = value_checksum(key, payload);
    std::string stored;
    stored.reserve(payload.size() + kSealBytes);
    stored.push_back(kValueFormat);
    stored.append(payload);
    stored.append(reinterpret_cast<const char*>(&crc), sizeof crc);
    return stored;
}

std::optional<std::string_view> unseal(std::string_view key, std::string_view stored) {
    if (stored.size() < kSealBytes || stored.front() != kValueFormat) return std::nullopt;
    const std::string_view payload = stored.substr(1, stored.size() - kSealBytes);
    std::uint32_t crc = 0;
    std::memcpy(&crc, stored.data() + stored.size() - sizeof crc, sizeof crc);
    if (crc != value_checksum(key, payload)) return std::nullopt;
    return payload;
}

RecordView unsealed_record(std::string_view key, std::string_view stored) {
    const std::optional<std::string_view> payload = unseal(key, stored);
    if (!payload) return RecordView{key, {}, true};
    return RecordView{key, *payload, false};
}

}  // namespace rockdove::storage
