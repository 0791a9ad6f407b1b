// Message ids and names as people type them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/ids.h"
#include "protocol/names.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rockdove::base;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto id = parse_message_id(text)) {
        const std::string canonical = format_message_id(*id);
        FUZZ_REQUIRE(canonical.size() == kMessageIdChars && text.size() == kMessageIdChars);
        const auto again = parse_message_id(canonical);
        FUZZ_REQUIRE(again && *again == *id);
    }
    if (check_name("name", text)) {
        FUZZ_REQUIRE(!text.empty() && text.size() <= kMaxNameBytes && text.front() != '.');
        for (const char c : text) FUZZ_REQUIRE(c > 0x20 && c < 0x7F && c != '/' && c != '$' && c != '*');
    }
    return 0;
}
