#include "storage/value.h"

#include <catch2/catch.hpp>

namespace rockdove::storage {
namespace {

TEST_CASE("the checksum is CRC32C as others compute it", "[storage][value]") {
    CHECK(crc32c("123456789") == 0xE3069283);
    CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);  // RFC 3720 B.4
    CHECK(crc32c("456789", crc32c("123")) == crc32c("123456789"));
    CHECK(crc32c("") == 0);
}

TEST_CASE("a sealed value opens under its own key only", "[storage][value]") {
    const std::string payload = GENERATE(std::string(), std::string("x"), std::string(100'000, 'y'));
    const std::string stored = seal("key", payload);
    CHECK(stored.size() == payload.size() + kSealBytes);
    CHECK(unseal("key", stored) == payload);
    CHECK(unseal("kez", stored) == std::nullopt);
    CHECK(unseal("keyx", stored) == std::nullopt);
    CHECK(unsealed_record("other", stored).damaged);
    CHECK(unsealed_record("other", stored).payload.empty());
}

TEST_CASE("every flipped bit and every cut of a sealed value is seen", "[storage][value]") {
    const std::string stored = seal("b/17", "a payload");
    for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
        std::string damaged = stored;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        CHECK(unseal("b/17", damaged) == std::nullopt);
    }
    for (std::size_t size = 0; size < stored.size(); ++size) {
        CHECK(unseal("b/17", std::string_view(stored).substr(0, size)) == std::nullopt);
    }
}

}  // namespace
}  // namespace rockdove::storage
