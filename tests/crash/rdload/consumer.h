// Consumers of the C++ load: one takes jobs one by one and sees the answer to each settle, one uses a Worker.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>

#include "history.h"
#include "rockdove/client.h"
#include "stop.h"

namespace rdload {

class Consumer {
public:
    Consumer(const std::string& folder, const std::string& name, const std::string& url, std::uint64_t seed,
             std::string queue, Stop& stop);

    void run_receiver();
    void run_worker();

private:
    enum class Fate { kAck, kRetry, kRelease, kReject, kDrop };

    Fate pick_fate();
    // False if the job was damaged; then it is rejected unread.
    bool note_delivery(const rockdove::Job& job);
    std::uint64_t note_settle(const rockdove::Job& job, Fate fate);
    void settle(rockdove::Job job, Fate fate);
    void leave();

    rockdove::Client client_;
    History history_;
    std::string queue_;
    Stop& stop_;

    std::mutex mutex_;  // of random_: handlers run on several threads
    std::mt19937_64 random_;
};

}  // namespace rdload
