// Encoding of integers and strings into bytes and back: varints and length-prefixed strings as protobuf
// writes them, fixed-width integers little-endian, and big-endian for keys that must sort.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace rockdove::base {

static_assert(std::endian::native == std::endian::little, "fixed-width fields are copied as they are");

inline constexpr std::size_t kMaxVarintBytes = 10;

inline std::size_t varint_size(std::uint64_t value) {
    return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Writes at most kMaxVarintBytes bytes at `out`; returns the end.
inline char* write_varint(char* out, std::uint64_t value) {
    while (value >= 0x80) {
        *out++ = static_cast<char>(value | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<char>(value);
    return out;
}

// Appends to a string it borrows.
class ByteWriter {
public:
    explicit ByteWriter(std::string& out) : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void fixed32(std::uint32_t value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
    void fixed64(std::uint64_t value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
    void big32(std::uint32_t value) { fixed32(__builtin_bswap32(value)); }
    void big64(std::uint64_t value) { fixed64(__builtin_bswap64(value)); }
    void varint(std::uint64_t value) {
        char buffer[16];  // more than kMaxVarintBytes: g++ 12 warns of copies it thinks could be longer
        out_.append(buffer, static_cast<std::size_t>(write_varint(buffer, value) - buffer));
    }
    void signed_varint(std::int64_t value) {
        varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
    }
    void raw(std::string_view bytes) { out_.append(bytes); }
    void string(std::string_view bytes) {
        varint(bytes.size());
        raw(bytes);
    }

private:
    std::string& out_;
};

// Reads from bytes it borrows. After the first read past the end (or a malformed varint) ok() is false and
// every read gives zero or empty: check once, at the end.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool at_end() const { return at_ == end_; }
    [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    [[nodiscard]] const char* position() const { return at_; }

    std::uint8_t u8() { return fixed<std::uint8_t>(); }
    std::uint32_t fixed32() { return fixed<std::uint32_t>(); }
    std::uint64_t fixed64() { return fixed<std::uint64_t>(); }
    std::uint32_t big32() { return __builtin_bswap32(fixed<std::uint32_t>()); }
    std::uint64_t big64() { return __builtin_bswap64(fixed<std::uint64_t>()); }

    std::uint64_t varint() {
        if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) return static_cast<unsigned char>(*at_++);
        return long_varint();
    }
    std::int64_t signed_varint() {
        const std::uint64_t value = varint();
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
    std::string_view raw(std::uint64_t size) {
        if (size > left()) return fail(), std::string_view();
        const std::string_view bytes(at_, static_cast<std::size_t>(size));
        at_ += size;
        return bytes;
    }
    std::string_view string() { return raw(varint()); }

private:
    template <class T>
    T fixed() {
        T value = 0;
        if (left() < sizeof value) return fail(), T{0};
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::uint64_t long_varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 70 && at_ != end_; shift += 7) {
            const auto byte = static_cast<unsigned char>(*at_++);
            if (shift == 63 && byte > 1) break;  // more than 64 bits
            value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        return fail(), 0;
    }
    void fail() {
        ok_ = false;
        at_ = end_;
    }

    const char* at_;
    const char* end_;
    bool ok_ = true;
};

}  // namespace rockdove::base
