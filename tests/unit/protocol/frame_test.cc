#include "protocol/frame.h"

#include <catch2/catch.hpp>
#include <random>

#include "protocol/base/bytes.h"
#include "rockdove/v1/frame.pb.h"

namespace rockdove::protocol {
namespace {

TEST_CASE("every kind of frame has the number of the schema", "[protocol][frame]") {
    const google::protobuf::OneofDescriptor* kinds = v1::Frame::descriptor()->FindOneofByName("kind");
    REQUIRE(kinds != nullptr);
    for (int i = 0; i < kinds->field_count(); ++i) {
        const auto* field = kinds->field(i);
        v1::Frame frame;
        frame.set_request_id(7);
        frame.GetReflection()->MutableMessage(&frame, field);
        const std::string bytes = frame.SerializeAsString();
        const Result<FrameView> view = read_frame(bytes);
        REQUIRE(view);
        CHECK(view->request_id == 7);
        CHECK(static_cast<int>(view->kind) == field->number());
        CHECK(view->body.empty());
    }
    CHECK(static_cast<int>(FrameKind::kPublish) == v1::Frame::kPublish);
    CHECK(static_cast<int>(FrameKind::kDeliver) == v1::Frame::kDeliver);
    CHECK(static_cast<int>(FrameKind::kStats) == v1::Frame::kStats);
    CHECK(static_cast<int>(FrameKind::kClockInfo) == v1::Frame::kClockInfo);
    CHECK(static_cast<int>(FrameKind::kDeadList) == v1::Frame::kDeadList);
    CHECK(static_cast<int>(FrameKind::kTaskCancel) == v1::Frame::kTaskCancel);
    CHECK(static_cast<int>(FrameKind::kQueuePeekReply) == v1::Frame::kQueuePeekReply);
}

TEST_CASE("unknown fields are skipped, of several kinds the last counts", "[protocol][frame]") {
    std::string bytes;
    base::ByteWriter out(bytes);
    out.varint(900 << 3);
    out.varint(1);
    out.varint(5 << 3 | 2);  // ping
    out.string("abc");
    out.varint(901 << 3 | 5);
    out.fixed32(1);
    out.varint(10 << 3 | 2);  // publish
    out.string("def");
    out.varint(1 << 3);
    out.varint(3);
    out.varint(1 << 3);
    out.varint(4);
    const Result<FrameView> view = read_frame(bytes);
    REQUIRE(view);
    CHECK(view->request_id == 4);
    CHECK(view->kind == FrameKind::kPublish);
    CHECK(view->body == "def");
    CHECK(read_frame("")->kind == FrameKind::kNone);
}

TEST_CASE("what is not a frame is PROTOCOL, never more", "[protocol][frame]") {
    using namespace std::string_literals;
    for (const std::string& bytes : {"\x00"s, "\x08"s, "\x52\x05x"s, "\x53"s, "\x54"s, "\x56"s, "\x57"s,
                                     "\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"s, "\x02\x00"s}) {
        const Result<FrameView> view = read_frame(bytes);
        REQUIRE_FALSE(view);
        CHECK(view.error().code == ErrorCode::kProtocol);
    }
    std::mt19937_64 dice(1);
    for (int i = 0; i < 200'000; ++i) {
        std::string bytes(dice() % 24, '\0');
        for (char& c : bytes) c = static_cast<char>(dice());
        const Result<FrameView> view = read_frame(bytes);
        if (!view) continue;
        // Whatever is read lies within what was given.
        REQUIRE(view->body.size() <= bytes.size());
        if (!view->body.empty()) REQUIRE(view->body.data() >= bytes.data());
    }
}

TEST_CASE("begin_frame announces exactly what follows", "[protocol][frame]") {
    for (const std::size_t size : {0, 1, 127, 128, 16'383, 16'384, 3'000'000}) {
        for (const std::uint64_t request : {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX}) {
            const std::string body(size, 'x');
            std::string out = "before";
            begin_frame(out, request, FrameKind::kDeliver, size);
            out += body;
            base::ByteReader in(std::string_view(out).substr(6));
            const std::uint32_t length = in.fixed32();
            REQUIRE(length == in.left());
            const Result<FrameView> view = read_frame(in.raw(length));
            REQUIRE(view);
            CHECK(view->request_id == request);
            CHECK(view->kind == FrameKind::kDeliver);
            CHECK(view->body == body);
        }
    }
}

}  // namespace
}  // namespace rockdove::protocol
