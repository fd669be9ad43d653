// The threads of the WebAssembly module with shared memory: each is a worker of JavaScript that runs `work` on an instance
// of its own, for good.
#if defined(__wasm_atomics__)
#include <stdint.h>

#include "shared_loop.h"
#include "threads.h"

namespace heed {
namespace {

// Looks at the ticket before a worker sleeps: about 100 microseconds, to bridge the gap between two kernels of a step.
constexpr int kSpins = 1 << 15;

// Looks at a loop that others still work on before giving way to them, where that is allowed.
constexpr int kSpinsBeforeYield = 1 << 13;
constexpr long long kYieldNanoseconds = 50000;

SharedLoop loop;
std::atomic<int> ticket{0};
std::atomic<int> sleeping{0};
int size = 1;
bool may_sleep = false;  // the main thread of a page may not
int never_changes = 0;
thread_local bool inside_loop = false;

int* ticket_address() { return reinterpret_cast<int*>(&ticket); }

/** Waits until the ticket differs from `seen`. */
void await(int seen) {
    for (int i = 0; i < kSpins; i++) {
        if (ticket.load(std::memory_order_acquire) != seen) return;
    }
    sleeping.fetch_add(1, std::memory_order_seq_cst);
    while (ticket.load(std::memory_order_seq_cst) == seen) __builtin_wasm_memory_atomic_wait32(ticket_address(), seen, -1);
    sleeping.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace

int num_threads() { return inside_loop ? 1 : size; }

void set_num_threads(int count) { size = count; }

void run_parallel(int count, int grain, Task task, const void* body) {
    loop.open(count, grain, size, task, body);
    ticket.fetch_add(1, std::memory_order_seq_cst);
    if (sleeping.load(std::memory_order_seq_cst) > 0) __builtin_wasm_memory_atomic_notify(ticket_address(), UINT32_MAX);
    inside_loop = true;
    loop.drain(0);
    inside_loop = false;
    loop.close([](int spins) {
        // On a busy machine a worker inside the loop may have lost its core: let it have this one.
        if (spins >= kSpinsBeforeYield && may_sleep)
            __builtin_wasm_memory_atomic_wait32(&never_changes, 0, kYieldNanoseconds);
    });
}

}  // namespace heed

extern "C" {

/** can_sleep: whether the thread that calls the kernels may wait. */
__attribute__((export_name("set_num_threads"))) void wasm_set_num_threads(int count, int can_sleep) {
    heed::set_num_threads(count);
    heed::may_sleep = can_sleep;
}

/** What a worker does until its process or page ends. */
__attribute__((export_name("work"))) void wasm_work() {
    static std::atomic<int> workers{0};
    const int thread = ++workers;
    heed::inside_loop = true;
    int seen = heed::ticket.load();
    for (;;) {
        heed::await(seen);
        seen = heed::ticket.load();
        heed::loop.join(thread);
    }
}

}  // extern "C"
#endif
