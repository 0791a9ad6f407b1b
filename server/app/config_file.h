// Reads TOML files into plain (key, text, place) entries; what a value means is decided by settings.h.
// Runs on: any thread, blocks on files. Owns nothing.
#pragma once

#include <string>
#include <vector>

namespace rockdove::app {

struct FileEntry {
    std::string key;     // "listen.client"; known to the table
    std::string text;    // as assign() wants it
    std::string origin;  // "/etc/rockdove/rockdove.toml:12:1"
};

// Appends the entries of `path`, then of the files it includes, in order: later ones win. `include` is a top-level
// list of paths, relative to the file, with * and ?; an included file may not include more. Everything wrong goes
// to `errors`, one line each with file, line and column: unknown keys with the nearest known one, values of a wrong
// type, files that cannot be read.
void read_config_file(const std::string& path, std::vector<FileEntry>& entries, std::vector<std::string>& errors);

}  // namespace rockdove::app
