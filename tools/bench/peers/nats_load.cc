// W1 and W2 against NATS JetStream, by the same rules as `rockdove bench`. A queue is a stream in files with retention by
// work queue and one durable pull consumer; every message is acknowledged by itself, since acknowledging several at once
// is not offered for such a stream.
//
//   nats_load W1|W2 --port N ...   options: load.h
//
// NATS confirms before it syncs ("relaxed"); this generator uses its C client.
#include <nats/nats.h>

#include <deque>
#include <mutex>
#include <stdexcept>

#include "tools/bench/peers/load.h"

namespace rockdove::bench {
namespace {

constexpr char kStream[] = "bench";
constexpr char kSubject[] = "bench.jobs";
constexpr char kConsumer[] = "workers";

void check(natsStatus status, const char* doing) {
    if (status != NATS_OK) throw std::runtime_error(std::string(doing) + ": " + natsStatus_GetText(status));
}

// A connection, and the stream on it; made by whoever comes first.
class Connection {
public:
    explicit Connection(const Settings& settings) {
        const std::string url = "nats://127.0.0.1:" + std::to_string(settings.port);
        check(natsConnection_ConnectTo(&connection_, url.c_str()), "connect");
        check(natsConnection_JetStream(&stream_, connection_, nullptr), "open JetStream");
        jsStreamConfig config;
        check(jsStreamConfig_Init(&config), "configure the stream");
        const char* subjects[] = {kSubject};
        config.Name = kStream;
        config.Subjects = subjects;
        config.SubjectsLen = 1;
        config.Storage = js_FileStorage;
        config.Retention = js_WorkQueuePolicy;
        check(js_AddStream(nullptr, stream_, &config, nullptr, nullptr), "make the stream");
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        jsCtx_Destroy(stream_);
        natsConnection_Destroy(connection_);
    }

    [[nodiscard]] natsConnection* get() const { return connection_; }
    [[nodiscard]] jsCtx* stream() const { return stream_; }

private:
    natsConnection* connection_ = nullptr;
    jsCtx* stream_ = nullptr;
};

// Publishes with a subject for the answer; answers come to one subscription, in order.
class NatsProducer final : public Role {
public:
    NatsProducer(const Settings& settings, std::uint64_t seed, Phase& phase)
        : settings_(settings), phase_(phase), bodies_(settings.size, seed), connection_(settings) {
        check(natsInbox_Create(&inbox_), "make an inbox");
        check(natsConnection_Subscribe(&answers_, connection_.get(), inbox_, on_answer, this), "subscribe");
        check(natsSubscription_SetPendingLimits(answers_, -1, -1), "subscribe");
    }
    ~NatsProducer() override {
        natsSubscription_Destroy(answers_);
        natsInbox_Destroy(inbox_);
    }

    void run() override {
        std::uint64_t sent = 0;
        while (!phase_.stop) {
            const std::uint64_t answered = done.load(std::memory_order_acquire);
            if (sent - answered >= settings_.window) {
                done.wait(answered, std::memory_order_acquire);
                continue;
            }
            const std::int64_t now = now_ns();
            const std::uint64_t room = settings_.window - (sent - answered);
            {
                const std::lock_guard lock(mutex_);
                open_.insert(open_.end(), room, now);
            }
            for (std::uint64_t i = 0; i < room; ++i, ++sent) {
                const std::string_view body = bodies_.next();
                check(natsConnection_PublishRequest(connection_.get(), kSubject, inbox_, body.data(),
                                                    static_cast<int>(body.size())),
                      "publish");
            }
        }
        for (std::uint64_t answered = done; answered != sent && !failed_; answered = done) done.wait(answered);
        if (failed_) throw std::runtime_error("NATS refused a message");
    }

private:
    static void on_answer(natsConnection*, natsSubscription*, natsMsg* message, void* self) {
        auto& producer = *static_cast<NatsProducer*>(self);
        const std::string_view text(natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message)));
        if (text.find("\"seq\"") == std::string_view::npos) {
            producer.failed_ = true;
            producer.phase_.stop = true;
        }
        natsMsg_Destroy(message);
        std::int64_t sent = 0;
        {
            const std::lock_guard lock(producer.mutex_);
            sent = producer.open_.front();
            producer.open_.pop_front();
        }
        producer.note_latency(producer.phase_, sent);
        producer.done.fetch_add(1, std::memory_order_release);
        producer.done.notify_one();
    }

    const Settings& settings_;
    Phase& phase_;
    Bodies bodies_;
    std::mutex mutex_;
    std::deque<std::int64_t> open_;  // when each was sent
    std::atomic<bool> failed_{false};
    Connection connection_;
    natsInbox* inbox_ = nullptr;
    natsSubscription* answers_ = nullptr;
};

class NatsConsumer final : public Role {
public:
    NatsConsumer(const Settings& settings, Phase& phase) : settings_(settings), phase_(phase), connection_(settings) {
        jsConsumerConfig config;
        check(jsConsumerConfig_Init(&config), "configure the consumer");
        config.Durable = kConsumer;
        config.AckPolicy = js_AckExplicit;
        config.MaxAckPending = static_cast<std::int64_t>(2 * settings.window);
        check(js_AddConsumer(nullptr, connection_.stream(), kStream, &config, nullptr, nullptr), "make the consumer");
        jsSubOptions options;
        check(jsSubOptions_Init(&options), "subscribe");
        options.Stream = kStream;
        options.Consumer = kConsumer;
        check(js_PullSubscribe(&jobs_, connection_.stream(), kSubject, kConsumer, nullptr, &options, nullptr),
              "subscribe");
    }
    ~NatsConsumer() override { natsSubscription_Destroy(jobs_); }

    void run() override {
        while (!phase_.stop) {
            natsMsgList jobs = {};
            const natsStatus status =
                natsSubscription_Fetch(&jobs, jobs_, static_cast<int>(settings_.window / 2), 100, nullptr);
            if (status != NATS_OK && status != NATS_TIMEOUT) check(status, "fetch");
            for (int i = 0; i < jobs.Count; ++i) check(natsMsg_Ack(jobs.Msgs[i], nullptr), "ack");
            done.fetch_add(static_cast<std::uint64_t>(jobs.Count), std::memory_order_relaxed);
            natsMsgList_Destroy(&jobs);
        }
    }

private:
    const Settings& settings_;
    Phase& phase_;
    Connection connection_;
    natsSubscription* jobs_ = nullptr;
};

}  // namespace
}  // namespace rockdove::bench

int main(int argc, char** argv) {
    using namespace rockdove::bench;
    Peer nats;
    nats.name = "nats";
    nats.ack = "each";
    nats.producer = [](const Settings& settings, std::uint64_t seed, Phase& phase) {
        return std::make_unique<NatsProducer>(settings, seed, phase);
    };
    nats.consumer = [](const Settings& settings, std::size_t, Phase& phase) {
        return std::make_unique<NatsConsumer>(settings, phase);
    };
    const int code = load_main(argc, argv, nats);
    nats_Close();
    return code;
}
