#include "tools/ctl/body_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rockdove::ctl {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

}  // namespace

BodySource::BodySource(const std::optional<std::string>& argument, Each each, Interrupt& interrupt)
    : splitter_(each), interrupt_(interrupt) {
    if (argument && argument->starts_with('@')) {
        const std::string path = argument->substr(1);
        fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        owned_ = fd_ >= 0;
        if (fd_ < 0) {
            failure_ = local_failure("cannot read " + path + ": " + std::strerror(errno),
                                     "if it is not a file but the body itself, pipe it in: printf %s '" + *argument +
                                         "' | rockdove send QUEUE");
        }
    } else if (argument && *argument != "-") {
        splitter_.feed(*argument);
        splitter_.finish();
    } else if (!argument && ::isatty(STDIN_FILENO) == 1) {
        failure_ =
            usage_failure("no body", "give it as an argument, as @file, or pipe it in (- reads from the terminal)");
    } else {
        fd_ = STDIN_FILENO;
    }
    if (fd_ >= 0) buffer_.resize(kReadBytes);
}

BodySource::~BodySource() {
    if (owned_) ::close(fd_);
}

bool BodySource::read_more() {
    if (fd_ < 0 || !interrupt_.wait_readable(fd_)) return false;
    const ssize_t got = ::read(fd_, buffer_.data(), buffer_.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (got < 0) {
        failure_ = local_failure(std::string("cannot read the input: ") + std::strerror(errno));
        return false;
    }
    if (got == 0) {
        splitter_.finish();
        if (owned_) ::close(fd_);
        owned_ = false;
        fd_ = -1;
    } else {
        splitter_.feed(std::string_view(buffer_).substr(0, static_cast<std::size_t>(got)));
    }
    return true;
}

std::optional<std::string_view> BodySource::next() {
    while (!failure_) {
        if (auto body = splitter_.next()) return body;
        if (splitter_.failed()) {
            failure_ = local_failure(splitter_.error());
        } else if (!read_more()) {
            break;
        }
    }
    return std::nullopt;
}

}  // namespace rockdove::ctl
