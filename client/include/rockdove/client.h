// Rockdove's C++ client: send jobs to queues and receive them with workers; publish to topics, and subscribe to them.
// Needs the standard library only.
//
//     rockdove::Client dove{"rockdove://localhost"};
//     dove.send("emails", "hello");                       // returns when the broker has stored it
//     dove.publish("orders", rockdove::Message{"{}"}.subject("order.eu.created"));
//     auto worker = dove.subscribe("orders", handler, rockdove::SubscriptionOptions{}.durable("billing"));
//
// Four rules hold throughout:
// - Errors: blocking calls and futures throw rockdove::Error and nothing else (std::bad_alloc aside). Ask it first:
//   e.code() == Advice::kTryAgain?
// - Time: every wait has a bound. Connecting 5 s, an operation 30 s, closing 5 s; ClientOptions changes them.
// - Threads: Client and Worker may be used by any thread; Message, Job and Receiver by one at a time. Handlers run on
// the
//   client's handler threads. on_state callbacks and stop callbacks run on its I/O thread, where a blocking call throws
//   kWouldDeadlock. The library holds no lock while it calls you.
// - Loss: nothing is lost silently. Destructors flush, and what could not be confirmed fails its own future.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__GNUC__)
#define ROCKDOVE_API __attribute__((visibility("default")))
#else
#define ROCKDOVE_API
#endif

namespace rockdove {

using Clock = std::chrono::system_clock;
using Millis = std::chrono::milliseconds;

namespace detail {
struct Access;  // lets the library's sources into private parts
struct Settings;
struct Delivery;
class Core;
class Consumer;
}  // namespace detail

// Causes and advice for each: `rockdove errors show stale_lease`.
enum class ErrorCode {
    kUnavailable = 1,  // no broker, or not now; the request had no effect
    kTimedOut,
    kOutcomeUnknown,  // sent, and never answered: it may or may not have happened
    kCancelled,
    kClosed,  // used after close()
    kAuthFailed,
    kForbidden,
    kNotFound,
    kAlreadyExists,
    kConflict,
    kInvalid,
    kTooLarge,
    kFull,  // the queue is full; or, with when_full_fail(), the client's own pending limit is reached
    kStoreBusy,
    kRateLimited,
    kSchemaRejected,
    kUnroutable,
    kDedupConflict,
    kFenced,      // a newer client with the same producer_id has taken over
    kStaleLease,  // the job is no longer ours: its lease ended, somebody else may have it
    kNoResponder,
    kRejected,
    kResponderLost,
    kDeadline,
    kLate,
    kUnsupported,
    kWouldDeadlock,
    kProtocol,
    kInternal
};

// What to do about an error. Compares with codes: `if (e.code() == Advice::kTryAgain)`.
enum class Advice { kTryAgain = 1, kFixFirst, kGiveUp };

enum class Durability { kSync, kAsync, kMemory };

// kClosed is final: after close(), or when the broker refused the client for good (version, login, fencing).
enum class ConnectionState { kConnecting, kReady, kReconnecting, kDraining, kClosed };

ROCKDOVE_API const std::error_category& error_category() noexcept;
ROCKDOVE_API const std::error_category& advice_category() noexcept;
ROCKDOVE_API std::error_code make_error_code(ErrorCode code) noexcept;
ROCKDOVE_API std::error_condition make_error_condition(Advice advice) noexcept;

// The only exception the library throws. Copying does not throw.
class ROCKDOVE_API Error : public std::system_error {
public:
    Error(std::error_code code, std::string detail);
    Error(std::error_code code, std::string detail, std::optional<Millis> retry_after, std::string request_id);
    Error(const Error&) noexcept;
    Error& operator=(const Error&) noexcept;
    ~Error() override;

