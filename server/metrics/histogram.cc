#include "server/metrics/histogram.h"

#include <algorithm>
#include <cmath>

namespace rockdove::metrics {

static_assert(Histogram::bucket_of(~std::uint64_t{0}) == Histogram::kBuckets - 1);
static_assert(Histogram::lower_bound(Histogram::bucket_of(std::uint64_t{1} << 40)) == std::uint64_t{1} << 40);

std::uint64_t Histogram::count() const noexcept { return count_below_power(64); }

std::uint64_t Histogram::percentile(double q) const noexcept {
    // One copy, so that total and walk agree while others record.
    std::array<std::uint64_t, kBuckets> seen;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) total += seen[i] = buckets_[i].load(std::memory_order_relaxed);
    if (total == 0) return 0;
    const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(total));
    const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, total);
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        passed += seen[i];
        if (passed < rank) continue;
        const std::uint64_t low = lower_bound(i);
        const std::uint64_t width = i + 1 < kBuckets ? lower_bound(i + 1) - low : ~std::uint64_t{0} - low + 1;
        return low + (width - 1) / 2;
    }
    return 0;
}

std::uint64_t Histogram::count_below_power(unsigned exponent) const noexcept {
    const std::size_t end = exponent >= 64 ? kBuckets : bucket_of(std::uint64_t{1} << exponent);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < end; ++i) total += buckets_[i].load(std::memory_order_relaxed);
    return total;
}

}  // namespace rockdove::metrics
