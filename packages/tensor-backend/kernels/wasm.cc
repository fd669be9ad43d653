// What the WebAssembly modules export besides the kernels, and how they split a loop over threads.
#include <stdint.h>

#include "allocator.h"
#include "threads.h"

extern "C" {

__attribute__((export_name("allocate"))) uint32_t wasm_allocate(uint32_t bytes) {
    return (uint32_t)(uintptr_t)heed::allocate(bytes);
}

__attribute__((export_name("release"))) void wasm_release(uint32_t address) {
    heed::release(reinterpret_cast<void*>((uintptr_t)address));
}

__attribute__((export_name("bytes_in_use"))) uint32_t wasm_bytes_in_use() { return (uint32_t)heed::memory_use().in_use; }
__attribute__((export_name("bytes_cached"))) uint32_t wasm_bytes_cached() { return (uint32_t)heed::memory_use().cached; }

}  // extern "C"

#if defined(__wasm_atomics__)

// The module with threads: each worker of JavaScript runs an instance of its own on the same memory, in `work`. As in
// threads.cc, a loop never waits for a worker that has not joined it yet.
namespace heed {
namespace {

constexpr int kSpins = 20000;  // about 100 microseconds, to bridge the gap between two kernels
constexpr int kChunksPerThread = 4;

struct {
    Task task;
    const void* body;
    int count;
    int chunk;
    int next;
} loop;

int size = 1;
uint32_t ticket = 0;
int open = 0;
int inside = 0;
int sleeping = 0;
thread_local bool inside_loop = false;

template <class T>
T read(T& value) {
    return __atomic_load_n(&value, __ATOMIC_SEQ_CST);
}

void drain() {
    inside_loop = true;
    for (;;) {
        const int begin = __atomic_fetch_add(&loop.next, loop.chunk, __ATOMIC_RELAXED);
        if (begin >= loop.count) break;
        const int end = begin + loop.chunk;
        loop.task(loop.body, begin, end < loop.count ? end : loop.count);
    }
    inside_loop = false;
}

void await(uint32_t seen) {
    for (int i = 0; i < kSpins; i++) {
        if (read(ticket) != seen) return;
    }
    __atomic_fetch_add(&sleeping, 1, __ATOMIC_SEQ_CST);
    while (read(ticket) == seen) __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(&ticket), (int)seen, -1);
    __atomic_fetch_sub(&sleeping, 1, __ATOMIC_SEQ_CST);
}

}  // namespace

int num_threads() { return inside_loop ? 1 : size; }
void set_num_threads(int count) { size = count; }

void run_parallel(int count, int grain, Task task, const void* body) {
    const int even = (count + size * kChunksPerThread - 1) / (size * kChunksPerThread);
    loop = {task, body, count, even > grain ? even : grain, 0};
    __atomic_store_n(&open, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&ticket, 1, __ATOMIC_SEQ_CST);
    if (read(sleeping) > 0) __builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(&ticket), (unsigned)size);
    drain();
    // The page's own thread of a browser may not sleep, so this waits by looking.
    __atomic_store_n(&open, 0, __ATOMIC_SEQ_CST);
    while (read(inside) > 0) {
    }
}

}  // namespace heed

extern "C" {

__attribute__((export_name("set_num_threads"))) void wasm_set_num_threads(int count) { heed::set_num_threads(count); }

/** The life of a worker. */
__attribute__((export_name("work"))) void wasm_work() {
    uint32_t seen = 0;
    for (;;) {
        heed::await(seen);
        seen = heed::read(heed::ticket);
        __atomic_fetch_add(&heed::inside, 1, __ATOMIC_SEQ_CST);
        if (heed::read(heed::open)) heed::drain();
        __atomic_fetch_sub(&heed::inside, 1, __ATOMIC_SEQ_CST);
    }
}

}  // extern "C"

#else

namespace heed {
int num_threads() { return 1; }
void set_num_threads(int) {}
void run_parallel(int count, int, Task task, const void* body) { task(body, 0, count); }
}  // namespace heed

#endif
