#include "tools/ctl/queue_settings.h"

#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

std::uint64_t ms(const std::string& checked) {
    return static_cast<std::uint64_t>(parse_duration(checked).value_or(Millis{0}).count());
}

}  // namespace

void add_setting_flags(CLI::App& command, QueueSettingFlags& flags) {
    const std::string group = "Settings";
    command.add_option("--durability", flags.durability, "Confirm when on disk, when handed to the system, or at once")
        ->check(CLI::IsMember({"sync", "async", "memory"}))
        ->group(group);
    command.add_option("--lease", flags.lease, "Time a receiver has to settle a message")
        ->check(duration_check())
        ->group(group);
    command.add_option("--max-attempts", flags.max_attempts, "Tries before a message is dead")->group(group);
    command.add_option("--max-releases", flags.max_releases, "Releases before a message is dead")->group(group);
    command.add_option("--backoff-first", flags.backoff_first, "Wait before the second try")
        ->check(duration_check())
        ->group(group);
    command.add_option("--backoff-factor", flags.backoff_factor, "Each further wait is so many times longer")
        ->group(group);
    command.add_option("--backoff-longest", flags.backoff_longest, "Longest wait between tries")
        ->check(duration_check())
        ->group(group);
    command.add_option("--backoff-jitter", flags.backoff_jitter, "0.1: waits vary by ten percent")->group(group);
    command.add_option("--max-messages", flags.max_messages, "Most messages, 0: unlimited")
        ->check(count_check())
        ->group(group);
    command.add_option("--max-bytes", flags.max_bytes, "Most bytes, 0: unlimited")->check(size_check())->group(group);
    command.add_option("--overflow", flags.overflow, "What happens when it is full")
        ->check(CLI::IsMember({"reject", "drop_oldest"}))
        ->group(group);
    command.add_option("--dead-max", flags.dead_max, "Most dead letters kept")->check(count_check())->group(group);
    command.add_option("--dead-letter-to", flags.dead_letter_to, "Queue that gets what dies here; \"\" keeps it here")
        ->type_name("QUEUE")
        ->group(group);
    command.add_option("--reconnect-grace", flags.reconnect_grace, "Time in which a lost receiver may come back")
        ->check(duration_check())
        ->group(group);
    command.add_option("--ttl", flags.ttl, "Longest time a message may live, 0s: unlimited")
        ->check(duration_check())
        ->group(group);
    command.add_option("--on-expire", flags.on_expire, "What becomes of a message whose time is over")
        ->check(CLI::IsMember({"dead", "drop"}))
        ->group(group);
    command.add_option("--key-on-retry", flags.key_on_retry, "Whether a message that waits holds those of its key")
        ->check(CLI::IsMember({"hold", "pass"}))
        ->group(group);
    command.add_option("--key-on-dead", flags.key_on_dead, "Whether the key of a dead message goes on or stops")
        ->check(CLI::IsMember({"skip", "pause"}))
        ->group(group);
    command.add_option("--dedup-window", flags.dedup_window, "How long a dedup id counts, from its first message on")
        ->check(duration_check())
        ->group(group);
    command.add_option("--dedup-mode", flags.dedup_mode, "Whether it counts that long, or until its message is done")
        ->check(CLI::IsMember({"window", "until_done"}))
        ->group(group);
    command
        .add_option("--oldest-every", flags.oldest_every,
                    "Every n-th message is the oldest, whatever its priority, 0: never")
        ->group(group);
}

v1::QueueSettings to_settings(const QueueSettingFlags& flags) {
    v1::QueueSettings out;
    if (flags.durability == "sync") out.set_durability(v1::SYNC);
    if (flags.durability == "async") out.set_durability(v1::ASYNC);
    if (flags.durability == "memory") out.set_durability(v1::MEMORY);
    if (flags.overflow == "reject") out.set_overflow(v1::REJECT_NEW);
    if (flags.overflow == "drop_oldest") out.set_overflow(v1::DROP_OLDEST);
    if (!flags.lease.empty()) out.set_lease_ms(ms(flags.lease));
    if (flags.max_attempts) out.set_max_attempts(*flags.max_attempts);
    if (flags.max_releases) out.set_max_releases(*flags.max_releases);
    if (!flags.backoff_first.empty()) out.set_backoff_first_ms(ms(flags.backoff_first));
    if (flags.backoff_factor) out.set_backoff_factor(*flags.backoff_factor);
    if (!flags.backoff_longest.empty()) out.set_backoff_longest_ms(ms(flags.backoff_longest));
    if (flags.backoff_jitter) out.set_backoff_jitter(*flags.backoff_jitter);
    if (!flags.max_messages.empty()) out.set_max_messages(parse_count(flags.max_messages).value_or(0));
    if (!flags.max_bytes.empty()) out.set_max_bytes(parse_size(flags.max_bytes).value_or(0));
    if (!flags.dead_max.empty()) out.set_dead_max(parse_count(flags.dead_max).value_or(0));
    if (flags.dead_letter_to) out.set_dead_letter_to(*flags.dead_letter_to);
    if (!flags.reconnect_grace.empty()) out.set_reconnect_grace_ms(ms(flags.reconnect_grace));
    if (!flags.ttl.empty()) out.set_ttl_ms(ms(flags.ttl));
    if (flags.on_expire == "dead") out.set_on_expire(v1::EXPIRED_DEAD);
    if (flags.on_expire == "drop") out.set_on_expire(v1::EXPIRED_DROP);
    if (flags.key_on_retry == "hold") out.set_key_on_retry(v1::KEY_HOLD);
    if (flags.key_on_retry == "pass") out.set_key_on_retry(v1::KEY_PASS);
    if (flags.key_on_dead == "skip") out.set_key_on_dead(v1::KEY_SKIP);
    if (flags.key_on_dead == "pause") out.set_key_on_dead(v1::KEY_PAUSE);
    if (!flags.dedup_window.empty()) out.set_dedup_window_ms(ms(flags.dedup_window));
    if (flags.dedup_mode == "window") out.set_dedup_mode(v1::DEDUP_WINDOW);
    if (flags.dedup_mode == "until_done") out.set_dedup_mode(v1::DEDUP_UNTIL_DONE);
    if (flags.oldest_every) out.set_oldest_every(*flags.oldest_every);
    return out;
}

}  // namespace rockdove::ctl
