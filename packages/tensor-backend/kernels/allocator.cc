#include "allocator.h"

#include <stdint.h>

#if defined(__wasm__)
#define HEED_WASM_HEAP 1
extern unsigned char __heap_base;
#else
#include <stdlib.h>

#include <mutex>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#endif

namespace heed {
namespace {

#if HEED_WASM_HEAP && defined(__wasm_atomics__)
bool locked = false;
struct Lock {
    Lock() {
        while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE)) {
        }
    }
    ~Lock() { __atomic_clear(&locked, __ATOMIC_RELEASE); }
};
#elif HEED_WASM_HEAP
struct Lock {
    ~Lock() {}  // one thread of JavaScript owns the module
};
#else
std::mutex mutex;
struct Lock {
    std::lock_guard<std::mutex> guard{mutex};  // several JavaScript threads share the process
};
#endif

constexpr size_t kAlignment = 64;  // one cache line, one AVX-512 vector
constexpr int kStepsPerOctave = 8; // size classes between two powers of two: at most 1/8 of a block is waste
constexpr int kNumClasses = 48 * kStepsPerOctave;
// Sits in the 64 bytes before each block.
struct Header {
    size_t bytes;
    int size_class;
    Header* next;
};

Header* free_lists[kNumClasses];
size_t bytes_in_use = 0;
size_t bytes_cached = 0;
size_t peak_in_use = 0;
size_t peak_before = 0;  // of the last kWindow allocations that are complete
int allocations = 0;     // since then

// After so many allocations what was in use before them is forgotten: some steps of training, or a long text.
constexpr int kWindow = 1 << 14;

size_t recent_peak() { return peak_in_use > peak_before ? peak_in_use : peak_before; }

/** Rounds up to a size class and gives its number: 64, 72 -> 128 ... in eighths of an octave, each a multiple of 64. */
int class_of(size_t bytes, size_t* rounded) {
    if (bytes < kAlignment) bytes = kAlignment;
    int octave = 63 - __builtin_clzll((unsigned long long)bytes);
    size_t base = size_t(1) << octave;
    size_t step = base / kStepsPerOctave;
    if (step < kAlignment) step = kAlignment;
    size_t up = (bytes + step - 1) / step * step;
    octave = 63 - __builtin_clzll((unsigned long long)up);
    base = size_t(1) << octave;
    *rounded = up;
    return octave * kStepsPerOctave + int((up - base) * kStepsPerOctave / base);
}

#if HEED_WASM_HEAP
constexpr size_t kWasmPage = 65536;
uintptr_t heap_end = 0;

void* system_allocate(size_t bytes) {
    if (heap_end == 0) heap_end = ((uintptr_t)&__heap_base + kAlignment - 1) / kAlignment * kAlignment;
    const uintptr_t start = heap_end;
    const uint64_t end = (uint64_t)start + bytes;
    const uint64_t size = (uint64_t)__builtin_wasm_memory_size(0) * kWasmPage;
    if (end > size) {
        const uint64_t pages = (end - size + kWasmPage - 1) / kWasmPage;
        if (end > (uint64_t(1) << 32) || __builtin_wasm_memory_grow(0, (size_t)pages) == (size_t)-1) return nullptr;
    }
    heap_end = (uintptr_t)end;
    return (void*)start;
}

/** Linear memory does not shrink: every block stays cached. */
bool give_back(Header*) { return false; }
void make_room(size_t) {}
void end_window() {}
void give_back_all() {}

/** Once memory grows no more: cuts a block out of the smallest cached one that holds it, and keeps the rest cached. */
Header* cut(int size_class, size_t rounded) {
    int from = size_class + 1;
    while (from < kNumClasses && !free_lists[from]) from++;
    if (from == kNumClasses) return nullptr;
    Header* header = free_lists[from];
    free_lists[from] = header->next;
    bytes_cached -= header->bytes;
    if (header->bytes - rounded > kAlignment) {
        Header* rest = reinterpret_cast<Header*>(reinterpret_cast<char*>(header) + kAlignment + rounded);
        rest->bytes = header->bytes - rounded - kAlignment;
        size_t up;
        rest->size_class = class_of(rest->bytes, &up);
        if (up > rest->bytes) rest->size_class--;  // blocks of a class have its size at least
        rest->next = free_lists[rest->size_class];
        free_lists[rest->size_class] = rest;
        bytes_cached += rest->bytes;
        header->bytes = rounded;
        header->size_class = size_class;
    }
    return header;
}
#else
// Cached blocks may come to this, or to what was in use at once of late: the next step of a training run takes them again,
// and one large step does not hold its memory for ever.
constexpr size_t kAlwaysCached = size_t(384) << 20;
// From this size on a block is a mapping of its own, which returns to the system whole: in malloc's heap one block that
// is in use would hold all that were freed below it.
constexpr size_t kMapped = size_t(1) << 20;
#if defined(__linux__)
// From this size on Linux is asked for pages of 2 MB: weights are then read without missing the translation cache, and
// come into being in fewer faults.
constexpr size_t kHugePage = size_t(2) << 20;

