// `rockdove bench WORKLOAD`: the load generator. It uses the client library as applications do, in its callback form.
#pragma once

#include <CLI/CLI.hpp>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

void add_bench(CLI::App& root, Context& context);

}  // namespace rockdove::ctl
