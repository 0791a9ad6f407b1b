#include "protocol/base/ids.h"

#include <array>

namespace rockdove::base {

namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kIdBytes = 16;

using Raw = std::array<unsigned char, kIdBytes>;

void put_big(unsigned char* out, std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i, value >>= 8) out[i] = static_cast<unsigned char>(value);
}

std::uint64_t get_big(const unsigned char* in, int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | in[i];
    return value;
}

// 128 bits are 26 digits of 5 bits, the first of which holds only 3.
std::string encode(const Raw& raw) {
    std::string text(kMessageIdChars, '0');
    for (std::size_t digit = 0; digit < kMessageIdChars; ++digit) {
        unsigned value = 0;
        for (std::size_t i = 0; i < 5; ++i) {
            const std::size_t bit = digit * 5 + i;  // counted in 130 bits, of which the first two are padding
            value <<= 1;
            if (bit >= 2) value |= raw[(bit - 2) / 8] >> (7 - (bit - 2) % 8) & 1U;
        }
        text[digit] = kAlphabet[value];
    }
    return text;
}

int digit_value(char c) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    const std::size_t at = kAlphabet.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string id_prefix(std::int64_t commit_time_ms, QueueId queue) {
    unsigned char raw[kIdPrefixBytes];
    put_big(raw, static_cast<std::uint64_t>(commit_time_ms), 6);
    put_big(raw + 6, queue.value, 4);
    return std::string(reinterpret_cast<const char*>(raw), sizeof raw);
}

std::string format_message_id(std::string_view prefix, Sequence sequence) {
    RD_CHECK(prefix.size() == kIdPrefixBytes);
    Raw raw{};
    for (std::size_t i = 0; i < kIdPrefixBytes; ++i) raw[i] = static_cast<unsigned char>(prefix[i]);
    put_big(raw.data() + kIdPrefixBytes, sequence.value, 6);
    return encode(raw);
}

std::string format_message_id(const MessageId& id) {
    return format_message_id(id_prefix(id.commit_time_ms, id.queue), id.sequence);
}

Result<MessageId> parse_message_id(std::string_view text) {
    const Error bad(ErrorCode::kInvalid, "not a message id: \"" + std::string(text.substr(0, 64)) +
                                             "\" (26 letters and digits, as printed by send and receive)");
    if (text.size() != kMessageIdChars) return bad;
    Raw raw{};
    for (std::size_t digit = 0; digit < kMessageIdChars; ++digit) {
        const int value = digit_value(text[digit]);
        if (value < 0 || (digit == 0 && value > 7)) return bad;
        for (std::size_t i = 0; i < 5; ++i) {
            const std::size_t bit = digit * 5 + i;
            if (bit >= 2 && (value >> (4 - i) & 1) != 0) {
                raw[(bit - 2) / 8] |= static_cast<unsigned char>(1U << (7 - (bit - 2) % 8));
            }
        }
    }
    MessageId id;
    id.commit_time_ms = static_cast<std::int64_t>(get_big(raw.data(), 6));
    id.queue = QueueId(static_cast<std::uint32_t>(get_big(raw.data() + 6, 4)));
    id.sequence = Sequence(get_big(raw.data() + kIdPrefixBytes, 6));
    return id;
}

}  // namespace rockdove::base
