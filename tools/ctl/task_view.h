// A task of the broker on the screen, and waiting for one to end.
#pragma once

#include <string>

#include "tools/ctl/context.h"
#include "tools/ctl/interrupt.h"

namespace rockdove::ctl {

Json task_json(const v1::TaskInfo& task);
const std::vector<Column>& task_columns();

// "max_attempts 38, rejected 3"
std::string reasons_text(const v1::TaskInfo& task);

bool task_ended(const v1::TaskInfo& task);

// Shows progress on stderr until the task has ended: then the task. Interrupted: as it is, and it goes on.
base::Result<v1::TaskInfo> watch_task(Context& context, v1::TaskInfo task, Interrupt& interrupt, bool progress = true);

// Says how it ended; the program's exit code.
int report_task(Context& context, const v1::TaskInfo& task);

}  // namespace rockdove::ctl
