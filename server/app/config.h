// The configuration in force and where each value came from: flags over environment over file over default.
// Runs on: any thread; immutable once loaded.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "protocol/base/result.h"
#include "server/app/settings.h"

namespace rockdove::app {

inline constexpr const char* kDefaultConfigPath = "/etc/rockdove/rockdove.toml";

// A value given on the command line. `flag` is what the user wrote: "--listen", "--set".
struct FlagValue {
    std::string key;
    std::string text;
    std::string flag;
};

struct ConfigSources {
    std::string file;                      // empty: kDefaultConfigPath if it exists (not with `dev`)
    std::vector<std::string> environment;  // "NAME=value", as the process has it
    std::vector<FlagValue> flags;          // later ones win
    bool dev = false;                      // other defaults: create on use, a free-space limit for small disks
    bool test_clock = false;               // never from a file: a test's time must not come in by mistake
};

class Config {
public:
    [[nodiscard]] const Settings& settings() const { return settings_; }
    // "default", "flag --listen", "environment ROCKDOVE_LISTEN__CLIENT", "/etc/rockdove/rockdove.toml:12:1".
    [[nodiscard]] const std::string& origin(std::string_view key) const;
    // The file that was read; empty if none.
    [[nodiscard]] const std::string& file() const { return file_; }
    // Takes over the reloadable settings of a newer reading; the keys of those that changed, separated by commas.
    std::string take_reloadable(const Config& newer);
    // All settings with value and origin; is itself a valid configuration file.
    [[nodiscard]] std::string show() const;

private:
    friend Result<Config> load_config(const ConfigSources& sources);
    void set(const Setting& setting, std::string_view text, const std::string& origin,
             std::vector<std::string>& errors);

    Settings settings_;
    std::vector<std::string> origins_;  // in the order of all_settings()
    std::string file_;
};

// Error: kInvalid; the text has one line for each thing that is wrong.
Result<Config> load_config(const ConfigSources& sources);

// "ROCKDOVE_LISTEN__CLIENT" for "listen.client".
std::string environment_name(std::string_view key);

// A configuration file with every setting commented out: help, range, default.
std::string example_config();
// The settings as a Markdown table, for docs/operations.md; a test keeps the two equal.
std::string settings_table();

}  // namespace rockdove::app
