#include "server/metrics/histogram.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using rockdove::metrics::Histogram;

TEST_CASE("an empty histogram reads zero everywhere", "[metrics][histogram]") {
    const Histogram empty;
    CHECK(empty.count() == 0);
    CHECK(empty.sum() == 0);
    CHECK(empty.percentile(0.99) == 0);
}

TEST_CASE("every value lies within the bounds of its bucket", "[metrics][histogram]") {
    std::mt19937_64 random(1);
    for (int i = 0; i < 20000; ++i) {
        const std::uint64_t value = random() >> (random() % 64);
        const std::size_t bucket = Histogram::bucket_of(value);
        REQUIRE(bucket < Histogram::kBuckets);
        REQUIRE(Histogram::lower_bound(bucket) <= value);
        if (bucket + 1 < Histogram::kBuckets) REQUIRE(value < Histogram::lower_bound(bucket + 1));
    }
}

TEST_CASE("small values are exact", "[metrics][histogram]") {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 10; ++value) histogram.record(value);
    CHECK(histogram.count() == 10);
    CHECK(histogram.sum() == 55);
    CHECK(histogram.percentile(0.5) == 5);
    CHECK(histogram.percentile(1.0) == 10);
    CHECK(histogram.percentile(0.0) == 1);
}

TEST_CASE("percentiles of large values are right within four percent", "[metrics][histogram]") {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 100000; ++value) histogram.record(value);
    const double q = GENERATE(0.01, 0.5, 0.9, 0.99, 0.999);
    const double exact = q * 100000;
    CHECK(std::abs(static_cast<double>(histogram.percentile(q)) - exact) <= exact * 0.04);
}

TEST_CASE("counts below a power of two are exact", "[metrics][histogram]") {
    Histogram histogram;
    for (const std::uint64_t value : {0u, 1u, 63u, 64u, 65u, 1023u, 1024u}) histogram.record(value);
    histogram.record(~std::uint64_t{0});
    CHECK(histogram.count_below_power(0) == 1);
    CHECK(histogram.count_below_power(6) == 3);
    CHECK(histogram.count_below_power(10) == 6);
    CHECK(histogram.count_below_power(11) == 7);
    CHECK(histogram.count_below_power(64) == 8);
    CHECK(histogram.percentile(1.0) > std::uint64_t{1} << 63);
}
