#include "consumer.h"

#include <chrono>
#include <optional>
#include <utility>

#include "codes.h"
#include "payload.h"

namespace rdload {

namespace {

std::string mid_or_null(const rockdove::Job& job) {
    const std::optional<std::string> mid = check_job(job);
    return mid ? quoted(*mid) : "null";
}

}  // namespace

Consumer::Consumer(const std::string& folder, const std::string& name, const std::string& url, std::uint64_t seed,
                   std::string queue, Stop& stop)
    : client_(rockdove::ClientOptions(url).name(name).operation_timeout(kOperationTimeout)),
      history_(folder, name),
      queue_(std::move(queue)),
      stop_(stop),
      random_(seed) {}

Consumer::Fate Consumer::pick_fate() {
    const std::lock_guard lock(mutex_);
    std::discrete_distribution<int> fate({91, 3, 3, 1, 2});
    return static_cast<Fate>(fate(random_));
}

bool Consumer::note_delivery(const rockdove::Job& job) {
    const std::string mid = mid_or_null(job);
    const bool intact = mid != "null";
    history_.write("ok", "deliver",
                   {{"q", quoted(queue_)},
                    {"c", "1"},
                    {"e", std::to_string(job.fence().first)},
                    {"l", std::to_string(job.fence().second)},
                    {"a", std::to_string(job.attempt())},
                    {"lms", std::to_string(kLease.count())},
                    {"first", std::to_string(job.sequence())},
                    {"mids", "[" + mid + "]"},
                    {"bad", intact ? "[]" : "[[" + quoted(mid_of(job)) + ",\"content differs\"]]"}});
    return intact;
}

std::uint64_t Consumer::note_settle(const rockdove::Job& job, Fate fate) {
    static constexpr const char* kNames[] = {"ACK", "RETRY", "RELEASE", "REJECT", "RELEASE"};
    const std::string item = "[[" + quoted(mid_of(job)) + "," + std::to_string(job.sequence()) + "," +
                             std::to_string(job.fence().first) + "," + std::to_string(job.fence().second) + "]]";
    return history_.invoke(
        "settle", {{"q", quoted(queue_)}, {"c", "1"}, {"o", quoted(kNames[static_cast<int>(fate)])}, {"items", item}});
}

void Consumer::settle(rockdove::Job job, Fate fate) {
    const std::string stale = "[[" + std::to_string(job.sequence()) + "," + std::to_string(job.fence().first) + "," +
                              std::to_string(job.fence().second) + "]]";
    const std::string op = std::to_string(note_settle(job, fate));
    try {
        switch (fate) {
            case Fate::kAck:
                std::move(job).ack();
                break;
            case Fate::kRetry:
                std::move(job).retry("test", rockdove::Millis(100));
                break;
            case Fate::kRelease:
                std::move(job).release();
                break;
            case Fate::kReject:
                std::move(job).reject("test");
                break;
            case Fate::kDrop: {
                {
                    const rockdove::Job dropped = std::move(job);
                }  // released without an answer
                history_.write("info", "settle", {{"op", op}});
                return;
            }
        }
        history_.write("ok", "settle", {{"op", op}, {"stale", "[]"}});
    } catch (const rockdove::Error& error) {
        if (error.code() == rockdove::ErrorCode::kStaleLease) {
            history_.write("ok", "settle", {{"op", op}, {"stale", stale}});
        } else {
            history_.write("info", "settle", {{"op", op}, {"code", quoted(error.code().message())}});
        }
    }
}

void Consumer::leave() {
    history_.write("ok", "detach", {{"q", quoted(queue_)}, {"c", "1"}});
    client_.close();
    history_.close();
}

void Consumer::run_receiver() {
    {
        rockdove::Receiver receiver =
            client_.open_receiver(queue_, rockdove::WorkerOptions().prefetch(32).lease(kLease));
        while (!stop_.requested()) {
            std::optional<rockdove::Job> job = receiver.next(rockdove::Millis(50));
            if (!job) continue;
            const bool intact = note_delivery(*job);
            const Fate fate = intact ? pick_fate() : Fate::kReject;
            settle(std::move(*job), fate);
        }
        history_.write("ok", "detach", {{"q", quoted(queue_)}, {"c", "1"}});
    }
    leave();
}

void Consumer::run_worker() {
    rockdove::Worker worker = client_.receive(
        queue_,
        [this](rockdove::Job& job) -> rockdove::Outcome {
            const bool intact = note_delivery(job);
            const Fate fate = intact ? pick_fate() : Fate::kReject;
            // The worker settles after the handler and tells nobody how it went.
            history_.write("info", "settle", {{"op", std::to_string(note_settle(job, fate))}});
            switch (fate) {
                case Fate::kRetry:
                    return rockdove::Outcome::retry("test", rockdove::Millis(100));
                case Fate::kReject:
                    return rockdove::Outcome::reject("test");
                case Fate::kRelease:
                case Fate::kDrop:
                    return rockdove::Outcome::release();
                case Fate::kAck:
                    break;
            }
            return rockdove::Outcome::ack();
        },
        rockdove::WorkerOptions().concurrency(4).lease(kLease));
    while (!stop_.wait_for(std::chrono::seconds(1))) {
    }
    history_.write("ok", "detach", {{"q", quoted(queue_)}, {"c", "1"}});
    worker.stop();
    leave();
}

}  // namespace rdload
