#include "tools/ctl/text/examples.h"

#include <array>

namespace rockdove::ctl {
namespace {

constexpr std::array<Example, 10> kExamples = {{
    {"first", "A first message",
     R"(rockdoved --dev &                     # a throw-away broker; it prints its URL
rockdove queue create emails
rockdove send emails 'hello'
rockdove receive emails
)"},
    {"send", "Sending",
     R"(rockdove send emails 'hello'                            # one message, prints its id
rockdove send emails @letter.txt -H to:ada -H lang:en   # a file, with headers
find /usr/share -type f | rockdove send files --each line
jq -c '.[]' orders.json | rockdove send orders --each json --content-type application/json
tail -f app.log | rockdove send logs --each line --rate 500/s --quiet
)"},
    {"receive", "Receiving",
     R"(rockdove receive emails                                 # one message, waits up to 5 s
rockdove receive emails -n 100 --format '%i\t%b\n'      # at most 100, id and body
rockdove receive emails --follow -o jsonl | jq -r .body
rockdove receive emails -n 10 --release                 # look, then give back
)"},
    {"exec", "A worker in one line",
     R"(# The body comes on stdin. Exit 0: done; 75: not my fault, give back; 65: dead letter; else: try again later.
rockdove receive thumbnails --follow --concurrency 4 --exec ./resize.sh
rockdove receive mails --follow --exec 'curl -fsS --data-binary @- https://example.org/hook || exit 75'
# The command sees ROCKDOVE_ID, ROCKDOVE_QUEUE, ROCKDOVE_ATTEMPT, ROCKDOVE_SEQUENCE, ROCKDOVE_KEY.
)"},
    {"queues", "Looking after queues",
     R"(rockdove queue create jobs --lease 2m --max-attempts 3 --max-messages 1000000
rockdove queue list --sort -ready
rockdove queue show jobs -o json | jq .ready
rockdove queue peek jobs -n 5
rockdove queue pause jobs; rockdove queue resume jobs
rockdove queue purge jobs --dry-run
rockdove queue delete jobs --yes --if-exists
)"},
    {"topics", "Publish once, subscribe often",
     R"sh(rockdove topic create orders --retain-age 7d
rockdove subscription create orders/billing --subject 'order.*.created'
rockdove publish orders '{"id": 7}' --subject order.eu.created
rockdove subscribe orders --durable billing --subject 'order.*.created' --follow --exec ./charge.sh
rockdove subscribe orders --follow                     # what is new, as long as it runs
rockdove subscription lag                              # who is behind, and by how much
rockdove subscription replay orders/billing --from 1h  # the last hour once more
)sh"},
    {"filter", "Which messages",
     R"sh(rockdove queue peek jobs --filter "priority >= 7"
rockdove queue peek jobs --filter "header.region IN ('eu', 'us') AND age > 5m"
rockdove queue peek jobs --filter "state = 'waiting' AND reason LIKE '%timeout%'"
rockdove queue peek jobs --filter "NOT (subject LIKE 'orders.%' OR header['x-test'] IS NOT NULL)"
)sh"},
    {"time", "A test that need not wait three days",
     R"(rockdoved --dev --test-clock &         # time stands still
rockdove send reminders 'call back' --delay 3d
rockdove clock advance 3d              # ends when everything due has happened
rockdove receive reminders
)"},
    {"disk", "When confirms are slow",
     R"(rockdove doctor                       # commit p99 is what a confirm waits for
rockdove stats -o json | jq '{commit_p50_seconds, commit_p99_seconds, disk_free_bytes}'
# A queue that may lose its last moments at a power cut need not wait for the disk:
rockdove queue update logs --durability async
)"},
    {"offline", "A data directory without its broker",
     R"(rockdove inspect /var/lib/rockdove              # format, watermark, queues with counts
rockdove inspect /var/lib/rockdove --verify     # reads every record and checks it
rockdove recover /var/lib/rockdove --accept-loss  # only after a start was refused with exit code 65
)"},
}};

}  // namespace

std::span<const Example> examples() { return kExamples; }

const Example* find_example(std::string_view topic) {
    for (const Example& example : kExamples) {
        if (example.topic == topic) return &example;
    }
    return nullptr;
}

}  // namespace rockdove::ctl
