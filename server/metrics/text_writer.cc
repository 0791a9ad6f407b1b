#include "server/metrics/text_writer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "server/metrics/histogram.h"

namespace rockdove::metrics {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
    for (const char c : text) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '"' && quotes) {
            out += "\\\"";
        } else {
            out.push_back(c);
        }
    }
}

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::kCounter:
            return "counter";
        case Kind::kGauge:
            return "gauge";
        case Kind::kHistogram:
            return "histogram";
    }
    return "untyped";
}

}  // namespace

std::string number_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::array<char, 32> buffer;
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return std::string(buffer.data(), result.ptr);
}

void TextWriter::family(std::string_view name, Kind kind, std::string_view help) {
    family_ = name;
    text_.append("# HELP ").append(name).push_back(' ');
    append_escaped(text_, help, false);
    text_.append("\n# TYPE ").append(name).append(" ").append(kind_name(kind)).push_back('\n');
}

void TextWriter::sample(const Labels& labels, double value) { line("", labels, "", number_text(value)); }
void TextWriter::sample(const Labels& labels, std::uint64_t value) { line("", labels, "", std::to_string(value)); }
void TextWriter::sample(const Labels& labels, std::int64_t value) { line("", labels, "", std::to_string(value)); }

void TextWriter::histogram(const Labels& labels, const Histogram& histogram, double scale, unsigned lowest,
                           unsigned highest) {
    // Values are whole units cut off, so "lower than 2^n" of the numbers is "at most 2^n" of what was measured.
    for (unsigned power = lowest; power <= highest; ++power) {
        const std::string bound = number_text(std::ldexp(scale, static_cast<int>(power)));
        line("_bucket", labels, "le=\"" + bound + "\"", std::to_string(histogram.count_below_power(power)));
    }
    const std::string count = std::to_string(histogram.count());
    line("_bucket", labels, "le=\"+Inf\"", count);
    line("_sum", labels, "", number_text(static_cast<double>(histogram.sum()) * scale));
    line("_count", labels, "", count);
}

void TextWriter::line(std::string_view suffix, const Labels& labels, std::string_view extra_label,
                      std::string_view value) {
    text_.append(family_).append(suffix);
    if (!labels.empty() || !extra_label.empty()) {
        char separator = '{';
        for (const auto& [name, text] : labels) {
            text_.push_back(separator);
            separator = ',';
            text_.append(name).append("=\"");
            append_escaped(text_, text, true);
            text_.push_back('"');
        }
        if (!extra_label.empty()) {
            text_.push_back(separator);
            text_.append(extra_label);
        }
        text_.push_back('}');
    }
    text_.append(" ").append(value).push_back('\n');
}

}  // namespace rockdove::metrics
