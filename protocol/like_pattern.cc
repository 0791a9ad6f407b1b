#include "protocol/like_pattern.h"

#include <string>

namespace rockdove::protocol {

namespace {

constexpr int kAnyCharacter = -1;

// The second byte of a UTF-8 character, or one behind it.
bool continues(unsigned char byte) { return (byte & 0xC0) == 0x80; }

template <class States>
void set(States& states, std::size_t i) {
    states[i / 64] |= std::uint64_t{1} << (i % 64);
}

}  // namespace

Result<LikePattern> LikePattern::parse(std::string_view pattern) {
    LikePattern out;
    std::vector<int> elements;  // bytes, or kAnyCharacter
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '%') {
            set(out.stay_, elements.size());
            continue;
        }
        if (elements.size() == kMaxLikeBytes) {
            return Error(ErrorCode::kInvalid, "a pattern of more than " + std::to_string(kMaxLikeBytes) + " bytes");
        }
        if (c == '_') {
            elements.push_back(kAnyCharacter);
            set(out.tail_, elements.size());
            continue;
        }
        if (c == '\\' && (++i == pattern.size() || (pattern[i] != '%' && pattern[i] != '_' && pattern[i] != '\\'))) {
            return Error(ErrorCode::kInvalid, "a \\ stands before %, _ or another \\ only");
        }
        elements.push_back(static_cast<unsigned char>(pattern[i]));
    }
    out.last_ = elements.size();
    out.words_ = out.last_ / 64 + 1;
    // Rows: for a byte that begins a character, for one that continues it, then one for each byte of the pattern.
    out.steps_.resize(2);
    for (std::size_t i = 0; i < elements.size(); ++i) {
        if (elements[i] == kAnyCharacter) set(out.steps_[0], i);
    }
    for (unsigned byte = 0x80; byte < 0xC0; ++byte) out.row_[byte] = 1;
    std::array<bool, 256> own{};
    for (std::size_t i = 0; i < elements.size(); ++i) {
        if (elements[i] == kAnyCharacter) continue;
        const auto byte = static_cast<std::size_t>(elements[i]);
        if (!own[byte]) {
            own[byte] = true;
            out.steps_.push_back(out.steps_[out.row_[byte]]);
            out.row_[byte] = static_cast<std::uint16_t>(out.steps_.size() - 1);
        }
        set(out.steps_[out.row_[byte]], i);
    }
    return out;
}

bool LikePattern::matches(std::string_view text) const {
    States now{};
    set(now, 0);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const States& step = steps_[row_[byte]];
        const bool tail = continues(byte);
        std::uint64_t carry = 0;
        std::uint64_t any = 0;
        for (std::size_t w = 0; w < words_; ++w) {
            const std::uint64_t on = now[w] & step[w];
            const std::uint64_t stays = now[w] & (stay_[w] | (tail ? tail_[w] : 0));
            now[w] = on << 1 | carry | stays;
            carry = on >> 63;
            any |= now[w];
        }
        if (any == 0) return false;
    }
    return (now[last_ / 64] >> (last_ % 64) & 1) != 0;
}

}  // namespace rockdove::protocol
