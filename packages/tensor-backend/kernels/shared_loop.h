// A loop that several threads work on, each taking the next chunk; for the thread pools of the addon and of WebAssembly.
#pragma once

#include <atomic>

#include "threads.h"

namespace heed {

// A thread takes this part of its share of what is left: large chunks first, which cost little hand-over, then smaller ones,
// so that all threads end together.
constexpr int kPartOfShare = 2;

class SharedLoop {
public:
    /** Lets threads join. */
    void open(int count, int grain, int threads, Task task, const void* body) {
        task_ = task;
        body_ = body;
        count_ = count;
        grain_ = grain > 1 ? grain : 1;
        divisor_ = threads * kPartOfShare;
        next_.store(0, std::memory_order_relaxed);
        open_.store(true, std::memory_order_seq_cst);
    }

    /** Works until no chunk is left to take. */
    void drain() {
        int begin = next_.load(std::memory_order_relaxed);
        while (begin < count_) {
            const int end = begin + chunk_of(count_ - begin);
            if (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;  // another took it; begin is new
            task_(body_, begin, end);
            begin = next_.load(std::memory_order_relaxed);
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
    /** At least the grain, and no less is left for the next. */
    int chunk_of(int left) const {
        const int part = left / divisor_;
        const int chunk = part > grain_ ? part : grain_;
        return left - chunk < grain_ ? left : chunk;
    }

    Task task_ = nullptr;
    const void* body_ = nullptr;
    int count_ = 0;
    int grain_ = 1;
    int divisor_ = 1;
    std::atomic<int> next_{0};
    std::atomic<bool> open_{false};
    std::atomic<int> inside_{0};
};

}  // namespace heed
