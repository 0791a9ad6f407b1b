// `rockdove queue ...`: the noun; each verb has its own file.
#include "tools/ctl/commands.h"

namespace rockdove::ctl {

void add_queue(CLI::App& root, Context& context) {
    CLI::App* queue = root.add_subcommand("queue", "Create, look at, change and delete queues")->alias("queues");
    queue->require_subcommand(1);
    add_queue_list(*queue, context);
    add_queue_show(*queue, context);
    add_queue_create(*queue, context);
    add_queue_delete(*queue, context);
    add_queue_pause(*queue, context);
    add_queue_peek(*queue, context);
    add_queue_keys(*queue, context);
}

}  // namespace rockdove::ctl