    // Names the queue, the limit, the field.
    [[nodiscard]] const std::string& detail() const noexcept;
    // As in the broker's log, "connection-request"; empty if no request was involved.
    [[nodiscard]] std::string_view request_id() const noexcept;
    // Not before this has passed; empty: no advice.
    [[nodiscard]] std::optional<Millis> retry_after() const noexcept;

private:
    struct Data;
    std::shared_ptr<const Data> data_;
};

// A handler throws it to make its job a dead letter now.
struct ROCKDOVE_API Reject : std::runtime_error {
    using runtime_error::runtime_error;
    Reject(const Reject&) noexcept = default;
    ~Reject() override;
};

// Where to connect and how to behave. A value: copy it as you like.
//
// A URL sets any of it: rockdove://host1:7625,host2:7625/namespace?name=billing&operation_timeout=10s
// Parts are percent-encoded where needed. Query keys are the setters' names: name, producer_id, connect_timeout,
// operation_timeout, heartbeat, linger, backoff_longest, pending_messages, pending_bytes, when_full (block|fail),
// wait_for_broker (true|false), handler_threads; any other is an error. Durations: 250ms, 10s, 2m, 1h.
// Setters win over the URL. Without URL and endpoint(): the URL in ROCKDOVE_URL, else rockdove://localhost:7625.
// Errors: kInvalid for what is malformed or out of range; kUnsupported for rockdoves:// and user:password@, since this
// version has neither TLS nor login and never goes on without.
class ROCKDOVE_API ClientOptions {
public:
    ClientOptions();
    ClientOptions(std::string_view url);    // NOLINT(google-explicit-constructor)
    ClientOptions(const char* url);         // NOLINT(google-explicit-constructor)
    ClientOptions(const std::string& url);  // NOLINT(google-explicit-constructor)
    ClientOptions(const ClientOptions&);
    ClientOptions(ClientOptions&&) noexcept;
    ClientOptions& operator=(const ClientOptions&);
    ClientOptions& operator=(ClientOptions&&) noexcept;
    ~ClientOptions();

    ClientOptions& endpoint(std::string host, std::uint16_t port = 7625);  // several: one is chosen at random
    ClientOptions& name_space(std::string name);                           // "default"
    ClientOptions& name(std::string name);                                 // for logs and lists, at most 100 characters
    ClientOptions& producer_id(std::string id);     // random; a newer client with the same one fences the older
    ClientOptions& connect_timeout(Millis time);    // 5 s: the constructor fails after it
    ClientOptions& operation_timeout(Millis time);  // 30 s: sends, calls and settles fail after it
    ClientOptions& heartbeat(Millis longest);       // ping at least this often, if the broker does not ask for more
    ClientOptions& backoff(Millis first, Millis longest);                   // reconnecting: full jitter, 100 ms to 15 s
    ClientOptions& pending_limit(std::size_t messages, std::size_t bytes);  // 100,000 and 64 MiB: sent, not answered
    ClientOptions& when_full_fail(bool fail = true);                        // at the limit: kFull instead of blocking
    ClientOptions& linger(Millis time);                // 0: wait so long for more messages to share a write
    ClientOptions& wait_for_broker(bool wait = true);  // the constructor returns at once, connects later
    ClientOptions& handler_threads(std::size_t most);  // 64: threads start as workers need them

private:
    friend detail::Access;
    std::unique_ptr<detail::Settings> settings_;
};

// What is sent: a body of bytes, and properties. Setters check what needs no broker and throw kInvalid; properties that
// the broker does not act on yet make it refuse the message with kUnsupported.
class ROCKDOVE_API Message {
public:
    Message() noexcept;
    Message(std::string body) noexcept : body_(std::move(body)) {}  // NOLINT(google-explicit-constructor)
    Message(const char* body) : body_(body) {}                      // NOLINT(google-explicit-constructor)
    Message(const Message&);
    Message(Message&&) noexcept;
    Message& operator=(const Message&);
    Message& operator=(Message&&) noexcept;
    ~Message();

    Message& header(std::string name, std::string value);  // names may repeat; at most 64, together 16 KiB
    Message& content_type(std::string type);
    Message& key(std::string key);  // ordering key
    Message& subject(std::string subject);
    Message& priority(int priority);  // 0 to 9, 9 most urgent; 4 if not set
    Message& delay(Millis delay);     // counts from the commit
    Message& deliver_at(Clock::time_point time);
    Message& ttl(Millis ttl);  // counts from the commit, or from when it is due
    Message& dedup_id(std::string id);
    Message& correlation_id(std::string id);
    Message& reply_to(std::string queue);
    Message& trace(std::string traceparent, std::string tracestate = {});
    Message& max_attempts(std::uint32_t attempts);
    // To a topic: kUnroutable, and not stored, if no subscription wants it. To a queue it says nothing: that takes everything.
    Message& mandatory(bool on = true);

