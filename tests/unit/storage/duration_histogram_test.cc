#include "storage/duration_histogram.h"

#include <catch2/catch.hpp>

namespace rockdove::storage {
namespace {

using std::chrono::nanoseconds;

TEST_CASE("an empty histogram has no durations", "[storage][histogram]") {
    const DurationHistogram histogram;
    CHECK(histogram.count() == 0);
    CHECK(histogram.quantile(0.99) == nanoseconds(0));
}

TEST_CASE("quantiles lie at most 7 % above the true ones", "[storage][histogram]") {
    const std::int64_t unit = GENERATE(std::int64_t{1}, 17, 1'000, 1'000'000, 3'000'000'000);
    DurationHistogram histogram;
    for (std::int64_t i = 1; i <= 1000; ++i) histogram.record(nanoseconds(i * unit));
    CHECK(histogram.count() == 1000);
    for (const double share : {0.01, 0.5, 0.99, 1.0}) {
        const double exact = share * 1000 * static_cast<double>(unit);
        const auto estimate = static_cast<double>(histogram.quantile(share).count());
        CHECK(estimate >= exact);
        CHECK(estimate <= exact * 1.07 + 1);
    }
}

TEST_CASE("a histogram takes the shortest and the longest duration", "[storage][histogram]") {
    DurationHistogram histogram;
    histogram.record(nanoseconds(-5));
    CHECK(histogram.quantile(1) == nanoseconds(0));
    histogram.record(nanoseconds::max());
    CHECK(histogram.quantile(1) == nanoseconds::max());
}

}  // namespace
}  // namespace rockdove::storage
