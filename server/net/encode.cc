#include "server/net/encode.h"

#include "protocol/wire.h"

namespace rockdove::net {

namespace {

using protocol::FieldWriter;
using protocol::FrameKind;

void append_body(std::string& out, std::uint64_t request_id, FrameKind kind, const std::string& body) {
    protocol::begin_frame(out, request_id, kind, body.size());
    out += body;
}

void write_ranges(FieldWriter& fields, std::uint32_t number, const std::vector<core::LeaseRange>& ranges) {
    std::string encoded;
    for (const core::LeaseRange& range : ranges) {
        encoded.clear();
        FieldWriter inner(encoded);
        inner.varint(1, range.first.value);
        inner.varint(2, range.last.value);
        inner.varint(3, range.epoch);
        inner.varint(4, range.lease);
        fields.bytes(number, encoded);
    }
}

}  // namespace

void append_confirm(std::string& out, const core::Confirmation& c) {
    std::string body;
    FieldWriter fields(body);
    fields.varint(1, c.first_seq.value);
    fields.varint(2, c.count);
    if (c.count != 0) fields.bytes(3, base::id_prefix(c.commit_time_ms, c.queue));
    fields.varint(4, static_cast<std::uint64_t>(c.durability));
    fields.varint(5, c.room_messages);
    fields.varint(6, c.room_bytes);
    for (const core::PublishException& exception : c.exceptions) {
        v1::PublishException out_exception;
        out_exception.set_first_index(exception.first_index);
        out_exception.set_count(exception.count);
        if (exception.error) {
            to_proto(*exception.error, *out_exception.mutable_error());
        } else {
            out_exception.set_first_seq(exception.first_seq.value);
            out_exception.set_id_prefix(base::id_prefix(exception.commit_time_ms, exception.queue));
        }
        fields.bytes(7, out_exception.SerializeAsString());
    }
    std::string lowered;
    for (const core::IndexRange& range : c.ttl_lowered) {
        lowered.clear();
        FieldWriter inner(lowered);
        inner.varint(1, range.first);
        inner.varint(2, range.count);
        fields.bytes(8, lowered);
    }
    std::string encoded;
    for (const core::Routed& routed : c.routed) {
        encoded.clear();
        FieldWriter inner(encoded);
        inner.varint(1, routed.first);
        inner.varint(2, routed.count);
        inner.varint(3, routed.subscriptions);
        for (const std::string& name : routed.full) inner.bytes(4, name);
        fields.bytes(9, encoded);
    }
    append_body(out, c.request_id, FrameKind::kConfirm, body);
}

void append_delivery(std::string& out, const core::Delivery& d) {
    std::string head;
    FieldWriter fields(head);
    fields.varint(1, d.consumer);
    fields.varint(2, d.first_seq.value);
    fields.varint(3, d.epoch);
    fields.varint(4, d.lease);
    fields.varint(5, d.attempt);
    fields.varint(6, static_cast<std::uint64_t>(d.lease_time.count()));
    fields.varint(7, static_cast<std::uint64_t>(d.commit_time_ms));
    fields.bytes(8, base::id_prefix(d.commit_time_ms, d.queue));
    fields.varint(9, d.original_seq.value);
    fields.varint(10, d.missed);
    // The messages follow as they were published and stored: field 15, tags and lengths included.
    protocol::begin_frame(out, 0, FrameKind::kDeliver, head.size() + d.bytes.size());
    out += head;
    out += d.bytes;
}

void append_settled(std::string& out, const core::SettleReply& reply) {
    std::string body;
    FieldWriter fields(body);
    fields.varint(1, reply.count);
    write_ranges(fields, 2, reply.stale);
    append_body(out, reply.request_id, reply.extended ? FrameKind::kExtended : FrameKind::kSettled, body);
}

void append_started(std::string& out, const core::StartReply& reply) {
    std::string body;
    FieldWriter fields(body);
    std::string encoded;
    for (const core::StartReply::Started& started : reply.started) {
        encoded.clear();
        FieldWriter inner(encoded);
        inner.varint(1, started.range.first.value);
        inner.varint(2, started.range.last.value);
        inner.varint(3, started.range.epoch);
        inner.varint(4, started.range.lease);
        inner.varint(5, started.attempt);
        fields.bytes(1, encoded);
    }
    write_ranges(fields, 2, reply.stale);
    fields.varint(3, static_cast<std::uint64_t>(reply.lease.count()));
    append_body(out, reply.request_id, FrameKind::kStarted, body);
}

void append_recall(std::string& out, const core::Recall& recall) {
    std::string body;
    FieldWriter fields(body);
    fields.varint(1, recall.consumer);
    write_ranges(fields, 2, {recall.range});
    append_body(out, 0, FrameKind::kRecall, body);
}

void append_error(std::string& out, std::uint64_t request_id, const Error& error) {
    v1::Frame frame;
    frame.set_request_id(request_id);
    to_proto(error, *frame.mutable_error());
    append_frame(out, frame);
}

void append_frame(std::string& out, const v1::Frame& frame) {
    const std::size_t size = frame.ByteSizeLong();
    base::ByteWriter(out).fixed32(static_cast<std::uint32_t>(size));
    frame.AppendToString(&out);
}

void to_proto(const Error& error, v1::Error& out) {
    out.set_code(static_cast<v1::ErrorCode>(error.code));
    out.set_text(error.text);
    out.set_retryable(base::error_retryable(error.code));
    out.set_retry_after_ms(static_cast<std::uint64_t>(error.retry_after.count()));
    out.set_closes(error.closes);
}

void to_proto(const core::LeaseRange& range, v1::SeqRange& out) {
    out.set_first_seq(range.first.value);
    out.set_last_seq(range.last.value);
    out.set_epoch(range.epoch);
    out.set_lease(range.lease);
}

void to_proto(const QueueSettings& s, v1::QueueSettings& out) {
    out.set_durability(static_cast<v1::Durability>(s.durability));
    out.set_lease_ms(static_cast<std::uint64_t>(s.lease.count()));
    out.set_max_attempts(s.max_attempts);
    out.set_max_releases(s.max_releases);
    out.set_backoff_first_ms(static_cast<std::uint64_t>(s.backoff_first.count()));
    out.set_backoff_factor(s.backoff_factor);
    out.set_backoff_longest_ms(static_cast<std::uint64_t>(s.backoff_longest.count()));
    out.set_backoff_jitter(s.backoff_jitter);
    out.set_max_retry_delay_ms(static_cast<std::uint64_t>(s.max_retry_delay.count()));
    out.set_max_messages(s.max_messages);
    out.set_max_bytes(s.max_bytes);
    out.set_overflow(static_cast<v1::Overflow>(s.overflow));
    out.set_dead_max(s.dead_max);
    out.set_reconnect_grace_ms(static_cast<std::uint64_t>(s.reconnect_grace.count()));
    out.set_ttl_ms(static_cast<std::uint64_t>(s.ttl.count()));
    out.set_on_expire(static_cast<v1::OnExpire>(s.on_expire));
    out.set_key_on_retry(static_cast<v1::KeyOnRetry>(s.key_on_retry));
    out.set_key_on_dead(static_cast<v1::KeyOnDead>(s.key_on_dead));
    out.set_oldest_every(s.oldest_every);
    out.set_dedup_window_ms(static_cast<std::uint64_t>(s.dedup_window.count()));
    out.set_dedup_mode(static_cast<v1::DedupMode>(s.dedup_mode));
    out.set_dead_letter_to(s.dead_letter_to);
}

void to_proto(const core::QueueInfo& info, v1::QueueInfo& out) {
    out.set_name(info.name);
    out.set_id(info.id.value);
    to_proto(info.settings, *out.mutable_settings());
    out.set_paused(info.paused);
    out.set_ready(info.ready);
    out.set_scheduled(info.scheduled);
    out.set_buffered(info.buffered);
    out.set_started(info.started);
    out.set_waiting(info.waiting);
    out.set_dead(info.dead);
    out.set_bytes(info.bytes);
    out.set_consumers(info.consumers);
    out.set_oldest_commit_time_ms(info.oldest_commit_time_ms);
    out.set_next_seq(info.next_seq);
    out.set_accepted(info.accepted);
    out.set_delivered(info.delivered);
    out.set_acked(info.acked);
    out.set_retried(info.retried);
    out.set_died(info.died);
    out.set_expired(info.expired);
    out.set_dedup_ids(info.dedup_ids);
    out.set_dropped(info.dropped);
    out.set_refused(info.refused);
    out.set_dead_evicted(info.dead_evicted);
    out.set_damaged(info.damaged);
    out.set_created_ms(info.created_ms);
}

void to_proto(const core::TopicInfo& info, v1::TopicInfo& out) {
    out.set_name(info.name);
    out.set_id(info.id.value);
    v1::TopicSettings& settings = *out.mutable_settings();
    settings.set_durability(static_cast<v1::Durability>(info.settings.durability));
    settings.set_retain_age_ms(static_cast<std::uint64_t>(info.settings.retain_age.count()));
    settings.set_retain_bytes(info.settings.retain_bytes);
    settings.set_retain_messages(info.settings.retain_messages);
    settings.set_retain_until_done(info.settings.until_done());
    settings.set_retain_last(info.settings.retain_last);
    settings.set_best_effort(info.settings.best_effort);
    settings.set_ttl_ms(static_cast<std::uint64_t>(info.settings.ttl.count()));
    settings.set_dedup_window_ms(static_cast<std::uint64_t>(info.settings.dedup_window.count()));
    out.set_created_ms(info.created_ms);
    out.set_messages(info.messages);
    out.set_bytes(info.bytes);
    out.set_first_seq(info.first_seq);
    out.set_next_seq(info.next_seq);
    out.set_oldest_commit_time_ms(info.oldest_commit_time_ms);
    out.set_subscriptions(info.subscriptions);
    out.set_last_values(info.last_values);
    out.set_accepted(info.accepted);
    out.set_refused(info.refused);
    out.set_unrouted(info.unrouted);
}

void to_proto(const core::SubscriptionInfo& info, v1::SubscriptionInfo& out) {
    out.set_topic(info.topic);
    out.set_name(info.name);
    v1::SubscriptionSettings& settings = *out.mutable_settings();
    for (const std::string& subject : info.record.subjects) settings.add_subjects(subject);
    settings.set_filter(info.record.filter);
    to_proto(info.queue.settings, *settings.mutable_queue());
    settings.set_to_queue(info.to_queue);
    to_proto(info.queue, *out.mutable_queue());
    out.set_ephemeral(info.ephemeral);
    out.set_lag_messages(info.lag_messages);
    out.set_lag_oldest_ms(info.lag_oldest_ms);
    out.set_behind(info.behind);
    out.set_missed(info.record.missed);
    out.set_created_ms(info.queue.created_ms);
}

void to_proto(const core::PeekResult& result, v1::QueuePeekReply& out) {
    out.set_next_seq(result.next.value);
    for (const core::PeekItem& item : result.items) {
        v1::Peeked& peeked = *out.add_messages();
        peeked.set_seq(item.sequence.value);
        base::MessageId id;
        id.commit_time_ms = item.commit_time_ms;
        id.queue = item.id_queue;
        id.sequence = item.id_sequence;
        peeked.set_id(base::format_message_id(id));
        peeked.set_state(static_cast<v1::State>(item.state));
        peeked.set_attempts(item.attempts);
        peeked.set_commit_time_ms(item.commit_time_ms);
        peeked.set_visible_at_ms(item.visible_at_ms);
        peeked.set_last_error(item.last_error);
        peeked.set_consumer(item.consumer);
        // Admitted messages were checked field by field; what does not parse here stays empty.
        (void)peeked.mutable_message()->ParseFromString(item.message);
    }
}

void to_proto(const core::DeadPage& page, QueueId queue, bool bodies, v1::DeadListReply& out) {
    out.set_next_seq(page.next.value);
    for (const core::DeadLetter& letter : page.letters) {
        v1::DeadLetter& dead = *out.add_letters();
        dead.set_seq(letter.sequence.value);
        dead.set_damaged(letter.damaged);
        if (letter.damaged) continue;
        const storage::DeadRecord& record = letter.record;
        const bool moved = record.origin_sequence.value != 0;
        base::MessageId id;
        id.commit_time_ms = record.commit_time_ms;
        id.queue = moved ? record.origin_queue : queue;
        id.sequence = moved ? record.origin_sequence : letter.sequence;
        dead.set_id(base::format_message_id(id));
        dead.set_commit_time_ms(record.commit_time_ms);
        dead.set_attempts(record.attempts);
        dead.set_redrives(record.redrives);
        dead.set_priority(record.priority);
        dead.set_due_ms(record.due_ms);
        for (const storage::Death& death : record.deaths) {
            v1::Death& out_death = *dead.add_deaths();
            out_death.set_time_ms(death.time_ms);
            out_death.set_reason(std::string(storage::death_reason_name(death.reason)));
            out_death.set_attempt(death.attempt);
            out_death.set_duration_ms(death.duration_ms);
            out_death.set_consumer(death.consumer);
            out_death.set_error(death.error);
        }
        if (bodies) (void)dead.mutable_message()->ParseFromString(record.message);
    }
}

void to_proto(const core::TaskInfo& task, v1::TaskInfo& out) {
    const storage::TaskRecord& record = task.record;
    out.set_task(task.number);
    out.set_kind("redrive");
    out.set_state(task.waits.empty() ? static_cast<v1::TaskState>(record.state) : v1::TASK_WAITING);
    v1::Redrive& redrive = *out.mutable_redrive();
    redrive.set_queue(record.queue_name);
    redrive.set_to(record.to_name);
    redrive.set_reason(record.reason);
    redrive.set_limit(record.limit);
    redrive.set_rate(record.rate);
    redrive.set_dry_run(record.dry_run);
    redrive.set_filter(record.filter);
    if (record.place == storage::RedrivePlace::kOriginal) redrive.set_place(v1::PLACE_ORIGINAL);
    if (record.place == storage::RedrivePlace::kEnd) redrive.set_place(v1::PLACE_END);
    out.set_total(record.total);
    out.set_looked(record.looked);
    out.set_moved(record.moved);
    out.set_skipped(record.skipped);
    out.set_failed(record.failed);
    for (const auto& [reason, count] : record.reasons) {
        v1::ReasonCount& counted = *out.add_reasons();
        counted.set_reason(std::string(storage::death_reason_name(reason)));
        counted.set_count(count);
    }
    out.set_text(task.waits.empty() ? record.text : task.waits);
    out.set_created_ms(record.created_ms);
    out.set_finished_ms(record.finished_ms);
}

}  // namespace rockdove::net
