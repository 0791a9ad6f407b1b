// W1, W2 and W4 against Redis Streams, by the same rules as `rockdove bench`: the same bodies, windows, warm-up and result
// line. A queue is a stream with one consumer group; what is acknowledged is also deleted, in the same write. A topic is a
// stream with a consumer group for each subscription; what is acknowledged stays.
//
//   redis_load W1|W2|W4 --port N ...   options: load.h
//
// One thread and one blocking connection for each producer and each consumer. One write for all there is to say, and
// one read for all there is.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <stdexcept>

#include "tools/bench/peers/load.h"

namespace rockdove::bench {
namespace {

constexpr char kStream[] = "bench";
constexpr std::size_t kReadBytes = std::size_t{1} << 18;

// A connection to Redis that speaks RESP.
class Connection {
public:
    explicit Connection(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
        const int one = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { close(fd_); }

    void command(std::initializer_list<std::string_view> parts) {
        begin(parts.size());
        for (const std::string_view part : parts) add(part);
    }
    void begin(std::size_t parts) { out_ += '*' + std::to_string(parts) + "\r\n"; }
    void add(std::string_view part) {
        out_ += '$' + std::to_string(part.size()) + "\r\n";
        out_ += part;
        out_ += "\r\n";
    }
    void flush() {
        for (std::size_t at = 0; at < out_.size();) {
            const ssize_t sent = send(fd_, out_.data() + at, out_.size() - at, MSG_NOSIGNAL);
            if (sent <= 0 && errno != EINTR) fail("send");
            at += sent > 0 ? static_cast<std::size_t>(sent) : 0;
        }
        out_.clear();
    }

    // Whether more can be taken without waiting.
    [[nodiscard]] bool has_line() const { return in_.find('\n', at_) != std::string::npos; }
    // One line without its end; waits for it. An error of Redis is thrown.
    std::string_view line() {
        std::size_t end = 0;
        while ((end = in_.find("\r\n", at_)) == std::string::npos) receive();
        const std::string_view found = std::string_view(in_).substr(at_, end - at_);
        at_ = end + 2;
        if (found.starts_with('-')) throw std::runtime_error("Redis says: " + std::string(found));
        return found;
    }
    // Behind `mark`; -1 for nil.
    std::int64_t number(char mark) {
        const std::string_view text = line();
        std::int64_t value = 0;
        const auto parsed = std::from_chars(text.data() + 1, text.data() + text.size(), value);
        if (text.empty() || text.front() != mark || parsed.ec != std::errc()) {
            throw std::runtime_error("an unexpected answer of Redis: " + std::string(text));
        }
        return value;
    }
    // A bulk string; valid until the next call.
    std::string_view bulk() {
        const auto size = static_cast<std::size_t>(number('$'));
        while (in_.size() - at_ < size + 2) receive();
        const std::string_view found = std::string_view(in_).substr(at_, size);
        at_ += size + 2;
        return found;
    }

private:
    [[noreturn]] static void fail(const std::string& doing) {
        throw std::runtime_error(doing + ": " + std::strerror(errno));
    }
    void receive() {
        in_.erase(0, at_);
        at_ = 0;
        const std::size_t before = in_.size();
        in_.resize(before + kReadBytes);
        const ssize_t got = recv(fd_, in_.data() + before, kReadBytes, 0);
        if (got <= 0 && errno != EINTR) fail("receive");
        in_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
    }

    const int fd_;
    std::string out_, in_;
    std::size_t at_ = 0;
};

// Keeps the window full until phase.stop, then waits for what is open. One thread; count and latencies as Producer.
class RedisProducer final : public Role {
public:
    RedisProducer(const Settings& settings, std::uint64_t seed, Phase& phase)
        : settings_(settings), phase_(phase), bodies_(settings.size, seed), connection_(settings.port) {}
    void run() override {
        std::deque<std::int64_t> open;  // when each was sent
        while (!phase_.stop || !open.empty()) {
            if (!phase_.stop && open.size() < settings_.window) {
                const std::int64_t now = now_ns();
                while (open.size() < settings_.window) {
                    connection_.command({"XADD", kStream, "*", "p", bodies_.next()});
                    open.push_back(now);
                }
                connection_.flush();
            }
            std::uint64_t answers = 0;
            do {
                (void)connection_.bulk();
                ++answers;
                const std::int64_t sent = open.front();
                open.pop_front();
                note_latency(phase_, sent);
            } while (!open.empty() && connection_.has_line());
            done.fetch_add(answers, std::memory_order_relaxed);
        }
    }

private:
    const Settings& settings_;
    Phase& phase_;
    Bodies bodies_;
    Connection connection_;
};

class RedisConsumer final : public Role {
public:
    RedisConsumer(const Settings& settings, std::size_t number, Phase& phase)
        : phase_(phase),
          deletes_(settings.workload != "W4"),
          group_("g" + std::to_string(number)),
          count_(std::to_string(settings.window)),
          connection_(settings.port) {
        connection_.command({"XGROUP", "CREATE", kStream, group_, "0", "MKSTREAM"});
        connection_.flush();
        (void)connection_.line();
    }
    void run() override {
        std::vector<std::string> ids;
        while (!phase_.stop) {
            read_more();
            connection_.flush();
            if (!ids.empty()) {
                const std::int64_t acked = connection_.number(':');
                if (deletes_) (void)connection_.number(':');
                done.fetch_add(static_cast<std::uint64_t>(acked), std::memory_order_relaxed);
            }
            take(ids);
            if (!ids.empty()) acknowledge(ids);  // leaves with the next read
        }
    }

private:
    void read_more() {
        connection_.command(
            {"XREADGROUP", "GROUP", group_, "c", "COUNT", count_, "BLOCK", "100", "STREAMS", kStream, ">"});
    }
    void take(std::vector<std::string>& ids) {
        ids.clear();
        if (connection_.number('*') < 0) return;  // nothing came
        (void)connection_.number('*');            // the stream's name and its entries
        (void)connection_.bulk();
        const std::int64_t entries = connection_.number('*');
        for (std::int64_t i = 0; i < entries; ++i) {
            (void)connection_.number('*');
            ids.emplace_back(connection_.bulk());
            const std::int64_t fields = connection_.number('*');
            for (std::int64_t f = 0; f < fields; ++f) (void)connection_.bulk();
        }
    }
    void acknowledge(const std::vector<std::string>& ids) {
        connection_.begin(3 + ids.size());
        for (const std::string_view part :
             {std::string_view("XACK"), std::string_view(kStream), std::string_view(group_)}) {
            connection_.add(part);
        }
        for (const std::string& id : ids) connection_.add(id);
        if (!deletes_) return;
        connection_.begin(2 + ids.size());
        for (const std::string_view part : {"XDEL", kStream}) connection_.add(part);
        for (const std::string& id : ids) connection_.add(id);
    }

    Phase& phase_;
    const bool deletes_;
    const std::string group_, count_;
    Connection connection_;
};

}  // namespace
}  // namespace rockdove::bench

int main(int argc, char** argv) {
    using namespace rockdove::bench;
    Peer redis;
    redis.name = "redis";
    redis.ack = "multi";
    redis.fans_out = true;
    redis.producer = [](const Settings& settings, std::uint64_t seed, Phase& phase) {
        return std::make_unique<RedisProducer>(settings, seed, phase);
    };
    redis.consumer = [](const Settings& settings, std::size_t number, Phase& phase) {
        return std::make_unique<RedisConsumer>(settings, number, phase);
    };
    return load_main(argc, argv, redis);
}
