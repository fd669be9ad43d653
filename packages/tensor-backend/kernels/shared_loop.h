// A loop that several threads work on; for the thread pools of the addon and of WebAssembly. Each thread begins with a share
// of its own, the same one in every loop of the same length, so that what a kernel wrote lies in the cache of the thread that
// reads it in the next; then it helps the others with theirs.
#pragma once

#include <atomic>

#include "threads.h"

namespace heed {

// A thread takes this part of what is left of a share: large chunks first, which cost little hand-over, then smaller ones,
// so that all threads end together.
constexpr int kPartOfShare = 2;
constexpr int kMaxShares = 64;

class SharedLoop {
public:
    /** Lets threads join. */
    void open(int count, int grain, int threads, Task task, const void* body) {
        task_ = task;
        body_ = body;
        grain_ = grain > 1 ? grain : 1;
        const int wanted = threads < kMaxShares ? threads : kMaxShares, possible = count / grain_;
        num_shares_ = possible < 1 ? 1 : possible < wanted ? possible : wanted;
        for (int i = 0; i < num_shares_; i++) {
            shares_[i].next.store((int)((long long)count * i / num_shares_), std::memory_order_relaxed);
            shares_[i].end = (int)((long long)count * (i + 1) / num_shares_);
        }
        open_.store(true, std::memory_order_seq_cst);
    }

    /** Works until no chunk is left to take; `thread` counts from 0. */
    void drain(int thread) {
        for (int i = 0; i < num_shares_; i++) {
            Share& share = shares_[(thread + i) % num_shares_];
            int begin = share.next.load(std::memory_order_relaxed);
            while (begin < share.end) {
                const int end = begin + chunk_of(share.end - begin);
                if (!share.next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;  // another took it; begin is new
                task_(body_, begin, end);
                begin = share.next.load(std::memory_order_relaxed);
            }
        }
    }

    /** Works on the loop, if it is open. Enters first, then looks whether it is: close() looks in the opposite order. */
    void join(int thread) {
        inside_.fetch_add(1, std::memory_order_seq_cst);
        if (open_.load(std::memory_order_seq_cst)) drain(thread);
        inside_.fetch_sub(1, std::memory_order_seq_cst);
    }

    /** Shuts out threads that come late, then waits for those inside: wait(is_done) returns once is_done() is true. */
    template <class Wait>
    void close(const Wait& wait) {
        open_.store(false, std::memory_order_seq_cst);
        wait([this] { return inside_.load(std::memory_order_seq_cst) == 0; });
    }

private:
    struct alignas(64) Share {
        std::atomic<int> next{0};
        int end = 0;
    };

    /** At least the grain, and no less is left for the next. */
    int chunk_of(int left) const {
        const int part = left / kPartOfShare;
        const int chunk = part > grain_ ? part : grain_;
        return left - chunk < grain_ ? left : chunk;
    }

    Task task_ = nullptr;
    const void* body_ = nullptr;
    int grain_ = 1;
    int num_shares_ = 1;
    Share shares_[kMaxShares];
    std::atomic<bool> open_{false};
    std::atomic<int> inside_{0};
};

}  // namespace heed
