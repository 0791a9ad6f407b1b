// Received messages as text, one after the other: --format, or one of the -o formats as a stream.
#pragma once

#include <cstdint>
#include <string>

#include "tools/ctl/message_json.h"
#include "tools/ctl/text/message_format.h"
#include "tools/ctl/text/view.h"

namespace rockdove::ctl {

class MessagePrinter {
public:
    MessagePrinter(OutputFormat output, MessageFormat format) : output_(output), format_(std::move(format)) {}

    // What stands before the first message, the message itself, what stands after the last.
    void begin(std::string& out);
    void append(std::string& out, const Job& job);
    void end(std::string& out);

private:
    OutputFormat output_;
    MessageFormat format_;
    std::uint64_t printed_ = 0;
};

}  // namespace rockdove::ctl
