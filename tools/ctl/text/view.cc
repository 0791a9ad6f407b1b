#include "tools/ctl/text/view.h"

#include <algorithm>
#include <array>

#include "tools/ctl/text/suggest.h"
#include "tools/ctl/text/table.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::array<std::pair<std::string_view, OutputFormat>, 8> kFormats = {{{"auto", OutputFormat::kAuto},
                                                                                {"table", OutputFormat::kTable},
                                                                                {"wide", OutputFormat::kWide},
                                                                                {"json", OutputFormat::kJson},
                                                                                {"jsonl", OutputFormat::kJsonl},
                                                                                {"yaml", OutputFormat::kYaml},
                                                                                {"csv", OutputFormat::kCsv},
                                                                                {"name", OutputFormat::kName}}};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

Json at(const Json& row, const std::string& key) { return row.contains(key) ? row.at(key) : Json(); }

const Column* find_column(const std::vector<Column>& columns, std::string_view name) {
    for (const Column& column : columns) {
        if (column.key == name || lower(column.title) == lower(name)) return &column;
    }
    return nullptr;
}

std::string unknown_column(std::string_view name, const std::vector<Column>& columns) {
    std::vector<std::string> keys;
    std::string list;
    for (const Column& column : columns) {
        keys.push_back(column.key);
        list += (list.empty() ? "" : ", ") + column.key;
    }
    return "unknown column \"" + std::string(name) + "\"." + did_you_mean(name, keys) + " Columns: " + list;
}

Json with_version(const Json& record) {
    Json document = new_document();
    for (const auto& [key, value] : record.items()) document[key] = value;
    return document;
}

bool less(const Json& a, const Json& b) {
    if (a.is_number() && b.is_number()) return a < b;
    if (a.is_string() && b.is_string()) return a.get_ref<const std::string&>() < b.get_ref<const std::string&>();
    return a.is_null() && !b.is_null();
}

// Sorts and cuts; an error text if the column is unknown.
std::string arrange(const View& view, std::vector<Json>& rows, const std::vector<Column>& columns) {
    if (!view.sort.empty()) {
        std::string name = view.sort;
        bool down = false;
        if (name.starts_with('-')) down = true, name.erase(0, 1);
        if (name.ends_with(":desc")) down = true, name.resize(name.size() - 5);
        if (name.ends_with(":asc")) name.resize(name.size() - 4);
        const Column* column = find_column(columns, name);
        if (column == nullptr) return unknown_column(name, columns);
        std::stable_sort(rows.begin(), rows.end(), [&](const Json& a, const Json& b) {
            return down ? less(at(b, column->key), at(a, column->key)) : less(at(a, column->key), at(b, column->key));
        });
    }
    if (view.limit > 0 && rows.size() > view.limit) rows.resize(view.limit);
    return "";
}

Rendered render_cells(const View& view, const std::vector<Json>& rows, const std::vector<Column>& all) {
    std::vector<Column> chosen;
    for (const std::string& name : view.columns) {
        const Column* column = find_column(all, name);
        if (column == nullptr) return {"", unknown_column(name, all)};
        chosen.push_back(*column);
    }
    const bool everything = view.format == OutputFormat::kWide || view.format == OutputFormat::kCsv;
    if (chosen.empty()) {
        std::copy_if(all.begin(), all.end(), std::back_inserter(chosen),
                     [&](const Column& column) { return everything || !column.wide; });
    }
    if (view.format == OutputFormat::kCsv) return {csv(chosen, rows, view.headers), ""};
    const bool aligned = view.terminal || view.format != OutputFormat::kAuto;
    return {aligned ? aligned_table(chosen, rows, view.headers, view.color) : tab_separated(chosen, rows, view.headers),
            ""};
}

}  // namespace

std::optional<OutputFormat> parse_output_format(std::string_view name) {
    for (const auto& [text, format] : kFormats) {
        if (text == name) return format;
    }
    return std::nullopt;
}

Json new_document() { return Json{{"api_version", "v1"}}; }

std::string to_json_line(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_json_text(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string humanize(const Json& value, Kind kind) {
    if (value.is_null()) return "-";
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number()) {
        const auto number = value.get<double>();
        if (kind == Kind::kSeconds) return format_duration(Millis(static_cast<Millis::rep>(number * 1000 + 0.5)));
        if (value.is_number_unsigned() || (value.is_number_integer() && number >= 0)) {
            const auto count = value.get<std::uint64_t>();
            return kind == Kind::kBytes   ? format_size(count)
                   : kind == Kind::kCount ? format_count(count)
                                          : std::to_string(count);
        }
        return value.is_number_integer() ? std::to_string(value.get<std::int64_t>()) : format_decimal(number);
    }
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Rendered render_list(const View& view, const std::string& plural, std::vector<Json> rows,
                     const std::vector<Column>& columns, const std::string& name_key) {
    if (const std::string error = arrange(view, rows, columns); !error.empty()) return {"", error};
    std::string out;
    switch (view.format) {
        case OutputFormat::kJson:
        case OutputFormat::kYaml: {
            Json document = new_document();
            document[plural] = rows;
            return {view.format == OutputFormat::kJson ? to_json_text(document) : to_yaml(document), ""};
        }
        case OutputFormat::kJsonl:
            for (const Json& row : rows) out += to_json_line(with_version(row));
            return {out, ""};
        case OutputFormat::kName:
            for (const Json& row : rows) out += humanize(at(row, name_key), Kind::kText) + "\n";
            return {out, ""};
        default:
            return render_cells(view, rows, columns);
    }
}

Rendered render_record(const View& view, const Json& record, const std::vector<Column>& fields,
                       const std::string& name_key) {
    switch (view.format) {
        case OutputFormat::kJson:
            return {to_json_text(with_version(record)), ""};
        case OutputFormat::kJsonl:
            return {to_json_line(with_version(record)), ""};
        case OutputFormat::kYaml:
            return {to_yaml(with_version(record)), ""};
        case OutputFormat::kName:
            return {humanize(at(record, name_key), Kind::kText) + "\n", ""};
        case OutputFormat::kCsv:
            return {csv(fields, {record}, view.headers), ""};
        default:
            break;
    }
    std::string out;
    std::size_t width = 0;
    const bool aligned = view.terminal || view.format != OutputFormat::kAuto;
    for (const Column& field : fields) width = std::max(width, display_width(field.key));
    for (const Column& field : fields) {
        if (field.wide && view.format != OutputFormat::kWide) continue;
        const Json value = at(record, field.key);
        const std::string shown = aligned ? humanize(value, field.kind) : raw_cell(value);
        out += aligned ? pad(field.key, width + 2) + shown : field.key + "\t" + shown;
        out += "\n";
    }
    return {out, ""};
}

}  // namespace rockdove::ctl
