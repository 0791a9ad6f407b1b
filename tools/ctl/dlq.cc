// `rockdove dlq ...`: the noun; each verb has its own file.
#include "tools/ctl/commands.h"

namespace rockdove::ctl {

void add_dlq(CLI::App& root, Context& context) {
    CLI::App* dlq = root.add_subcommand("dlq", "Look at dead letters, delete them, send them round again");
    dlq->require_subcommand(1);
    add_dlq_list(*dlq, context);
    add_dlq_show(*dlq, context);
    add_dlq_purge(*dlq, context);
    add_dlq_redrive(*dlq, context);
}

}  // namespace rockdove::ctl
