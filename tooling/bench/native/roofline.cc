// What this machine could do at best, for the contestant `roofline` of `src/contestant.ts`: a line of JSON in, a line of
// JSON out. A product takes as long as its multiplications in a loop that touches registers only; a matrix-vector product
// as long as the fastest read of the matrix, in one piece or several at a time. Both on as many threads as the argument says. HEED_VECTOR_BYTES is the width of the
// vectors, by default the widest of this processor.
#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

#if defined(HEED_VECTOR_BYTES)
constexpr int kBytes = HEED_VECTOR_BYTES;
#elif defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
typedef float Vec __attribute__((vector_size(kBytes)));
typedef float Unaligned __attribute__((vector_size(kBytes), aligned(4), may_alias));
constexpr int kLanes = kBytes / sizeof(float);
constexpr int kSums = 12;  // independent sums: more than an addition takes cycles on two units, and all in registers

/** The compiler must have this sum in a register now, and cannot know its value. */
#if defined(__x86_64__)
#define IN_REGISTER(sum) asm volatile("" : "+v"(sum))
#else
#define IN_REGISTER(sum) asm volatile("" : "+w"(sum))
#endif

double g_sink = 0;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/** The sum of all lanes. Inlined, with constant indices: a vector that is pointed at would live in memory, not in a register. */
template <int kCount>
__attribute__((always_inline)) inline float total(const Vec (&sums)[kCount]) {
    Vec all = {};
#pragma GCC unroll 16
    for (int i = 0; i < kCount; i++) all += sums[i];
    float sum = 0;
    for (int i = 0; i < kLanes; i++) sum += all[i];
    return sum;
}

float multiply_and_add(double multiplications) {
    Vec sums[kSums] = {};
    const Vec a = Vec{} + 0.999f, b = Vec{} + 0.001f;
    const long steps = (long)(multiplications / (kSums * kLanes));
    for (long step = 0; step < steps; step++) {
#pragma GCC unroll 12
        for (int i = 0; i < kSums; i++) {
            sums[i] = sums[i] * a + b;
            IN_REGISTER(sums[i]);
        }
    }
    return total(sums);
}

/** Reads `count` floats as kStreams pieces side by side: how many read fastest depends on what the processor fetches ahead. */
template <int kStreams>
float read_all(const float* from, size_t count) {
    constexpr int kSteps = 8 / kStreams;
    const size_t piece = count / kStreams;
    Vec sums[8] = {};
    for (size_t at = 0; at + kSteps * kLanes <= piece; at += kSteps * kLanes)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) sums[i] += *reinterpret_cast<const Unaligned*>(from + i / kSteps * piece + at + i % kSteps * kLanes);
    return total(sums);
}

/** Keeps this thread on one processor: two threads that start on the same one would stay there for a while. */
void stay_on(int processor) {
#if defined(__linux__)
    static const cpu_set_t allowed = [] {
        cpu_set_t set;
        sched_getaffinity(0, sizeof set, &set);
        return set;
    }();
    processor %= CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || processor-- > 0) continue;
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(cpu, &own);
        sched_setaffinity(0, sizeof own, &own);
        return;
    }
#endif
}

/** Seconds from the moment that all threads are there until all have done body(thread). */
template <class Body>
double timed(int threads, const Body& body) {
    std::vector<std::thread> others;
    std::vector<float> results(threads);
    std::atomic<int> waiting{0};
    std::atomic<bool> started{false};
    stay_on(0);
    for (int i = 1; i < threads; i++) {
        others.emplace_back([&, i] {
            stay_on(i);
            waiting++;
            while (!started) {
            }
            results[i] = body(i);
        });
    }
    while (waiting < threads - 1) std::this_thread::yield();
    const double start = seconds();
    started = true;
    results[0] = body(0);
    for (std::thread& other : others) other.join();
    const double taken = seconds() - start;
    for (float result : results) g_sink += result;
    return taken;
}

/** Memory whose addresses are found fastest: in pages of 2 MB where the system has them. */
float* large_pages(size_t bytes) {
    constexpr size_t kPage = 2 << 20;
    bytes = (bytes + kPage - 1) / kPage * kPage;
    void* memory = aligned_alloc(kPage, bytes);
#if defined(__linux__)
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<float*>(memory);
}

/** One way to read a matrix: how long it takes so many threads. */
typedef double (*Read)(const float* matrix, size_t size, int threads);

template <int kStreams>
double read_time(const float* matrix, size_t size, int threads) {
    const size_t part = size / threads;
    return timed(threads, [&](int i) { return read_all<kStreams>(matrix + part * i, part); });
}

/** The way that is fastest by the median of several turns. The best of all ways each time would be luck, on a busy machine. */
Read fastest_read(const float* matrix, size_t size, int threads) {
    constexpr int kTurns = 7;
    const Read reads[] = {read_time<1>, read_time<2>, read_time<4>, read_time<8>};
    double times[4][kTurns];
    for (int turn = 0; turn < kTurns; turn++)
        for (int i = 0; i < 4; i++) times[i][turn] = reads[i](matrix, size, threads);
    int best = 0;
    for (int i = 0; i < 4; i++) {
        std::sort(times[i], times[i] + kTurns);
        if (times[i][kTurns / 2] < times[best][kTurns / 2]) best = i;
    }
    return reads[best];
}

/** The number after `"name":` in a line of JSON. */
double field(const char* line, const char* name) {
    char key[32];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char* at = strstr(line, key);
    return at ? atof(at + strlen(key)) : 0;
}

}  // namespace

int main(int, char** arguments) {
    const int threads = atoi(arguments[1]);
    float* matrix = nullptr;
    size_t size = 0;
    Read read = nullptr;
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        const double m = field(line, "m"), n = field(line, "n"), k = field(line, "k");
        const size_t wanted = (size_t)(n * k) / (threads * kLanes) * (threads * kLanes);
        if (m == 1 && wanted != size) {
            free(matrix);
            size = wanted;
            matrix = large_pages(size * sizeof(float));
            for (size_t i = 0; i < size; i++) matrix[i] = 0.5f;
            read = fastest_read(matrix, size, threads);
        }
        printf("{\"seconds\":[");
        for (int repeat = 0; repeat < (int)field(line, "repeats"); repeat++) {
            const double taken = m == 1 ? read(matrix, size, threads)
                                        : timed(threads, [&](int) { return multiply_and_add(m * n * k / threads); });
            printf(repeat ? ",%.9f" : "%.9f", taken);
        }
        printf("]}\n");
        fflush(stdout);
    }
    return g_sink == 1;  // the results are used
}
