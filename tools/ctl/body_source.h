// Where the bodies of `send` come from: the argument, a file, or stdin, cut by --each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/ctl/interrupt.h"
#include "tools/ctl/text/errors.h"
#include "tools/ctl/text/splitter.h"

namespace rockdove::ctl {

class BodySource {
public:
    // `argument`: the BODY given, "@file", "-" for stdin, or none. Opens the file. Borrows `interrupt`.
    BodySource(const std::optional<std::string>& argument, Each each, Interrupt& interrupt);
    ~BodySource();
    BodySource(const BodySource&) = delete;
    BodySource& operator=(const BodySource&) = delete;

    // The next body, valid until the next call. Blocks for input. Empty at the end, at a signal, or failed().
    std::optional<std::string_view> next();
    [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }

private:
    bool read_more();

    Splitter splitter_;
    Interrupt& interrupt_;
    std::string buffer_;
    std::optional<Failure> failure_;
    int fd_ = -1;  // -1: everything is in the splitter
    bool owned_ = false;
};

}  // namespace rockdove::ctl
