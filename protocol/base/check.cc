#include "protocol/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace rockdove::base {

void check_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "level=\"critical\" msg=\"invariant broken\" check=\"%s\" at=\"%s:%d\"\n", condition, file,
                 line);
    std::fflush(stderr);
    std::abort();
}

}  // namespace rockdove::base
