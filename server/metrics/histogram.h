// A distribution of whole numbers (microseconds, bytes) in fixed memory, about 8 KiB.
//
// Log-linear: every power of two is split into kSubBuckets equal parts, so a percentile is wrong by at
// most 1/(2 * kSubBuckets), three percent, over the whole range of 64 bits; values below kSubBuckets are exact.
// Runs on: any thread. record() is two relaxed additions. Readers see a slightly moving picture.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace rockdove::metrics {

class Histogram {
public:
    static constexpr unsigned kSubBits = 4;
    static constexpr std::uint64_t kSubBuckets = std::uint64_t{1} << kSubBits;
    static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSubBuckets;

    Histogram() = default;
    Histogram(const Histogram&) = delete;
    Histogram& operator=(const Histogram&) = delete;

    void record(std::uint64_t value) noexcept {
        buckets_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
        sum_.fetch_add(value, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t count() const noexcept;
    // Wraps around at 2^64.
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
    // The value that a share `q` (0 to 1) of the recorded ones does not exceed; 0 if none was recorded.
    [[nodiscard]] std::uint64_t percentile(double q) const noexcept;
    // How many recorded values are lower than 2^exponent. Exact. exponent <= 64.
    [[nodiscard]] std::uint64_t count_below_power(unsigned exponent) const noexcept;

    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        if (value < kSubBuckets) return static_cast<std::size_t>(value);
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
        return static_cast<std::size_t>((std::uint64_t{shift} << kSubBits) + (value >> shift));
    }
    // The lowest value that falls into `bucket`.
    [[nodiscard]] static constexpr std::uint64_t lower_bound(std::size_t bucket) noexcept {
        if (bucket < 2 * kSubBuckets) return bucket;
        const std::uint64_t shift = (bucket >> kSubBits) - 1;
        return (kSubBuckets + (bucket & (kSubBuckets - 1))) << shift;
    }

private:
    std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
    std::atomic<std::uint64_t> sum_{0};
};

}  // namespace rockdove::metrics
