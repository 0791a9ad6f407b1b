// A load through the C++ client library, for the crash harnesses: two producers, two receivers, one worker. Runs until
// its stdin is closed, then ends in order.
//
//     rdload FOLDER NAME HOST:PORT SEED RATE
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "consumer.h"
#include "producer.h"
#include "stop.h"

int main(int argc, char** argv) {
    if (argc != 6) {
        std::cerr << "usage: rdload FOLDER NAME HOST:PORT SEED RATE\n";
        return 64;
    }
    const std::string folder = argv[1];
    const std::string name = argv[2];
    const std::string url = std::string("rockdove://") + argv[3];
    const std::uint64_t seed = std::strtoull(argv[4], nullptr, 10);
    const double rate = std::strtod(argv[5], nullptr);

    rdload::Stop stop;
    std::atomic<bool> failed{false};
    std::vector<std::thread> threads;
    const auto start = [&](const std::string& part, std::function<void(const std::string&)> run) {
        threads.emplace_back([&failed, full = name + "-" + part, run = std::move(run)] {
            try {
                run(full);
            } catch (const std::exception& error) {
                std::cerr << full << ": " << error.what() << "\n";
                failed = true;
            }
        });
    };
    start("p0", [&](const std::string& who) {
        rdload::Producer(folder, who, url, seed, rate, {"mixed", "busy", "mixed", "busy", "mixed", "busy", "fifo"},
                         stop)
            .run();
    });
    start("p1", [&](const std::string& who) {
        rdload::Producer(folder, who, url, seed + 1, rate, {"mixed", "tired", "quick"}, stop).run();
    });
    start("c0",
          [&](const std::string& who) { rdload::Consumer(folder, who, url, seed + 2, "mixed", stop).run_receiver(); });
    start("c1",
          [&](const std::string& who) { rdload::Consumer(folder, who, url, seed + 3, "quick", stop).run_receiver(); });
    start("c2",
          [&](const std::string& who) { rdload::Consumer(folder, who, url, seed + 4, "busy", stop).run_worker(); });
    while (std::getchar() != EOF) {
    }
    stop.request();
    for (std::thread& thread : threads) thread.join();
    return failed ? 1 : 0;
}
