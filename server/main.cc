// rockdoved: flags to configuration to App::run(), nothing else.
#include <cstdio>
#include <exception>

#include "server/app/app.h"
#include "server/app/command_line.h"

// Read by jemalloc, the daemon's allocator, before main(). Its threads hand large buffers to each other, and with the C
// library's allocator each of them went back to the kernel and was cleared anew: a third of the processor time of 1 KiB
// messages. Few arenas, and free pages go back after a second, so that memory stays bounded.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

namespace {

using namespace rockdove::app;

int fail(int exit_code, const std::string& text) {
    std::fprintf(stderr, "rockdoved: %s\n", text.c_str());
    return exit_code;
}

int print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? kExitClean : kExitIo;
}

int run(int argc, char** argv) {
    auto line = parse_command_line(argc, argv);
    if (!line) return fail(kExitUsage, line.error().text);
    if (line->action == Action::kPrint) return print(line->text);
    if (line->action == Action::kConfigExample) return print(example_config());
    if (line->action == Action::kConfigTable) return print(settings_table());

    line->config.environment = process_environment();
    auto config = load_config(line->config);
    if (!config) return fail(kExitConfig, config.error().text);
    if (line->action == Action::kConfigCheck) return print("ok\n");
    if (line->action == Action::kConfigShow) return print(config->show());
    return App(*std::move(config), std::move(line->config)).run();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return fail(kExitInternal, error.what());
    }
}
