#include "client/src/trace.h"

#include <atomic>
#include <cstdio>
#include <string>

#include "client/src/call.h"
#include "protocol/frame.h"

namespace rockdove {

namespace {

std::atomic<bool> tracing{false};

}  // namespace

void trace_frames(bool on) { tracing.store(on); }

void detail::trace_frame(char direction, std::string_view frame) {
    if (!tracing.load(std::memory_order_relaxed)) return;
    const base::Result<protocol::FrameView> view = protocol::read_frame(frame);
    std::string kind = "broken";
    if (view) {
        const auto number = static_cast<int>(view->kind);
        const auto* field = v1::Frame::descriptor()->FindFieldByNumber(number);
        kind = field != nullptr ? std::string(field->name()) : "kind " + std::to_string(number);
    }
    std::fprintf(stderr, "%c %-16s request=%llu bytes=%zu\n", direction, kind.c_str(),
                 static_cast<unsigned long long>(view ? view->request_id : 0), frame.size());
}

}  // namespace rockdove
