// What the broker tells about a queue, as the command line shows it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rockdove/v1/frame.pb.h"
#include "tools/ctl/context.h"

namespace rockdove::ctl {

// All numbers raw. `now_ms` is the broker's clock; it makes the age of the oldest message.
Json queue_json(const v1::QueueInfo& info, std::int64_t now_ms);
Json settings_json(const v1::QueueSettings& settings);

const std::vector<Column>& queue_list_columns();
const std::vector<Column>& queue_show_fields();

// Why a queue needs somebody's attention: "nobody is receiving; the oldest message waits 3h 2m", or empty.
std::string queue_trouble(const v1::QueueInfo& info, std::int64_t now_ms);

// Shows one queue after a change, and `done` ("created") on stderr.
int print_queue(Context& context, const v1::QueueInfo& info, const std::string& done);

}  // namespace rockdove::ctl
