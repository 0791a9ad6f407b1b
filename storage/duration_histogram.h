// How long things took: a log-linear histogram (16 steps per power of two, so within 7 %) of nanoseconds.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace rockdove::storage {

// One writer; readers on any thread, who see recent values but not one instant's.
class DurationHistogram {
public:
    void record(std::chrono::nanoseconds duration) {
        const auto value = static_cast<std::uint64_t>(duration.count() < 0 ? 0 : duration.count());
        auto& bucket = buckets_[bucket_of(value)];
        bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

    // The duration that `share` (0 to 1) of all recorded ones do not exceed; 0 if there are none.
    [[nodiscard]] std::chrono::nanoseconds quantile(double share) const {
        std::uint64_t total = 0;
        for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
        const double wanted = share * static_cast<double>(total);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets && total > 0; ++i) {
            seen += buckets_[i].load(std::memory_order_relaxed);
            if (seen > 0 && static_cast<double>(seen) >= wanted) {
                return std::chrono::nanoseconds(static_cast<std::int64_t>(upper_edge(i)));
            }
        }
        return std::chrono::nanoseconds(0);
    }

private:
    static constexpr int kStepBits = 4;
    static constexpr std::size_t kBuckets = std::size_t{64} << kStepBits;

    // Values below 16 have their own buckets; above, the 4 bits behind the highest one choose the step.
    static std::size_t bucket_of(std::uint64_t value) {
        if (value < (1U << kStepBits)) return value;
        const int shift = std::bit_width(value) - 1 - kStepBits;
        const std::size_t step = (value >> shift) & ((1U << kStepBits) - 1);
        return (static_cast<std::size_t>(shift + 1) << kStepBits) + step;
    }
    static std::uint64_t upper_edge(std::size_t bucket) {
        if (bucket < (1U << kStepBits)) return bucket;
        const std::size_t shift = (bucket >> kStepBits) - 1;
        const std::uint64_t step = bucket & ((1U << kStepBits) - 1);
        return (((std::uint64_t{1} << kStepBits) + step + 1) << shift) - 1;
    }

    std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
    std::atomic<std::uint64_t> count_{0};
};

}  // namespace rockdove::storage
