#include "mapping.h"

#if !defined(_WIN32)
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace heed {
namespace {

constexpr size_t kHugePage = size_t(2) << 20;

/** One mapping; read in a handler of signals, so each field is set as a whole. */
struct Mapping {
    std::atomic<char*> start{nullptr};  // null while the place is free
    std::atomic<size_t> bytes{0};
    std::atomic<bool> has_lost{false};
};
constexpr int kMaxMappings = 256;
Mapping mappings[kMaxMappings];
std::mutex places;
std::atomic<int> num_lost{0};
struct sigaction previous;

size_t page_size() {
    static const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

/** Reading beyond the end of a file ends the process by this signal: a page of ones takes the place of the one that is not there. */
void on_bus_error(int signal, siginfo_t* info, void* context) {
    char* const at = static_cast<char*>(info->si_addr);
    for (Mapping& mapping : mappings) {
        char* const start = mapping.start.load();
        if (!start || at < start || at >= start + mapping.bytes.load()) continue;
        void* page = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(at) / page_size() * page_size());
        if (mmap(page, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
        memset(page, 0xff, page_size());
        if (!mapping.has_lost.exchange(true)) num_lost.fetch_add(1);
        return;
    }
    if (previous.sa_flags & SA_SIGINFO) previous.sa_sigaction(signal, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) previous.sa_handler(signal);
    else sigaction(SIGBUS, &previous, nullptr);  // and the same instruction ends the process
}

void watch() {
    page_size();
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

}  // namespace

void* map_file(int file, size_t bytes) {
    static std::once_flag once;
    std::call_once(once, watch);
    const std::lock_guard<std::mutex> lock(places);
    Mapping* place = nullptr;
    for (Mapping& mapping : mappings)
        if (!mapping.start.load()) place = &mapping;
    if (!place || bytes == 0) return nullptr;
    // Room in which an address lies as far into a large page as its place in the file does.
    char* room = static_cast<char*>(mmap(nullptr, bytes + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (room == MAP_FAILED) return nullptr;
    char* start = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(room) + kHugePage - 1) / kHugePage * kHugePage);
    const size_t length = (bytes + page_size() - 1) / page_size() * page_size();
    if (mmap(start, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED) {
        munmap(room, bytes + kHugePage);
        return nullptr;
    }
    const size_t end = (bytes + kHugePage + page_size() - 1) / page_size() * page_size();
    if (start > room) munmap(room, start - room);
    if (room + end > start + length) munmap(start + length, room + end - (start + length));
#if defined(MADV_HUGEPAGE)
    madvise(start, length, MADV_HUGEPAGE);
#endif
    place->bytes.store(bytes);
    place->start.store(start);
    return start;
}

void unmap_file(void* start, size_t bytes) {
    const std::lock_guard<std::mutex> lock(places);
    for (Mapping& mapping : mappings)
        if (mapping.start.load() == start) {
            mapping.start.store(nullptr);
            if (mapping.has_lost.exchange(false)) num_lost.fetch_sub(1);
        }
    munmap(start, (bytes + page_size() - 1) / page_size() * page_size());
}

void forget_pages(void* start, size_t bytes) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(start), page = page_size();
    const uintptr_t begin = (from + page - 1) / page * page, end = (from + bytes) / page * page;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

bool has_lost(const void* start) {
    if (num_lost.load(std::memory_order_relaxed) == 0) return false;
    for (Mapping& mapping : mappings)
        if (mapping.has_lost.load() && (!start || mapping.start.load() == start)) return true;
    return false;
}

}  // namespace heed
#endif
