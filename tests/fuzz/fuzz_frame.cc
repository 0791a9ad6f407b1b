// The walk over a frame finds what the generated code finds.
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/frame.h"
#include "rockdove/v1/frame.pb.h"
#include "tests/fuzz/require.h"

namespace {

[[maybe_unused]] const google::protobuf::LogHandler* const kQuiet =
    reinterpret_cast<const google::protobuf::LogHandler*>(google::protobuf::SetLogHandler(nullptr));

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const rockdove::base::Result<rockdove::protocol::FrameView> view = rockdove::protocol::read_frame(bytes);
    rockdove::v1::Frame frame;
    const bool parsed = frame.ParseFromArray(data, static_cast<int>(size));
    if (!view || !parsed) return 0;
    FUZZ_REQUIRE(view->request_id == frame.request_id());
    const auto kind = static_cast<std::uint32_t>(view->kind);
    if (frame.kind_case() == rockdove::v1::Frame::KIND_NOT_SET) {
        // A kind of which this version knows nothing, or no kind at all.
        FUZZ_REQUIRE(kind == 0 ||
                     rockdove::v1::Frame::descriptor()->FindFieldByNumber(static_cast<int>(kind)) == nullptr ||
                     kind == rockdove::v1::Frame::kRequestIdFieldNumber);
        return 0;
    }
    if (kind != static_cast<std::uint32_t>(frame.kind_case())) {
        // Only an unknown field behind the kind may hide it.
        FUZZ_REQUIRE(rockdove::v1::Frame::descriptor()->FindFieldByNumber(static_cast<int>(kind)) == nullptr ||
                     kind == rockdove::v1::Frame::kRequestIdFieldNumber);
    }
    FUZZ_REQUIRE(view->body.empty() || (view->body.data() >= bytes.data() &&
                                        view->body.data() + view->body.size() <= bytes.data() + bytes.size()));

    // What begin_frame writes is read back.
    std::string out;
    rockdove::protocol::begin_frame(out, view->request_id, view->kind, view->body.size());
    out += view->body;
    const auto again =
        rockdove::protocol::read_frame(std::string_view(out).substr(rockdove::protocol::kFramePrefixBytes));
    FUZZ_REQUIRE(again && again->request_id == view->request_id && again->body == view->body);
    return 0;
}