    [[nodiscard]] std::string_view body() const noexcept { return body_; }
    // The first header of this name. The view lives until the message is changed or gone.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;

private:
    friend detail::Access;
    struct Properties;
    struct ROCKDOVE_API Drop {
        void operator()(Properties* properties) const noexcept;
    };
    Properties& properties();

    std::string body_;
    std::unique_ptr<Properties, Drop> properties_;  // none for a bare body
};

// Which dead letters to send round again; by default all.
class ROCKDOVE_API RedriveOptions {
public:
    RedriveOptions& to(std::string queue);         // instead of back to the same queue
    RedriveOptions& reason(std::string reason);    // only what died of this last, such as "max_attempts"
    RedriveOptions& filter(std::string filter);    // only what matches, such as "header.region = 'eu'"
    RedriveOptions& limit(std::uint64_t letters);  // at most so many, the oldest first
    RedriveOptions& rate(double per_second);       // not faster than this

private:
    friend detail::Access;
    std::string to_, reason_, filter_;
    std::uint64_t limit_ = 0;
    double rate_ = 0;
};
static_assert(!std::is_aggregate_v<RedriveOptions>);

// The broker's yes: stored as durably as the queue asks.
struct Receipt {
    std::string id;              // for people and commands
    std::uint64_t sequence = 0;  // in its queue
    bool duplicate = false;      // was there already: a re-send after a broken connection
    bool ttl_lowered = false;    // its queue allows it less time than it asked for
    std::uint64_t room = 0;      // messages until the queue is full; the largest uint64 if it is not bounded
    Durability durability = Durability::kSync;
    std::uint32_t routed = 0;  // to a topic: how many subscriptions get it; 0 for a duplicate
};

// Told what became of a message: exactly one of the two is not null; they live as long as the call. Runs once for each
// message, on the client's I/O thread, which does nothing else meanwhile: be short, do not throw, and do not block (calls
// that would throw kWouldDeadlock). Messages of one thread to one queue or topic are answered in their order.
using SendCallback = std::function<void(const Error* error, const Receipt* receipt)>;

// What becomes of a job after its handler.
class ROCKDOVE_API Outcome {
public:
    Outcome();  // ack
    static Outcome ack();
    // Counts an attempt. Again after the queue's backoff, or after `after`.
    static Outcome retry(std::string reason, std::optional<Millis> after = {});
    // Not the job's fault: no attempt counted.
    static Outcome release(Millis after = {});
    // Dead letter now.
    static Outcome reject(std::string reason);

private:
    friend detail::Access;
    int kind_;
    std::string reason_;
    std::optional<Millis> after_;
};

// A delivery in the client's hands, held under a lease which the library renews. Move-only.
// Settling (ack, retry, release, reject) needs std::move(job), so it happens once. It blocks until the broker's answer.
// Errors of settling: kStaleLease if the lease was lost; kOutcomeUnknown if the connection broke on the way and the
// broker, asked again, no longer holds the job. The destructor releases an unsettled job and does not block.
// Views into a job live as long as it. A job may outlive its Receiver; settling it then fails.
class ROCKDOVE_API Job {
public:
    Job(Job&&) noexcept;
    Job& operator=(Job&&) noexcept;
    ~Job();

