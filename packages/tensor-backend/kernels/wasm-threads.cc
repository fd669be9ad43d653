// The threads of the WebAssembly module with shared memory: each is a worker of JavaScript that runs `work` on an instance
// of its own, for good.
#if defined(__wasm_atomics__)
#include <stdint.h>

#include "shared_loop.h"
#include "threads.h"

/** Milliseconds, by a clock that is never set back. */
extern "C" __attribute__((import_module("env"), import_name("now"))) double now();

namespace heed {
namespace {

// Long enough to bridge the gap between two kernels of a step, short enough to leave an idle page idle.
constexpr double kSpinMilliseconds = 0.5;
constexpr int kSpinsBetweenClocks = 64;

// How long a loop that others still work on is looked at before giving way to them, where that is allowed.
constexpr double kSpinBeforeYieldMilliseconds = 0.2;
constexpr long long kYieldNanoseconds = 50000;

// On a busy machine a worker that spins takes the core of one that works: for so many loops workers then go to sleep soon.
constexpr int kBusyLoops = 1000;
constexpr double kBusySpinMilliseconds = 0.01;

SharedLoop loop;
std::atomic<int> ticket{0};
std::atomic<int> sleeping{0};
std::atomic<int> busy_loops{0};
int size = 1;
bool may_sleep = false;  // the main thread of a page may not
int never_changes = 0;
thread_local bool inside_loop = false;

int* ticket_address() { return reinterpret_cast<int*>(&ticket); }

/** Looks whether it is done, for so long at most; whether it was. */
template <class IsDone>
bool spin(double milliseconds, const IsDone& is_done) {
    double deadline = 0;
    for (;;) {
        for (int i = 0; i < kSpinsBetweenClocks; i++) {
            if (is_done()) return true;
        }
        const double time = now();
        if (deadline == 0) deadline = time + milliseconds;
        else if (time >= deadline) return false;
    }
}

/** Waits until the ticket differs from `seen`. */
void await(int seen) {
    const double spins = busy_loops.load(std::memory_order_relaxed) > 0 ? kBusySpinMilliseconds : kSpinMilliseconds;
    if (spin(spins, [&] { return ticket.load(std::memory_order_acquire) != seen; })) return;
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
    loop.close([](const auto& is_done) {
        const int busy = busy_loops.load(std::memory_order_relaxed);
        if (busy > 0) busy_loops.store(busy - 1, std::memory_order_relaxed);
        if (spin(kSpinBeforeYieldMilliseconds, is_done)) return;
        // On a busy machine a worker inside the loop may have lost its core: let it have this one.
        busy_loops.store(kBusyLoops, std::memory_order_relaxed);
        while (!is_done()) {
            if (may_sleep) __builtin_wasm_memory_atomic_wait32(&never_changes, 0, kYieldNanoseconds);
        }
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
