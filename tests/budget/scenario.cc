// A message's whole way through the daemon but for sockets and threads, a fixed number of times: frame, core, commit,
// confirm, delivery, ack. budget.py counts its instructions.
//
//   budget_scenario memory|rocksdb BODY_BYTES MESSAGES
//
// Each commit takes 10 frames of 50 messages, delivers and acks as many. Too little is written for RocksDB to flush its buffer, so that nothing runs in the background.
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "protocol/message_view.h"
#include "rockdove/v1/frame.pb.h"
#include "server/core/namespace.h"
#include "server/core/opaque_format.h"
#include "server/core/stage.h"
#include "server/net/encode.h"
#include "storage/keys.h"
#include "storage/memory/memory_store.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "tests/support/temp_dir.h"

namespace rockdove {
namespace {

using namespace base;

constexpr std::size_t kFramesPerCommit = 10;
constexpr std::size_t kMessagesPerFrame = 50;
constexpr std::size_t kMaxMessage = std::size_t{16} << 20;
constexpr SessionId kSession{1};
constexpr std::uint64_t kConsumer = 1;
constexpr char kQueue[] = "jobs";

class Scenario final : core::Outlet, core::BlockReader {
public:
    Scenario(storage::MessageStore& store, std::size_t body_bytes)
        : store_(store),
          ns_(
              NamespaceId(1), "default", create_on_use(), stage_, static_cast<core::Outlet&>(*this),
              static_cast<core::BlockReader&>(*this), window_, [] { return 0.5; }, format_, [](const std::string&) {}) {
        window_.drop = [this](const core::WindowBudget::Trailing& block) { ns_.drop_payload(block); };
        stage_.begin(Lsn(store_.opened().last_lsn.value + 1), store_.opened().epoch);
        v1::Publish publish;
        publish.set_queue(kQueue);
        for (std::size_t i = 0; i < kMessagesPerFrame; ++i)
            publish.add_messages()->set_body(std::string(body_bytes, 'x'));
        body_ = publish.SerializeAsString();
        ns_.open_session(kSession, "", 0, now_, [](const Result<std::uint64_t>&) {});
        core::ConsumeRequest consume;
        consume.session = kSession;
        consume.queue = kQueue;
        consume.number = kConsumer;
        consume.name = "worker";
        consume.credit_messages = 10'000;
        consume.credit_bytes = std::uint64_t{1} << 30;
        if (!ns_.consume(consume, now_)) throw std::runtime_error("consume failed");
        commit();
    }

    void run(std::size_t messages) {
        const std::uint64_t begin = ns_.counters().acked;
        while (ns_.counters().acked - begin < messages) {
            for (std::size_t i = 0; i < kFramesPerCommit && published_ < begin + messages; ++i) publish();
            settle();
            commit();
        }
        if (confirmed_ != published_ || published_ != ns_.counters().acked)
            throw std::runtime_error("messages are missing");
    }

private:
    static core::NamespaceOptions create_on_use() {
        core::NamespaceOptions options;
        options.create_on_use = true;
        return options;
    }

    void publish() {
        if (!protocol::read_publish(body_, kMaxMessage, view_)) throw std::runtime_error("read_publish failed");
        core::PublishRequest request;
        request.session = kSession;
        request.request_id = ++request_id_;
        request.queue = view_.queue;
        request.records = view_.records;
        request.ends = view_.ends;
        ns_.publish(request, now_);
        published_ += view_.ends.size();
    }

    void settle() {
        if (held_.empty()) return;
        core::SettleRequest request;
        request.session = kSession;
        request.consumer = kConsumer;
        request.ranges.swap(held_);
        ns_.settle(request, now_);
    }

    void commit() {
        ns_.end_turn(now_);
        ns_.seal();
        if (stage_.writes().empty()) return;
        storage::CommitStamp stamp;
        stamp.lsn = stage_.lsn();
        stamp.time_ms = to_unix_ms(now_);
        const storage::WriteSet writes = stage_.take_writes();
        const std::vector<core::Effect> effects = stage_.take_effects();
        stage_.begin(Lsn(stamp.lsn.value + 1), stage_.epoch());
        if (store_.commit(writes, stamp).outcome != storage::CommitOutcome::kDurable) {
            throw std::runtime_error("commit failed");
        }
        stage_.set_committed(stamp.lsn);
        for (const core::Effect& effect : effects) core::execute(effect, nullptr, *this);
        ns_.on_committed();
        ns_.end_turn(now_);
        sent_.clear();  // stands for the socket
    }

    // core::Outlet
    void confirm(const core::Confirmation& confirmation) override {
        confirmed_ += confirmation.count;
        net::append_confirm(sent_, confirmation);
    }
    void deliver(const core::Delivery& delivery) override {
        net::append_delivery(sent_, delivery);
        core::LeaseRange range;
        range.first = delivery.first_seq;
        range.last = Sequence(delivery.first_seq.value + delivery.count - 1);
        range.epoch = delivery.epoch;
        range.lease = delivery.lease;
        held_.push_back(range);
    }
    void settled(const core::SettleReply&) override {}
    void started(const core::StartReply&) override {}
    void recall(const core::Recall&) override {}
    void fail(SessionId, std::uint64_t, const Error& error) override { throw std::runtime_error(error.text); }
    void consumer_closed(SessionId, std::uint64_t, const Error& error) override {
        throw std::runtime_error(error.text);
    }
    [[nodiscard]] bool has_room(SessionId) const override { return true; }
    // core::BlockReader: all that is delivered is still in memory
    void read(const core::ReadRequest&, core::ReadDone) override { throw std::runtime_error("a block was read"); }
    void read_dead(const core::DeadReadRequest&, core::DeadDone) override { throw std::runtime_error("nothing died"); }

    storage::MessageStore& store_;
    const TimePoint now_ = from_unix_ms(1'700'000'000'000);
    core::Stage stage_;
    core::WindowBudget window_;
    core::OpaqueFormat format_;
    core::Namespace ns_;
    protocol::PublishView view_;
    std::string body_;
    std::string sent_;
    std::vector<core::LeaseRange> held_;
    std::uint64_t request_id_ = 0;
    std::uint64_t published_ = 0;
    std::uint64_t confirmed_ = 0;
};

int run(const std::string& kind, std::size_t body_bytes, std::size_t messages) {
    const test::TempDir dir;
    std::unique_ptr<storage::MessageStore> store;
    if (kind == "memory") {
        store = std::make_unique<storage::MemoryStore>();
    } else {
        storage::OpenOptions options;
        options.path = dir.path("data");
        options.min_free_bytes = 0;
        options.memory_bytes = std::uint64_t{1} << 30;  // nothing is flushed
        options.log = std::make_shared<spdlog::logger>("quiet", std::make_shared<spdlog::sinks::null_sink_mt>());
        storage::RocksdbStore::Outcome outcome = storage::RocksdbStore::open(options);
        if (auto* failure = std::get_if<storage::OpenFailure>(&outcome)) throw std::runtime_error(failure->text);
        store = std::get<std::unique_ptr<storage::RocksdbStore>>(std::move(outcome));
    }
    Scenario(*store, body_bytes).run(messages);
    return 0;
}

}  // namespace
}  // namespace rockdove

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "budget_scenario memory|rocksdb BODY_BYTES MESSAGES\n");
        return 2;
    }
    try {
        return rockdove::run(argv[1], std::stoul(argv[2]), std::stoul(argv[3]));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "budget_scenario: %s\n", error.what());
        return 1;
    }
}
