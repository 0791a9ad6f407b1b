#include "tools/ctl/cli.h"

int main(int argc, char** argv) { return rockdove::ctl::run_command_line({argv + 1, argv + argc}); }
