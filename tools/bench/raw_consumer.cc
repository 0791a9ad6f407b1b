#include "tools/bench/raw_consumer.h"

#include <stdexcept>

namespace rockdove::bench {
namespace {

constexpr std::uint64_t kConsumer = 1;

}  // namespace

RawConsumer::RawConsumer(const std::string& endpoint, const std::string& name_space, const std::string& queue,
                         std::uint32_t credit)
    : connection_(endpoint, name_space) {
    v1::Frame consume;
    consume.mutable_consume()->set_queue(queue);
    consume.mutable_consume()->set_consumer(kConsumer);
    consume.mutable_consume()->set_name("bench");
    consume.mutable_consume()->set_credit_messages(credit);
    connection_.ask(std::move(consume));
    thread_ = std::thread([this] { run(); });
}

RawConsumer::~RawConsumer() {
    ending_ = true;
    connection_.shut_down();
    thread_.join();
}

// Appends what `frame` asks for: a settle for each message of a delivery.
void RawConsumer::answer(const v1::Frame& frame, std::string& out) {
    if (frame.kind_case() == v1::Frame::kPing) {
        v1::Frame pong;
        pong.set_request_id(frame.request_id());
        pong.mutable_pong();
        append_frame(pong, out);
    }
    if (frame.kind_case() != v1::Frame::kDeliver) return;
    const v1::Deliver& run = frame.deliver();
    v1::Frame ack;
    v1::Settle& settle = *ack.mutable_settle();
    settle.set_consumer(kConsumer);
    settle.set_outcome(v1::ACK);
    v1::SeqRange& range = *settle.add_ranges();
    range.set_epoch(run.epoch());
    range.set_lease(run.lease());
    for (int i = 0; i < run.messages_size(); ++i) {
        const std::uint64_t sequence = run.first_seq() + static_cast<std::uint64_t>(i);
        range.set_first_seq(sequence);
        range.set_last_seq(sequence);
        append_frame(ack, out);
    }
    consumed_.fetch_add(static_cast<std::uint64_t>(run.messages_size()), std::memory_order_relaxed);
}

void RawConsumer::run() {
    std::string out;
    try {
        do {
            out.clear();
            while (const auto bytes = connection_.take_frame()) {
                v1::Frame frame;
                if (!frame.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
                    throw std::runtime_error("the broker sent a malformed frame");
                }
                answer(frame, out);
            }
            if (!out.empty()) connection_.send(out);
        } while (connection_.read_more());
    } catch (const std::runtime_error&) {
        // The same as a closed connection: broken() tells.
    }
    if (!ending_) broken_ = true;
}

}  // namespace rockdove::bench
