// What the load generators for other brokers share: options, threads, warm-up, measuring and the result line, by the same
// rules as `rockdove bench`.
//
//   NAME_load W1|W2|W4 --port N [--mode strict|relaxed] [--size 100] [--producers 1] [--subscribers 5] [--window 1000]
//             [--seconds 10] [--pid PID] [--disk NAME]
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench/roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {

struct Settings {
    std::string workload;
    std::string mode = "strict";
    std::string disk;
    std::uint16_t port = 0;
    std::size_t size = 100, producers = 1, subscribers = 5, window = 1000;
    double seconds = 10;
    int pid = 0;
};

// A producer or a consumer. run() returns after phase.stop, when what is open is answered; it throws what goes wrong.
class Role {
public:
    Role() = default;
    Role(const Role&) = delete;
    Role& operator=(const Role&) = delete;
    virtual ~Role() = default;
    virtual void run() = 0;

    std::atomic<std::uint64_t> done{0};     // messages confirmed or acknowledged
    std::vector<std::uint32_t> latency_us;  // from sending to confirm; one thread's until run() has ended

protected:
    void note_latency(const Phase& phase, std::int64_t sent_ns);
};

struct Peer {
    std::string name;
    std::string ack;        // of W2: multi or each
    bool fans_out = false;  // knows W4
    std::function<std::unique_ptr<Role>(const Settings&, std::uint64_t seed, Phase&)> producer;
    // Made before the producers; W4: numbered subscribers, each of which gets everything.
    std::function<std::unique_ptr<Role>(const Settings&, std::size_t number, Phase&)> consumer;
};

// Prints one line of JSON. Returns the exit code.
int load_main(int argc, char** argv, const Peer& peer);

}  // namespace rockdove::bench
