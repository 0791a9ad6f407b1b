// Writes the Prometheus text format, version 0.0.4: families with help and type, samples with labels.
// Written by hand: it is four functions, while prometheus-cpp would want every number copied into its own
// objects first, for each reading.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rockdove::metrics {

class Histogram;

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };

// Appends to a string of its own. One thread at a time.
class TextWriter {
public:
    // Begins a family; its samples follow. All samples of one name must be together.
    void family(std::string_view name, Kind kind, std::string_view help);
    void sample(const Labels& labels, double value);
    void sample(const Labels& labels, std::uint64_t value);
    void sample(const Labels& labels, std::int64_t value);
    // Buckets at the powers of two from 2^lowest to 2^highest, each `scale` times its number; sum and count.
    void histogram(const Labels& labels, const Histogram& histogram, double scale, unsigned lowest, unsigned highest);

    [[nodiscard]] const std::string& text() const { return text_; }
    std::string take() { return std::move(text_); }

private:
    void line(std::string_view suffix, const Labels& labels, std::string_view extra_label, std::string_view value);

    std::string family_;
    std::string text_;
};

// 0.000064, 12, 1e+20: the shortest text that reads back as the same number.
std::string number_text(double value);

}  // namespace rockdove::metrics
