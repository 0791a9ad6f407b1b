// The quick starts do what their page says.
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/support/daemon.h"

namespace {

struct Output {
    std::string text;
    int status = -1;
};

Output run(const std::string& command) {
    FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
    Output output;
    std::array<char, 4096> buffer{};
    for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
        output.text.append(buffer.data(), got);
    }
    output.status = ::pclose(pipe);
    return output;
}

}  // namespace

TEST_CASE("quick start 1 stores its jobs, quick start 2 works them off", "[client][feature][examples]") {
    rockdove::test::Daemon daemon(ROCKDOVED_PATH);
    const Output sent = run(std::string(SEND_JOB_PATH) + " " + daemon.url());
    CHECK(sent.status == 0);
    CHECK_THAT(sent.text, Catch::Contains(" stored\n1000 more stored\n"));
    const Output worked = run(std::string(WORKER_PATH) + " " + daemon.url());
    CHECK(worked.status == 0);
    CHECK(worked.text == "1001 sent\n");
}

TEST_CASE("the coroutine quick start receives what it sent", "[client][feature][examples]") {
    rockdove::test::Daemon daemon(ROCKDOVED_PATH);
    const Output output = run(std::string(COROUTINES_PATH) + " " + daemon.url());
    CHECK(output.status == 0);
    CHECK_THAT(output.text, Catch::Contains("received: hi\n"));
}

TEST_CASE("the image jobs are retried if that may help, and given up if not", "[client][feature][examples]") {
    rockdove::test::Daemon daemon(ROCKDOVED_PATH);
    const Output output = run(std::string(IMAGE_JOBS_PATH) + " " + daemon.url() + " 20");
    CHECK(output.status == 0);
    CHECK_THAT(output.text, Catch::Contains("cat.png: resized\n"));
    CHECK_THAT(output.text, Catch::Contains("slow.png: attempt 1 failed: image store is busy\n") &&
                                Catch::Contains("slow.png: attempt 2 failed: image store is busy\n") &&
                                Catch::Contains("slow.png: resized\n"));
    CHECK_THAT(output.text, Catch::Contains("notes.txt: given up: notes.txt has no image header\n"));
}

TEST_CASE("a customer's orders are worked on in order, one at a time", "[client][feature][examples]") {
    rockdove::test::Daemon daemon(ROCKDOVED_PATH);
    const Output output = run(std::string(CUSTOMER_ORDERS_PATH) + " " + daemon.url());
    CHECK(output.status == 0);
    CHECK(output.text ==
          "customer-7: created paid packed shipped\n"
          "customer-8: created paid packed shipped\n"
          "customer-9: created paid packed shipped\n");
}

TEST_CASE("a payment is done once, however often it is asked for", "[client][feature][examples]") {
    rockdove::test::Daemon daemon(ROCKDOVED_PATH);
    const Output output = run(std::string(PAYMENTS_PATH) + " " + daemon.url());
    CHECK(output.status == 0);
    CHECK(output.text ==
          "invoice 4711: accepted\n"
          "invoice 4711: asked for before\n"
          "invoice 4711: another payment was asked for before\n"
          "invoice 4712: accepted\n"
          "paid {\"cents\":1200}\n"
          "paid {\"cents\":500}\n"
          "invoice 4711: asked for before\n");
}

TEST_CASE("a poison message does not stop its queue, and is redriven after the fix", "[client][feature][examples]") {
    rockdove::test::Daemon daemon(ROCKDOVED_PATH);
    const Output output = run(std::string(POISON_MESSAGE_PATH) + " " + daemon.url());
    CHECK(output.status == 0);
    for (const char* line : {"booked 12.50\n", "booked 99.00\n", "attempt 1: amount \"12,50\" is not a number\n",
                             "attempt 2: amount \"12,50\" is not a number\n",
                             "attempt 3: amount \"12,50\" is not a number\nthe code is mended\nbooked 12.50\n"}) {
        CHECK_THAT(output.text, Catch::Contains(line));
    }
    CHECK(std::count(output.text.begin(), output.text.end(), '\n') == 7);
}

TEST_CASE("a quick start without a broker says so and fails", "[client][feature][examples]") {
    std::string url;
    {
        const rockdove::test::Daemon gone(ROCKDOVED_PATH);
        url = gone.url();
    }
    const Output output = run(std::string(SEND_JOB_PATH) + " '" + url + "?connect_timeout=200ms' 2>&1");
    CHECK(output.status != 0);
    CHECK_THAT(output.text, Catch::Contains("Connection refused") && Catch::Contains("try again later"));
}
