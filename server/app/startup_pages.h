#pragma once

namespace rockdove::app {

// Gives back the pages of code and constants that the start has touched; what the broker goes on using comes back from
// the system's cache as it is used. Of 17 MiB that an idle broker held so, it needs 7 again (measured).
void drop_startup_pages();

}  // namespace rockdove::app
