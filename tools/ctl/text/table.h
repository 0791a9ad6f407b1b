// Rows of JSON objects as text: aligned for terminals, tab-separated for pipes, CSV for spreadsheets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/ctl/text/view.h"

namespace rockdove::ctl {

// Numbers to the right, titles above, two spaces between. Ends of lines carry no spaces.
std::string aligned_table(const std::vector<Column>& columns, const std::vector<Json>& rows, bool headers, bool color);

// Raw values; tabs, line ends and backslashes inside a value become \t, \n, \\.
std::string tab_separated(const std::vector<Column>& columns, const std::vector<Json>& rows, bool headers);

// RFC 4180, except that lines end with a line feed alone.
std::string csv(const std::vector<Column>& columns, const std::vector<Json>& rows, bool headers);

// A value as a cell of tab_separated().
std::string raw_cell(const Json& value);

// Control characters as \xHH, so that a message's text cannot move the cursor.
std::string printable(std::string_view text);

// Columns that `text` takes on a terminal: code points, combining marks not told apart.
std::size_t display_width(std::string_view text);
std::string pad(std::string text, std::size_t width);

}  // namespace rockdove::ctl
