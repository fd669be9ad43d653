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
#else
// From this size on, where an allocation is memory of its own, Linux is asked for pages of 2 MB: weights are then read
// without missing the translation cache, and come into being in fewer faults.
constexpr size_t kHugePage = size_t(2) << 20;

void* system_allocate(size_t bytes) {
#if defined(__linux__)
    if (bytes >= 4 * kHugePage) {
        void* block = aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage);
        if (block) madvise(block, bytes, MADV_HUGEPAGE);
        return block;
    }
#endif
    return aligned_alloc(kAlignment, bytes);
}

// Cached blocks beyond this go back to the system, so that one large step does not hold its memory for ever.
constexpr size_t kMaxCached = size_t(384) << 20;

bool give_back(Header* header) {
    if (bytes_cached + header->bytes <= kMaxCached) return false;
    free(header);
    return true;
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
        header = static_cast<Header*>(system_allocate(rounded + kAlignment));
        if (!header) return nullptr;
        header->bytes = rounded;
        header->size_class = size_class;
    }
    bytes_in_use += rounded;
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

MemoryUse memory_use() { return {bytes_in_use, bytes_cached}; }

}  // namespace heed
