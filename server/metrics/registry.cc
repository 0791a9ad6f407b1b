#include "server/metrics/registry.h"

#include "protocol/base/check.h"

namespace rockdove::metrics {
namespace {

constexpr unsigned kLowestPower = 6;    // 64 us
constexpr unsigned kHighestPower = 26;  // 67 s

}  // namespace

Registry::Series& Registry::series(const std::string& name, Kind kind, const std::string& help, Labels labels) {
    Family& family = families_.try_emplace(name, Family{kind, help, {}}).first->second;
    RD_CHECK(family.kind == kind);
    for (Series& known : family.series) {
        if (known.labels == labels) return known;
    }
    Series& made = family.series.emplace_back();
    made.labels = std::move(labels);
    return made;
}

Counter& Registry::counter(const std::string& name, const std::string& help, Labels labels) {
    const std::lock_guard lock(mutex_);
    return series(name, Kind::kCounter, help, std::move(labels)).counter;
}

Gauge& Registry::gauge(const std::string& name, const std::string& help, Labels labels) {
    const std::lock_guard lock(mutex_);
    return series(name, Kind::kGauge, help, std::move(labels)).gauge;
}

Histogram& Registry::duration(const std::string& name, const std::string& help, Labels labels) {
    const std::lock_guard lock(mutex_);
    Series& found = series(name, Kind::kHistogram, help, std::move(labels));
    if (!found.histogram) found.histogram = std::make_unique<Histogram>();
    return *found.histogram;
}

void Registry::gauge_callback(const std::string& name, const std::string& help, std::function<double()> read) {
    const std::lock_guard lock(mutex_);
    series(name, Kind::kGauge, help, {}).read = std::move(read);
}

void Registry::collector(std::function<void(TextWriter&)> collect) {
    const std::lock_guard lock(mutex_);
    collectors_.push_back(std::move(collect));
}

std::string Registry::text() const {
    TextWriter writer;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, family] : families_) {
        writer.family(name, family.kind, family.help);
        for (const Series& one : family.series) {
            if (one.read) {
                writer.sample(one.labels, one.read());
            } else if (one.histogram) {
                writer.histogram(one.labels, *one.histogram, 1e-6, kLowestPower, kHighestPower);
            } else if (family.kind == Kind::kCounter) {
                writer.sample(one.labels, one.counter.value());
            } else {
                writer.sample(one.labels, one.gauge.value());
            }
        }
    }
    for (const auto& collect : collectors_) collect(writer);
    return writer.take();
}

}  // namespace rockdove::metrics