size_t mapped_bytes(size_t bytes) { return bytes < kHugePage ? bytes : (bytes + kHugePage - 1) / kHugePage * kHugePage; }

void* map(size_t bytes) {
    const size_t length = mapped_bytes(bytes), spare = bytes < kHugePage ? 0 : kHugePage;
    char* start = static_cast<char*>(mmap(nullptr, length + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start == MAP_FAILED) return nullptr;
    if (spare == 0) return start;
    char* block = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(start) + kHugePage - 1) / kHugePage * kHugePage);
    if (block > start) munmap(start, block - start);
    if (start + spare > block) munmap(block + length, start + spare - block);
    madvise(block, bytes, MADV_HUGEPAGE);
    return block;
}
#endif

void* system_allocate(size_t bytes) {
#if defined(__linux__)
    if (bytes >= kMapped) return map(bytes);
#endif
    return aligned_alloc(kAlignment, bytes);
}

Header* cut(int, size_t) { return nullptr; }  // `make_room` has given back what was cached

void system_release(Header* header) {
#if defined(__linux__)
    const size_t bytes = header->bytes + kAlignment;
    if (bytes >= kMapped) {
        munmap(header, mapped_bytes(bytes));
        return;
    }
#endif
    free(header);
}

size_t max_cached() { return recent_peak() > kAlwaysCached ? recent_peak() : kAlwaysCached; }

bool give_back(Header* header) {
    if (bytes_cached + header->bytes <= max_cached()) return false;
    system_release(header);
    return true;
}

// Cached blocks may come to this beyond what was in use at once: without it the steps of a small model, whose sizes
// differ, would trade pages with the system all the time.
constexpr size_t kSpare = size_t(64) << 20;

/** Gives cached blocks back to the system, the largest first, as long as there are more than `limit` bytes of them. */
void give_back_beyond(size_t limit) {
    for (int i = kNumClasses - 1; i >= 0 && bytes_cached > limit; i--) {
        while (free_lists[i] && bytes_cached > limit) {
            Header* header = free_lists[i];
            free_lists[i] = header->next;
            bytes_cached -= header->bytes;
            system_release(header);
        }
    }
}

/**
 * Before `bytes` more are taken from the system: gives cached blocks back to it as long as with them there would be more
 * than was in use at once of late, and kSpare. The cache then hardly raises the peak.
 */
void make_room(size_t bytes) {
    const size_t needed = bytes_in_use + bytes, peak = recent_peak();
    give_back_beyond((needed > peak ? needed : peak) + kSpare - needed);
}

void end_window() { give_back_beyond(max_cached()); }

void give_back_all() {
    peak_in_use = peak_before = bytes_in_use;
    give_back_beyond(0);
#if defined(__GLIBC__)
    malloc_trim(0);  // the heap would keep small ones
#endif
}
#endif

}  // namespace

void* allocate(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return nullptr;
    size_t rounded;
    const int size_class = class_of(bytes, &rounded);
    Lock lock;
    Header* header = free_lists[size_class];
    if (header) {
        free_lists[size_class] = header->next;
        bytes_cached -= header->bytes;
    } else {
        make_room(rounded);
        header = static_cast<Header*>(system_allocate(rounded + kAlignment));
        if (header) {
            header->bytes = rounded;
            header->size_class = size_class;
        } else {
            header = cut(size_class, rounded);
            if (!header) return nullptr;
        }
    }
    bytes_in_use += header->bytes;
    if (bytes_in_use > peak_in_use) peak_in_use = bytes_in_use;
    if (++allocations == kWindow) {
        peak_before = peak_in_use;
        peak_in_use = bytes_in_use;
        allocations = 0;
        end_window();
    }
    return reinterpret_cast<char*>(header) + kAlignment;
}

void release(void* block) {
    if (!block) return;
    Header* header = reinterpret_cast<Header*>(static_cast<char*>(block) - kAlignment);
    Lock lock;
    bytes_in_use -= header->bytes;
    if (give_back(header)) return;
    header->next = free_lists[header->size_class];
    free_lists[header->size_class] = header;
    bytes_cached += header->bytes;
}

void trim() {
    Lock lock;
    give_back_all();
}

MemoryUse memory_use() { return {bytes_in_use, bytes_cached}; }

}  // namespace heed
