// The thread pool of the addon. Workers spin briefly after a loop, because the next kernel usually follows within
// microseconds, then sleep. A loop never waits for a worker that has not joined it yet.
#include "threads.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "shared_loop.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace heed {
namespace {

// Long enough to bridge the gap between two kernels of a step (about 10 microseconds), short enough to leave an idle
// process idle.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kSpinsBeforeYield = 1000;

inline void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

thread_local bool inside_loop = false;

class Pool {
public:
    ~Pool() { resize(1); }

    int size() const { return size_; }

    void resize(int count) {
        if (count < 1) count = 1;
        if (count == size_) return;
        stopping_.store(true);
        wake();
        for (std::thread& worker : workers_) worker.join();
        workers_.clear();
        stopping_.store(false);
        size_ = count;
        for (int i = 1; i < count; i++) workers_.emplace_back([this, i] { work(i); });
    }

    void run(int count, int grain, Task task, const void* body) {
        // Another JavaScript thread of this process has the pool: do the loop here rather than wait.
        std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
        if (!owner.owns_lock()) {
            task(body, 0, count);
            return;
        }
        loop_.open(count, grain, size_, task, body);
        ticket_.fetch_add(1, std::memory_order_seq_cst);
        if (sleeping_.load(std::memory_order_seq_cst) > 0) wake();
        inside_loop = true;
        loop_.drain(0);
        inside_loop = false;
        loop_.close([](const auto& is_done) {
            // On a busy machine a worker inside the loop may have lost its core: let it have this one.
            for (int spins = 0; !is_done(); spins++) {
                if (spins < kSpinsBeforeYield) pause();
                else std::this_thread::yield();
            }
        });
    }

private:
    void work(int thread) {
        inside_loop = true;
        unsigned seen = ticket_.load();
        while (!stopping_.load()) {
            if (!await(seen)) continue;
            seen = ticket_.load();
            loop_.join(thread);
        }
    }

    /** Waits until the ticket differs from `seen`; false when woken for another reason. */
    bool await(unsigned seen) {
        const auto deadline = std::chrono::steady_clock::now() + kSpin;
        do {
            for (int i = 0; i < 64; i++) {
                if (ticket_.load(std::memory_order_acquire) != seen) return true;
                pause();
            }
            std::this_thread::yield();
        } while (std::chrono::steady_clock::now() < deadline && !stopping_.load(std::memory_order_relaxed));
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1, std::memory_order_seq_cst);
        condition_.wait(lock, [&] { return ticket_.load(std::memory_order_seq_cst) != seen || stopping_.load(); });
        sleeping_.fetch_sub(1, std::memory_order_seq_cst);
        return ticket_.load() != seen;
    }

    void wake() {
        std::lock_guard<std::mutex> lock(mutex_);
        condition_.notify_all();
    }

    int size_ = 1;
    std::vector<std::thread> workers_;
    SharedLoop loop_;
    std::atomic<unsigned> ticket_{0};
    std::atomic<int> sleeping_{0};
    std::atomic<bool> stopping_{false};
    std::mutex owner_;
    std::mutex mutex_;
    std::condition_variable condition_;
};

Pool& pool() {
    // Never destroyed: workers may still spin while the process exits.
    static Pool* instance = new Pool;
    return *instance;
}

}  // namespace

int num_threads() { return inside_loop ? 1 : pool().size(); }

void set_num_threads(int count) { pool().resize(count); }

void run_parallel(int count, int grain, Task task, const void* body) { pool().run(count, grain, task, body); }

}  // namespace heed
