#include "producer.h"

#include <algorithm>
#include <chrono>

#include "codes.h"
#include "payload.h"

namespace rdload {

namespace {

constexpr std::size_t kWindow = 200;
constexpr double kBurst = 40;

}  // namespace

Producer::Producer(const std::string& folder, std::string name, const std::string& url, std::uint64_t seed, double rate,
                   std::vector<std::string> queues, Stop& stop)
    : name_(std::move(name)),
      client_(rockdove::ClientOptions(url).name(name_).producer_id(name_).operation_timeout(kOperationTimeout)),
      history_(folder, name_),
      random_(seed),
      rate_(rate),
      queues_(std::move(queues)),
      stop_(stop) {}

void Producer::run() {
    using Clock = std::chrono::steady_clock;
    Clock::time_point counted = Clock::now();
    double tokens = 0;
    while (!stop_.requested()) {
        const Clock::time_point now = Clock::now();
        tokens = std::min(tokens + std::chrono::duration<double>(now - counted).count() * rate_, kBurst);
        counted = now;
        for (; tokens >= 1 && pending_.size() < kWindow; tokens -= 1) send_one();
        while (!pending_.empty() &&
               pending_.front().receipt.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
            finish(std::move(pending_.front()));
            pending_.pop_front();
        }
        stop_.wait_for(std::chrono::milliseconds(5));
    }
    for (; !pending_.empty(); pending_.pop_front()) finish(std::move(pending_.front()));
    client_.close();
    history_.close();
}

std::size_t Producer::pick_size() {
    struct Range {
        std::size_t low, high;
    };
    static constexpr Range kRanges[] = {
        {16, 200}, {200, 2'000}, {2'000, 30'000}, {30'000, 200'000}, {1 << 20, 1 << 20}};
    std::discrete_distribution<std::size_t> kind({70, 20, 8, 1.8, 0.2});
    const Range range = kRanges[kind(random_)];
    return std::uniform_int_distribution<std::size_t>(range.low, range.high)(random_);
}

void Producer::send_one() {
    const std::string& queue = queues_[random_() % queues_.size()];
    std::string mid = name_ + "." + std::to_string(++count_);
    rockdove::Message message = make_message(mid, ++sent_to_[queue], pick_size());
    const std::uint64_t op = history_.invoke(
        "publish",
        {{"q", quoted(queue)}, {"c", "1"}, {"pseq", std::to_string(count_)}, {"mids", "[" + quoted(mid) + "]"}});
    pending_.push_back(Pending{op, queue, std::move(mid), client_.send_async(queue, std::move(message))});
}

void Producer::finish(Pending pending) {
    const std::string op = std::to_string(pending.op);
    try {
        const rockdove::Receipt receipt = pending.receipt.get();
        const std::string row = "[[" + quoted(pending.mid) + "," + std::to_string(receipt.sequence) + "," +
                                (receipt.duplicate ? "true" : "false") + "]]";
        history_.write("ok", "publish", {{"op", op}, {"q", quoted(pending.queue)}, {"res", row}, {"fails", "[]"}});
    } catch (const rockdove::Error& error) {
        const bool unknown = outcome_unknown(error);
        history_.write(unknown ? "info" : "fail", "publish",
                       {{"op", op},
                        {"q", quoted(pending.queue)},
                        {"mids", "[" + quoted(pending.mid) + "]"},
                        {"code", quoted(error.code().message())},
                        {"text", quoted(error.detail())}});
    }
}

}  // namespace rdload