    [[nodiscard]] const std::string& id() const;
    [[nodiscard]] std::string_view body() const;
    [[nodiscard]] std::string_view subject() const;
    [[nodiscard]] std::string_view content_type() const;
    [[nodiscard]] std::string_view correlation_id() const;
    [[nodiscard]] std::string_view reply_to() const;
    [[nodiscard]] std::string_view key() const;
    [[nodiscard]] std::string_view traceparent() const;
    [[nodiscard]] std::string_view tracestate() const;
    [[nodiscard]] int priority() const;
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    [[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> headers() const;
    [[nodiscard]] int attempt() const;  // 1 for the first try
    [[nodiscard]] std::uint64_t sequence() const;
    [[nodiscard]] Clock::time_point commit_time() const;
    [[nodiscard]] const std::string& queue() const;  // of a subscription: TOPIC/NAME
    // Messages that the subscription has lost right before this one: the topic kept them no longer, or it was full.
    [[nodiscard]] std::uint64_t missed() const;
    // A fencing token, (epoch, lease): as a pair it grows with every delivery of the message.
    [[nodiscard]] std::pair<std::uint64_t, std::uint32_t> fence() const;
    // Stops when the lease is lost, `longest` is over, or the worker or client stops.
    [[nodiscard]] std::stop_token stop_token() const;

    void ack() &&;
    void retry(std::string reason, std::optional<Millis> after = {}) &&;
    void release(Millis after = {}) &&;
    void reject(std::string reason) &&;
    // The lease ends so long from now, unless it is renewed; also allows the job to run that long. Blocks.
    void extend(Millis time);

private:
    friend detail::Access;
    Job(std::shared_ptr<detail::Consumer> consumer, std::shared_ptr<detail::Delivery> delivery) noexcept;

    std::shared_ptr<detail::Consumer> consumer_;
    std::shared_ptr<detail::Delivery> delivery_;
};

// Called once for each job. Returning settles the job (unless the handler did); Reject rejects it; any other exception
// is a retry with its what() as the reason.
using Handler = std::function<Outcome(Job&)>;

// How jobs are received, by a Worker or a Receiver.
class ROCKDOVE_API WorkerOptions {
public:
    WorkerOptions();

    WorkerOptions& concurrency(std::size_t handlers);    // 1: handlers at a time; 1 to 1,024. A Receiver ignores it
    WorkerOptions& prefetch(std::uint32_t jobs);         // most unsettled jobs, 1 to 65,535; 0: twice the concurrency
    WorkerOptions& prefetch_bytes(std::uint64_t bytes);  // 0: no limit
    WorkerOptions& lease(Millis lease);                  // 0: the queue's. Renewed while the job is in hand
    WorkerOptions& longest(Millis time);      // 1 h: so long the lease is renewed, counted from the handler's start
    WorkerOptions& stop_within(Millis time);  // 10 s: how long stop() waits for handlers
    WorkerOptions& name(std::string name);    // unique in its queue; made up from the client's if not set
    // Only jobs that match: docs/features/filters.md, without `age`. The others stay in the queue for others.
    WorkerOptions& filter(std::string expression);
    // What is prefetched waits without a lease and without counting an attempt, until a handler (or next()) asks for it: one
    // more round trip for each job. For jobs that take long, where prefetched ones should not wait with a lease.
    WorkerOptions& explicit_start(bool on = true);
    // At most once: a job is done when the broker sends it, whatever becomes of it here; what a handler returns counts for
    // nothing, and jobs that wait for a handler when the worker stops are lost. Not with explicit_start. `prefetch` is then
    // as many as `concurrency`, unless set.
    WorkerOptions& ack_on_delivery(bool on = true);

private:
    friend detail::Access;
    std::size_t concurrency_ = 1;
    std::uint32_t prefetch_ = 0;
    std::uint64_t prefetch_bytes_ = 0;
    Millis lease_{0};
    Millis longest_{std::chrono::hours{1}};
    Millis stop_within_{10'000};
    std::string name_;
    std::string filter_;
    bool explicit_start_ = false;
    bool ack_on_delivery_ = false;
};
static_assert(!std::is_aggregate_v<WorkerOptions>);

// Runs a handler for the jobs of a queue, until stopped. Comes back by itself when the connection was lost.
// Any thread may call it. The destructor is stop(). May be destroyed by its own handler.
class ROCKDOVE_API Worker {
public:
    Worker(Worker&&) noexcept;
    Worker& operator=(Worker&&) noexcept;
    ~Worker();

    // No new handlers; jobs not yet started go back to the queue at once. Does not block.
    void pause();
    void resume();
    // No new jobs, stop tokens fire; waits up to stop_within for handlers, then gives back what is left. A handler that
    // still runs then keeps its thread, and its outcome counts for nothing. Blocks, but never on the calling handler.
    void stop();
    // Blocks until stopped. Throws if the worker ended otherwise: kNotFound if there is no such queue or it was
    // deleted, ...
    void wait();

private:
    friend detail::Access;
    explicit Worker(std::shared_ptr<detail::Consumer> consumer) noexcept;

    std::shared_ptr<detail::Consumer> consumer_;
};

// Takes jobs one by one. At most `prefetch` unsettled jobs are out at a time. One thread at a time.
// The destructor gives back what was not taken; jobs in the caller's hands are given back too, so keep it while they
// live.
class ROCKDOVE_API Receiver {
public:
    Receiver(Receiver&&) noexcept;
    Receiver& operator=(Receiver&&) noexcept;
    ~Receiver();

    // Blocks without limit. Throws if the receiver ended: kNotFound, kClosed, ...
    Job next();
    // Empty if none came in time. 0: only what is here already.
    std::optional<Job> next(Millis wait);

private:
    friend detail::Access;
    explicit Receiver(std::shared_ptr<detail::Consumer> consumer) noexcept;

    std::shared_ptr<detail::Consumer> consumer_;
};

// Settings of a new queue; what is not set is the broker's default.
class ROCKDOVE_API QueueOptions {
public:
    QueueOptions();

    QueueOptions& durability(Durability durability);                                          // kSync
    QueueOptions& lease(Millis lease);                                                        // 30 s
    QueueOptions& max_attempts(std::uint32_t attempts);                                       // 5
    QueueOptions& max_releases(std::uint32_t releases);                                       // 100
    QueueOptions& backoff(Millis first, double factor, Millis longest, double jitter = 0.1);  // 1 s, 2, 10 min
    QueueOptions& max_retry_delay(Millis delay);                                              // 1 day
    QueueOptions& max_messages(std::uint64_t messages);                                       // 0: unlimited
    QueueOptions& max_bytes(std::uint64_t bytes);                                             // 0: unlimited
    QueueOptions& drop_oldest(bool drop = true);         // when full, instead of refusing new messages
    QueueOptions& dead_max(std::uint64_t dead_letters);  // 100,000
    QueueOptions& dead_letter_to(std::string queue);     // none
    QueueOptions& reconnect_grace(Millis time);          // 5 s
    QueueOptions& ttl(Millis most);                      // bounds every message's time to live; 0: unlimited
    QueueOptions& drop_expired(bool drop = true);        // an expired message is dropped instead of a dead letter
    QueueOptions& pass_on_retry(bool pass = true);       // a message that waits for its next try does not hold its key
    QueueOptions& pause_on_dead(bool pause = true);      // the key of a dead message stops until it is resumed
    QueueOptions& oldest_every(std::uint32_t n);         // every n-th delivery is the oldest message; 0: never
    QueueOptions& dedup_window(Millis time);             // how long a dedup id counts, from its first message; 10 min
    QueueOptions& dedup_until_done(bool done = true);    // instead it counts until its message is done
    // An existing queue is fine if it has these settings, else kConflict.
    QueueOptions& if_not_exists(bool fine = true);

private:
    friend detail::Access;
    std::optional<Durability> durability_;
    std::optional<std::uint64_t> lease_ms_;
    std::optional<std::uint32_t> max_attempts_, max_releases_;
    std::optional<std::uint64_t> backoff_first_ms_, backoff_longest_ms_;
    std::optional<double> backoff_factor_, backoff_jitter_;
    std::optional<std::uint64_t> max_retry_delay_ms_, max_messages_, max_bytes_, dead_max_, reconnect_grace_ms_,
        ttl_ms_, dedup_window_ms_;
    std::optional<bool> drop_oldest_, dedup_until_done_, drop_expired_, pass_on_retry_, pause_on_dead_;
    std::optional<std::uint32_t> oldest_every_;
    std::optional<std::string> dead_letter_to_;
    bool if_not_exists_ = false;
};
static_assert(!std::is_aggregate_v<QueueOptions>);

// Settings of a new topic; what is not set is the broker's default. What a topic keeps, it keeps until one of the bounds is
// reached; without bounds, and with retain_until_done, until every durable subscription is done with it.
class ROCKDOVE_API TopicOptions {
public:
    TopicOptions();

    TopicOptions& durability(Durability durability);          // kSync
    TopicOptions& retain_age(Millis age);                     // 0: no bound
    TopicOptions& retain_bytes(std::uint64_t bytes);          // 0: no bound
    TopicOptions& retain_messages(std::uint64_t messages);    // 0: no bound
    TopicOptions& retain_until_done(bool until_done = true);  // with bounds: what all are done with goes earlier
    TopicOptions& retain_last(bool retain = true);            // the last message of each key, for new subscriptions
    TopicOptions& best_effort(bool on = true);  // a full subscription misses; else publishing fails: kFull
    TopicOptions& ttl(Millis most);             // bounds every message's time to live; 0: unlimited
    TopicOptions& dedup_window(Millis time);    // how long a dedup id counts, from its first message; 10 min
    // An existing topic is fine if it has these settings, else kConflict.
    TopicOptions& if_not_exists(bool fine = true);

private:
    friend detail::Access;
    std::optional<Durability> durability_;
    std::optional<std::uint64_t> retain_age_ms_, retain_bytes_, retain_messages_, ttl_ms_, dedup_window_ms_;
    std::optional<bool> retain_until_done_, retain_last_, best_effort_;
    bool if_not_exists_ = false;
};
static_assert(!std::is_aggregate_v<TopicOptions>);

// What of a topic to receive, and how.
//
// Ephemeral, unless durable() names it: the broker keeps it in memory for this Worker or Receiver alone. After a reconnect
// it is made anew, under another name, and begins with what comes then: what was published meanwhile it does not get. While
// its handler is slower than the publishers, it holds them back, unless drop_when_slow().
class ROCKDOVE_API SubscriptionOptions {
public:
    SubscriptionOptions();

    // The broker keeps it, and what it has not got yet, until it is deleted. Made if it is not there; if it is, but with
    // other settings, the worker ends with kConflict. Workers that subscribe under one name share its messages.
    SubscriptionOptions& durable(std::string name);
    // Only messages whose subject matches: "order.*.created", "order.>". Several: one must match. None: everything.
    SubscriptionOptions& subject(std::string pattern);
    // Only messages that match: docs/features/filters.md, without `age`.
    SubscriptionOptions& filter(std::string expression);
    // Where a new one begins; if none of these is called, with what comes next. The last call counts. One that is there
    // already goes on where it was, and so does a durable one after a reconnect.
    SubscriptionOptions& from_start();                           // with the oldest message that is kept
    SubscriptionOptions& from(Clock::time_point time);           // with the first one committed then or later
    SubscriptionOptions& from_sequence(std::uint64_t sequence);  // with this one, or the first that is kept after it
    // Ephemeral only: when it is full, its oldest message goes (Job::missed() tells), and no publisher is held back.
    SubscriptionOptions& drop_when_slow(bool drop = true);
    // Retries, limits, keys and dead letters of the subscription. Its durability is the topic's; if_not_exists says nothing.
    SubscriptionOptions& queue(QueueOptions options);
    // How its jobs are received. If an ephemeral one is not told: ack_on_delivery, and 1,000 jobs prefetched.
    SubscriptionOptions& worker(WorkerOptions options);

private:
    friend detail::Access;
    enum class From : std::uint8_t { kEnd, kStart, kTime, kSequence };
    std::string name_;  // empty: ephemeral
    std::vector<std::string> subjects_;
    std::string filter_;
    From from_ = From::kEnd;
    std::uint64_t from_sequence_ = 0;
    std::int64_t from_ms_ = 0;
    bool drop_when_slow_ = false;
    QueueOptions queue_;
    std::optional<WorkerOptions> worker_;
};
static_assert(!std::is_aggregate_v<SubscriptionOptions>);

// A connection to a broker (one of several endpoints), kept up as long as the object lives. One per process is enough.
// Owns one I/O thread and the handler threads. Thread-safe; only moving and destroying it need it to be alone.
class ROCKDOVE_API Client {
public:
    // Blocks until connected. Throws after connect_timeout, with the reason for each endpoint; at once where the broker
    // refused for good.
    explicit Client(ClientOptions options);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();  // close(), without throwing; what was not confirmed has failed its future by then

    // Blocks until the broker has stored the message. Sent again by itself after a broken connection, stored once.
    // Throws what the broker answered (kFull, kNotFound, ...); kUnavailable if it could not be sent within
    // operation_timeout; kOutcomeUnknown if it was sent and not answered within it.
    Receipt send(std::string_view queue, Message message);
    // The same, pipelined: returns when the message is queued here. Blocks only at pending_limit; every error comes
    // through the future. Messages of one thread to one queue keep their order.
    std::future<Receipt> send_async(std::string_view queue, Message message);
    // The same without a future, for many messages a second. Errors known at once (a bad name, a closed client) are told on
    // the calling thread, before it returns; an empty callback throws kInvalid.
    void send_async(std::string_view queue, Message message, SendCallback done);

    // The same to a topic, which every subscription that wants the message gets; Receipt::routed says how many those are.
    // kUnroutable: mandatory, and there are none. kFull: a subscription has no room, and the topic is not best_effort.
    Receipt publish(std::string_view topic, Message message);
    std::future<Receipt> publish_async(std::string_view topic, Message message);
    void publish_async(std::string_view topic, Message message, SendCallback done);

    // Start receiving; they return at once, and an unknown queue shows in Worker::wait() or Receiver::next().
    // Throw kInvalid (names, limits) and kClosed.
    Worker receive(std::string queue, Handler handler, WorkerOptions options = {});
    Receiver open_receiver(std::string queue, WorkerOptions options = {});
    // The same from a topic. The subscription is made on the way; what the broker has against it shows in the same place.
    Worker subscribe(std::string topic, Handler handler, SubscriptionOptions options = {});
    Receiver open_subscription(std::string topic, SubscriptionOptions options = {});

    // Blocks. Throws kAlreadyExists, kConflict, kInvalid, ...
    void create_queue(std::string_view name, QueueOptions options = {});
    // The same, pipelined: thousands of queues are made while the first would wait for the disk. Errors come through the
    // future. A future that is not waited for changes nothing.
    std::future<void> create_queue_async(std::string_view name, QueueOptions options = {});
    // Blocks. Throws kAlreadyExists, kConflict, kInvalid, ...
    void create_topic(std::string_view name, TopicOptions options = {});

    // Takes a message back that nobody works on, by Receipt::id. Blocks until that is stored. Throws kNotFound; kConflict: it
    // is started, or a dead letter.
    void cancel(std::string_view message_id);
    // Gives a scheduled message another time. Blocks until that is stored. Throws kNotFound; kConflict: it is due; kInvalid:
    // it would expire before.
    void reschedule(std::string_view message_id, Clock::time_point time);
    // Sends dead letters round again, after what killed them has been mended. The broker does it as a task; blocks until that
    // has ended, however long it takes, and returns how many were moved. Throws kNotFound, kInvalid, kRateLimited (too many
    // tasks); kCancelled or kUnavailable if the task ended early, with what is known of it. The task goes on if this throws.
    std::uint64_t redrive(std::string_view queue, RedriveOptions options = {});

    // Blocks until everything sent before is answered, one way or the other; never longer than operation_timeout.
    void flush();

    [[nodiscard]] ConnectionState state() const;
    // Called on the I/O thread after each change, with the reason (none where it went well). Replaces the one before.
    void on_state(std::function<void(ConnectionState, std::error_code)> callback);

    // Flushes, stops the workers (each within its stop_within), says goodbye; all within `grace`. What is not confirmed
    // by then fails: kClosed if it was not sent, else kOutcomeUnknown. Idempotent. Every later call throws kClosed.
    void close(Millis grace = Millis{5000});

private:
    friend detail::Access;
    std::shared_ptr<detail::Core> core_;
};

}  // namespace rockdove

template <>
struct std::is_error_code_enum<rockdove::ErrorCode> : std::true_type {};
template <>
struct std::is_error_condition_enum<rockdove::Advice> : std::true_type {};
