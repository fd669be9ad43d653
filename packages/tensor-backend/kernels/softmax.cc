// softmax over the last axis.
#include "api.h"
#include "simd.h"
#include "threads.h"

using heed::parallel_for;

/** y = e^(x - max x) / Σ e^(x - max x) for each row; a row of only -Infinity gives NaN. */
void HEED_KERNEL(softmax)(const float* x, float* y, int rows, int cols) {
    parallel_for(rows, 1 + 4096 / (cols + 1), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* from = x + (ptrdiff_t)row * cols;
            float* to = y + (ptrdiff_t)row * cols;
            Vec high = all(-INFINITY);
            int i = 0;
            for (; i + Vec::kLanes <= cols; i += Vec::kLanes) high = max(high, load(from + i));
            float top = highest(high);
            for (; i < cols; i++) top = from[i] > top ? from[i] : top;
            if (top == -INFINITY) {
                for (int j = 0; j < cols; j++) to[j] = NAN;
                continue;
            }
            Vec total = all(0);
            float rest = 0;
            for (i = 0; i + Vec::kLanes <= cols; i += Vec::kLanes) {
                const Vec e = exp(load(from + i) - all(top));
                total = total + e;
                store(to + i, e);
            }
            if (i < cols) {
                store_first(to + i, exp(load_first(from + i, cols - i) - all(top)), cols - i);
                for (int j = i; j < cols; j++) rest += to[j];
            }
            const Vec scale = all(1.0f / (sum(total) + rest));
            HEED_FOR_VECTORS(j, n, cols, { store_n(to + j, load_n(to + j, n) * scale, n); });
        }
    });
}
