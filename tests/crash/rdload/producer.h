// A producer of the C++ load: sends pipelined through its own client and writes down what became of each message.
#pragma once

#include <cstdint>
#include <deque>
#include <future>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "history.h"
#include "rockdove/client.h"
#include "stop.h"

namespace rdload {

// Runs on: one thread, in run(). `stop` must outlive it.
class Producer {
public:
    Producer(const std::string& folder, std::string name, const std::string& url, std::uint64_t seed, double rate,
             std::vector<std::string> queues, Stop& stop);

    // Until stopped; then waits for all answers.
    void run();

private:
    struct Pending {
        std::uint64_t op;
        std::string queue;
        std::string mid;
        std::future<rockdove::Receipt> receipt;
    };

    void send_one();
    std::size_t pick_size();
    void finish(Pending pending);

    std::string name_;
    rockdove::Client client_;
    History history_;
    std::mt19937_64 random_;
    double rate_;
    std::vector<std::string> queues_;
    Stop& stop_;

    std::uint64_t count_ = 0;
    std::map<std::string, std::uint64_t> sent_to_;
    std::deque<Pending> pending_;
};

}  // namespace rdload
