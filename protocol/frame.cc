#include "protocol/frame.h"

#include "protocol/wire.h"

namespace rockdove::protocol {

Result<FrameView> read_frame(std::string_view bytes) {
    FrameView view;
    FieldReader in(bytes);
    while (in.next()) {
        const Field& field = in.field();
        if (field.number == 1 && field.type == WireType::kVarint) {
            view.request_id = field.value;
        } else if (field.type == WireType::kBytes) {
            view.kind = static_cast<FrameKind>(field.number);
            view.body = field.bytes;
        }
    }
    if (!in.ok()) return Error(ErrorCode::kProtocol, "a frame that is not a protobuf message");
    return view;
}

void begin_frame(std::string& out, std::uint64_t request_id, FrameKind kind, std::size_t body_bytes) {
    const std::uint32_t number = static_cast<std::uint32_t>(kind);
    const std::size_t size = varint_field_size(1, request_id) + base::varint_size(number << 3 | 2) +
                             base::varint_size(body_bytes) + body_bytes;
    base::ByteWriter writer(out);
    writer.fixed32(static_cast<std::uint32_t>(size));
    FieldWriter(out).varint(1, request_id);
    writer.varint(number << 3 | 2);
    writer.varint(body_bytes);
}

}  // namespace rockdove::protocol
