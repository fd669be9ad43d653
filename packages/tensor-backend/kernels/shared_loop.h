// A loop that several threads work on, each taking the next chunk; for the thread pools of the addon and of WebAssembly.
#pragma once

#include <atomic>

#include "threads.h"

namespace heed {

// Chunks per thread: more even out unequal chunks, fewer cost less hand-over.
constexpr int kChunksPerThread = 4;

class SharedLoop {
public:
    /** Lets threads join. */
    void open(int count, int grain, int threads, Task task, const void* body) {
        task_ = task;
        body_ = body;
        count_ = count;
        const int even = (count + threads * kChunksPerThread - 1) / (threads * kChunksPerThread);
        chunk_ = even > grain ? even : grain;
        next_.store(0, std::memory_order_relaxed);
        open_.store(true, std::memory_order_seq_cst);
    }

    /** Works until no chunk is left to take. */
    void drain() {
        for (;;) {
            const int begin = next_.fetch_add(chunk_, std::memory_order_relaxed);
            if (begin >= count_) break;
            const int end = begin + chunk_;
            task_(body_, begin, end < count_ ? end : count_);
        }
    }

    /** Works on the loop, if it is open. Enters first, then looks whether it is: close() looks in the opposite order. */
    void join() {
        inside_.fetch_add(1, std::memory_order_seq_cst);
        if (open_.load(std::memory_order_seq_cst)) drain();
        inside_.fetch_sub(1, std::memory_order_seq_cst);
    }

    /** Shuts out threads that come late, then waits for those inside: calls pause(0), pause(1) ... until none is. */
    template <class Pause>
    void close(const Pause& pause) {
        open_.store(false, std::memory_order_seq_cst);
        for (int spins = 0; inside_.load(std::memory_order_seq_cst) > 0; spins++) pause(spins);
    }

private:
    Task task_ = nullptr;
    const void* body_ = nullptr;
    int count_ = 0;
    int chunk_ = 0;
    std::atomic<int> next_{0};
    std::atomic<bool> open_{false};
    std::atomic<int> inside_{0};
};

}  // namespace heed
