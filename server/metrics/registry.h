// All metrics of one process, by name, and their text for /metrics.
//
// Runs on: any thread; making a metric and reading the text take a lock, counting does not.
// Owns:    the metrics it makes; references stay valid as long as the registry lives. Borrows what its
//          callbacks refer to: they run on the thread that calls text() and must not block.
// Limits:  made at start-up, a fixed set. Numbers that come and go (a queue's) are written by a collector,
//          which keeps its own bound on series.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/metrics/counter.h"
#include "server/metrics/histogram.h"
#include "server/metrics/text_writer.h"

namespace rockdove::metrics {

class Registry {
public:
    // The same name and labels give the same metric. A name must keep its kind (RD_CHECK).
    Counter& counter(const std::string& name, const std::string& help, Labels labels = {});
    Gauge& gauge(const std::string& name, const std::string& help, Labels labels = {});
    // For durations recorded in microseconds and shown in seconds, from 64 us to 67 s.
    Histogram& duration(const std::string& name, const std::string& help, Labels labels = {});
    // A gauge that is asked for at each reading.
    void gauge_callback(const std::string& name, const std::string& help, std::function<double()> read);
    // Writes whole families by itself, after all others.
    void collector(std::function<void(TextWriter&)> collect);

    [[nodiscard]] std::string text() const;

private:
    struct Series {
        Labels labels;
        Counter counter;
        Gauge gauge;
        std::unique_ptr<Histogram> histogram;
        std::function<double()> read;
    };
    struct Family {
        Kind kind;
        std::string help;
        std::deque<Series> series;
    };
    Series& series(const std::string& name, Kind kind, const std::string& help, Labels labels);

    mutable std::mutex mutex_;  // guards the shape of both; the numbers are atomic
    std::map<std::string, Family> families_;
    std::deque<std::function<void(TextWriter&)>> collectors_;
};

}  // namespace rockdove::metrics
