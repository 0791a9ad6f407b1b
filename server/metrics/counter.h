// A number that only grows, and one that goes up and down: an atomic each, so that any thread may
// touch them at the price of one relaxed addition.
// Runs on: any thread. Never blocks, never fails. Readers see each value at some moment, not all at one moment.
#pragma once

#include <atomic>
#include <cstdint>

namespace rockdove::metrics {

class Counter {
public:
    void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
    // For a number that is counted elsewhere and copied here. Must not go back.
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
public:
    void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

}  // namespace rockdove::metrics
