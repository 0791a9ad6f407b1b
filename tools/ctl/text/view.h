// How results are printed: one description of the data, seven formats.
//
// Commands build JSON values with raw numbers (seconds, bytes, RFC 3339 times) and say which of them are
// columns; what a terminal shows is derived from it, so the formats cannot disagree.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rockdove::ctl {

using Json = nlohmann::ordered_json;

// kAuto: a table on a terminal, tab-separated values otherwise.
enum class OutputFormat { kAuto, kTable, kWide, kJson, kJsonl, kYaml, kCsv, kName };
std::optional<OutputFormat> parse_output_format(std::string_view name);

// How a table on a terminal writes a value; the other formats keep it raw.
enum class Kind { kText, kCount, kBytes, kSeconds, kTime, kState };

struct Column {
    std::string key;    // snake_case name in the JSON
    std::string title;  // in capitals
    Kind kind = Kind::kText;
    bool wide = false;  // only with -o wide or when asked for by name
};

struct View {
    OutputFormat format = OutputFormat::kAuto;
    bool terminal = false;
    bool color = false;
    bool headers = true;
    std::vector<std::string> columns;  // keys or titles; empty: all that are not wide
    std::string sort;                  // key; "-key" or "key:desc" turns it round
    std::size_t limit = 0;             // 0: all
};

// Text for stdout, or a usage error (unknown column).
struct Rendered {
    std::string text;
    std::string error;
};

// A list of like things. JSON: {"api_version":"v1", PLURAL: [...]}; JSON lines: one object a line.
Rendered render_list(const View& view, const std::string& plural, std::vector<Json> rows,
                     const std::vector<Column>& columns, const std::string& name_key);

// One thing. A table shows a line per field; its JSON is the object itself with "api_version" in front.
Rendered render_record(const View& view, const Json& record, const std::vector<Column>& fields,
                       const std::string& name_key);

// {"api_version":"v1"} to be filled.
Json new_document();

// On one line, invalid UTF-8 replaced.
std::string to_json_line(const Json& value);
std::string to_json_text(const Json& value);
std::string to_yaml(const Json& value);

// A value as people read it: "1,204", "3h 2m", "-" for null.
std::string humanize(const Json& value, Kind kind);

}  // namespace rockdove::ctl
