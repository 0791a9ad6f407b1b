#include "tools/ctl/text/table.h"

#include <algorithm>
#include <cstdio>

namespace rockdove::ctl {
namespace {

bool right_aligned(Kind kind) { return kind == Kind::kCount || kind == Kind::kBytes || kind == Kind::kSeconds; }

std::string plain(const Json& value) {
    if (value.is_null()) return "";
    if (value.is_string()) return value.get<std::string>();
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json at(const Json& row, const std::string& key) { return row.contains(key) ? row.at(key) : Json(); }

std::string quote_csv(const std::string& cell) {
    if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
    std::string out = "\"";
    for (char c : cell) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

// The word itself says the state; the colour only helps the eye.
std::string colored(const std::string& cell, const std::string& word) {
    const bool good = word == "ok" || word == "ready";
    const bool bad = word == "STUCK" || word == "CRITICAL" || word == "dead";
    const char* code = good ? "\x1b[32m" : bad ? "\x1b[31m" : "\x1b[33m";
    return code + cell + "\x1b[0m";
}

}  // namespace

std::size_t display_width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string pad(std::string text, std::size_t width) {
    const std::size_t now = display_width(text);
    if (now < width) text.append(width - now, ' ');
    return text;
}

std::string printable(std::string_view text) {
    std::string out;
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7F) {
            out.push_back(c);
            continue;
        }
        char buffer[8];
        std::snprintf(buffer, sizeof buffer, "\\x%02X", byte);
        out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : buffer;
    }
    return out;
}

std::string raw_cell(const Json& value) {
    std::string out;
    for (char c : plain(value)) {
        switch (c) {
            case '\t':
                out += "\\t";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\\':
                out += "\\\\";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string aligned_table(const std::vector<Column>& columns, const std::vector<Json>& rows, bool headers, bool color) {
    std::vector<std::vector<std::string>> cells;
    std::vector<std::size_t> widths(columns.size(), 0);
    for (const Json& row : rows) {
        std::vector<std::string>& line = cells.emplace_back();
        for (const Column& column : columns) line.push_back(printable(humanize(at(row, column.key), column.kind)));
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (headers) widths[i] = display_width(columns[i].title);
        for (const auto& line : cells) widths[i] = std::max(widths[i], display_width(line[i]));
    }
    std::string out;
    const auto add_line = [&](const std::vector<std::string>& line, bool title) {
        std::string text;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            if (i > 0) text += "  ";
            const std::string gap(widths[i] - display_width(line[i]), ' ');
            const std::string shown =
                color && !title && columns[i].kind == Kind::kState ? colored(line[i], line[i]) : line[i];
            text += right_aligned(columns[i].kind) ? gap + shown : shown + gap;
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    };
    if (headers) {
        std::vector<std::string> titles;
        for (const Column& column : columns) titles.push_back(column.title);
        add_line(titles, true);
    }
    for (const auto& line : cells) add_line(line, false);
    return out;
}

std::string tab_separated(const std::vector<Column>& columns, const std::vector<Json>& rows, bool headers) {
    std::string out;
    for (std::size_t i = 0; headers && i < columns.size(); ++i) {
        out += columns[i].title + (i + 1 < columns.size() ? "\t" : "\n");
    }
    for (const Json& row : rows) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            out += raw_cell(at(row, columns[i].key)) + (i + 1 < columns.size() ? "\t" : "\n");
        }
    }
    return out;
}

std::string csv(const std::vector<Column>& columns, const std::vector<Json>& rows, bool headers) {
    std::string out;
    for (std::size_t i = 0; headers && i < columns.size(); ++i) {
        out += columns[i].key + (i + 1 < columns.size() ? "," : "\n");
    }
    for (const Json& row : rows) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            out += quote_csv(plain(at(row, columns[i].key))) + (i + 1 < columns.size() ? "," : "\n");
        }
    }
    return out;
}

}  // namespace rockdove::ctl
