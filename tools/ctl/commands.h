// One function per command: adds it to CLI11's tree, with a callback that sets context.command.
// Each is defined in the file named after it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

void add_send(CLI::App& root, Context& context);
void add_receive(CLI::App& root, Context& context);
void add_publish(CLI::App& root, Context& context);
void add_subscribe(CLI::App& root, Context& context);
void add_topic(CLI::App& root, Context& context);
void add_subscription(CLI::App& root, Context& context);
void add_queue(CLI::App& root, Context& context);
void add_queue_list(CLI::App& queue, Context& context);
void add_queue_show(CLI::App& queue, Context& context);
void add_queue_create(CLI::App& queue, Context& context);  // and update
void add_queue_delete(CLI::App& queue, Context& context);  // and purge
void add_queue_pause(CLI::App& queue, Context& context);   // and resume
void add_explain(CLI::App& root, Context& context);
void add_message(CLI::App& root, Context& context);
void add_queue_keys(CLI::App& queue, Context& context);
void add_queue_peek(CLI::App& queue, Context& context);
void add_dlq(CLI::App& root, Context& context);
void add_dlq_list(CLI::App& dlq, Context& context);
void add_dlq_show(CLI::App& dlq, Context& context);   // and export
void add_dlq_purge(CLI::App& dlq, Context& context);  // and delete
void add_dlq_redrive(CLI::App& dlq, Context& context);
void add_task(CLI::App& root, Context& context);
void add_stats(CLI::App& root, Context& context);
void add_clock(CLI::App& root, Context& context);  // show, advance
void add_doctor(CLI::App& root, Context& context);
void add_version(CLI::App& root, Context& context);
void add_completion(CLI::App& root, Context& context);
void add_examples(CLI::App& root, Context& context);
void add_errors(CLI::App& root, Context& context);
void add_help(CLI::App& root, Context& context);

// `rockdove __complete WORD...`, which the completion scripts call and nobody else sees: the words that may stand where
// the last of `words` is being typed, a line each.
int complete(Context& context, const CLI::App& root, const std::vector<std::string>& words);

// Parts that commands share.
void add_list_flags(CLI::App& command, ListFlags& flags);
void add_filter_flag(CLI::App& command, std::string& filter);
CLI::Option* add_queue_argument(CLI::App& command, std::string& queue);
// Checks for flags; CLI11 puts their text behind the flag's name.
CLI::Validator duration_check();
CLI::Validator time_check();
CLI::Validator size_check();
CLI::Validator count_check();
CLI::Validator rate_check();

}  // namespace rockdove::ctl
