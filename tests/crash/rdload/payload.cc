#include "payload.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <stdexcept>

namespace rdload {

namespace {

constexpr std::size_t kMinFill = 4;
constexpr std::size_t kDigestBytes = 32;
constexpr const char* kContentType = "application/x-rockdove-test";

std::string digest(const EVP_MD* kind, const std::string& text, std::size_t bytes) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::string out(bytes, '\0');
    auto* raw = reinterpret_cast<unsigned char*>(out.data());
    bool good = EVP_DigestInit_ex(context.get(), kind, nullptr) == 1 &&
                EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1;
    good = good && (kind == EVP_shake128() ? EVP_DigestFinalXOF(context.get(), raw, bytes)
                                           : EVP_DigestFinal_ex(context.get(), raw, nullptr)) == 1;
    if (!good) throw std::runtime_error("OpenSSL cannot make a digest");
    return out;
}

std::string make_text(const std::string& mid, std::uint64_t n) { return mid + ":" + std::to_string(n) + "\n"; }

std::string make_body(const std::string& text, std::size_t size) {
    const std::size_t fill = std::max(size > text.size() ? size - text.size() : 0, kMinFill);
    return text + digest(EVP_shake128(), text, fill);
}

bool decorated(const std::string& hash) { return static_cast<unsigned char>(hash[0]) % 5 == 0; }

}  // namespace

rockdove::Message make_message(const std::string& mid, std::uint64_t n, std::size_t size) {
    const std::string text = make_text(mid, n);
    rockdove::Message message(make_body(text, size));
    const std::string hash = digest(EVP_sha256(), text, kDigestBytes);
    if (decorated(hash)) {
        message.header("mid", mid).header("digest", hash).content_type(kContentType).correlation_id(mid);
    }
    return message;
}

std::string mid_of(const rockdove::Job& job) {
    return std::string(job.body().substr(0, job.body().find(':')).substr(0, 100));
}

std::optional<std::string> check_job(const rockdove::Job& job) {
    const std::string_view body = job.body();
    const std::size_t colon = body.find(':');
    const std::size_t newline = body.find('\n');
    if (colon == std::string_view::npos || newline == std::string_view::npos || colon > newline) return std::nullopt;
    std::uint64_t n = 0;
    if (std::from_chars(body.data() + colon + 1, body.data() + newline, n).ptr != body.data() + newline)
        return std::nullopt;
    const std::string mid(body.substr(0, colon));
    const std::string text = make_text(mid, n);
    if (body != make_body(text, body.size())) return std::nullopt;
    const std::string hash = digest(EVP_sha256(), text, kDigestBytes);
    const bool extra = decorated(hash);
    const auto headers = job.headers();
    if (headers.size() != (extra ? 2U : 0U)) return std::nullopt;
    if (extra && (headers[0].first != "mid" || headers[0].second != mid || headers[1].first != "digest" ||
                  headers[1].second != hash)) {
        return std::nullopt;
    }
    if (job.content_type() != (extra ? kContentType : "") || job.correlation_id() != (extra ? mid : "")) {
        return std::nullopt;
    }
    return mid;
}

}  // namespace rdload
