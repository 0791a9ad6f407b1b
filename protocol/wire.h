// A walk over protobuf's wire format, field by field, without objects.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.h"

namespace rockdove::protocol {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
    std::uint32_t number = 0;
    WireType type = WireType::kVarint;
    std::uint64_t value = 0;  // kVarint, kFixed64, kFixed32
    std::string_view bytes;   // kBytes
};

//     FieldReader in(bytes);
//     while (in.next()) switch (in.field().number) { ... }
//     if (!in.ok()) refuse();
// Groups, field number 0, fields cut short, and tags or lengths of more than five bytes (which protobuf's own parsers
// refuse) end the walk with ok() false.
class FieldReader {
public:
    explicit FieldReader(std::string_view bytes) : in_(bytes) {}

    bool next() {
        if (in_.at_end()) return false;
        const std::uint64_t tag = short_varint();
        field_.number = static_cast<std::uint32_t>(tag >> 3);
        field_.type = static_cast<WireType>(tag & 7);
        if (!in_.ok() || field_.number == 0 || tag > UINT32_MAX) return fail();
        switch (field_.type) {
            case WireType::kVarint:
                field_.value = in_.varint();
                break;
            case WireType::kFixed64:
                field_.value = in_.fixed64();
                break;
            case WireType::kBytes:
                field_.bytes = in_.raw(short_varint());
                break;
            case WireType::kFixed32:
                field_.value = in_.fixed32();
                break;
            default:
                return fail();
        }
        return in_.ok() || fail();
    }
    [[nodiscard]] const Field& field() const { return field_; }
    [[nodiscard]] bool ok() const { return ok_; }

private:
    // More than 32 bits if it took more than five bytes.
    std::uint64_t short_varint() {
        const char* start = in_.position();
        const std::uint64_t value = in_.varint();
        return in_.position() - start > kMaxShortVarint ? UINT64_MAX : value;
    }
    bool fail() {
        ok_ = false;
        return false;
    }

    static constexpr std::ptrdiff_t kMaxShortVarint = 5;

    base::ByteReader in_;
    Field field_;
    bool ok_ = true;
};

// Appending the common cases; a field at its default value is left out, as proto3 does.
class FieldWriter {
public:
    explicit FieldWriter(std::string& out) : out_(out) {}

    void varint(std::uint32_t number, std::uint64_t value) {
        if (value == 0) return;
        out_.varint(number << 3);
        out_.varint(value);
    }
    void bytes(std::uint32_t number, std::string_view value) {
        if (value.empty()) return;
        out_.varint(number << 3 | 2);
        out_.string(value);
    }

private:
    base::ByteWriter out_;
};

inline std::size_t varint_field_size(std::uint32_t number, std::uint64_t value) {
    return value == 0 ? 0 : base::varint_size(number << 3) + base::varint_size(value);
}
inline std::size_t bytes_field_size(std::uint32_t number, std::size_t size) {
    return size == 0 ? 0 : base::varint_size(number << 3 | 2) + base::varint_size(size) + size;
}

}  // namespace rockdove::protocol
