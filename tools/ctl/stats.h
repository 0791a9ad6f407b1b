// The broker's counters as JSON, for `stats` and `doctor`.
#pragma once

#include "rockdove/v1/admin.pb.h"
#include "tools/ctl/text/view.h"

namespace rockdove::ctl {

Json stats_json(const v1::Stats& stats);

}  // namespace rockdove::ctl
