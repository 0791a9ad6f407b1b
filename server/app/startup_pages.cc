#include "server/app/startup_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace rockdove::app {
namespace {

// Only what cannot be written to: such pages are as the file has them.
int drop(dl_phdr_info* info, std::size_t, void*) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const std::uintptr_t begin = (info->dlpi_addr + segment.p_vaddr) / page * page;
        const std::uintptr_t end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
        (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // only advice
    }
    return 0;
}

}  // namespace

void drop_startup_pages() { (void)::dl_iterate_phdr(drop, nullptr); }

}  // namespace rockdove::app
