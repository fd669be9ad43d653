// Cross-entropy of logits and labels, without a one-hot matrix.
#include <float.h>
#include <math.h>
#include <string.h>

#include "api.h"
#include "simd.h"
#include "threads.h"

using heed::parallel_for;

namespace {

int rows_per_chunk(int cols) { return cols >= 8192 ? 1 : 8192 / (cols > 0 ? cols : 1); }

/** log Σ e^x of a row, and the sum of x itself. */
float log_sum_exp(const float* x, int cols, float* total) {
    Vec tops = all(-FLT_MAX);
    Vec sums = all(0);
    int whole = cols / Vec::kLanes * Vec::kLanes;
    for (int i = 0; i < whole; i += Vec::kLanes) {
        const Vec v = load(x + i);
        tops = max(v, tops);
        sums = sums + v;
    }
    float top = highest(tops), rest = 0;
    for (int i = whole; i < cols; i++) {
        top = x[i] > top ? x[i] : top;
        rest += x[i];
    }
    *total = sum(sums) + rest;
    Vec exps = all(0);
    for (int i = 0; i < whole; i += Vec::kLanes) exps = exps + exp(load(x + i) - all(top));
    float lanes[Vec::kLanes];
    store(lanes, exp(load_first(x + whole, cols - whole) - all(top)));
    float exp_sum = sum(exps);
    for (int i = 0; i < cols - whole; i++) exp_sum += lanes[i];
    return top + logf(exp_sum);
}

}  // namespace

/**
 * loss = weight · Σ over the rows that count of (lse - (1 - smoothing) · x[label] - smoothing · mean(x)). weight is 1, or
 * 1 / the number of rows that count for a mean. lse [rows] and weight [1] are kept for the gradient; losses [rows].
 */
void HEED_KERNEL(cross_entropy)(const float* logits, const int32_t* labels, float* loss, float* lse, float* weight, float* losses,
                                int rows, int cols, int ignored, float smoothing, int is_mean) {
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            losses[row] = 0;
            if (labels[row] == ignored) continue;
            const float* x = logits + (size_t)row * cols;
            float total;
            lse[row] = log_sum_exp(x, cols, &total);
            losses[row] = lse[row] - (1 - smoothing) * x[labels[row]] - (smoothing > 0 ? smoothing * total / (float)cols : 0);
        }
    });
    double sum = 0;
    int counted = 0;
    for (int row = 0; row < rows; row++) {
        sum += losses[row];
        counted += labels[row] != ignored;
    }
    *weight = is_mean && counted > 0 ? 1.0f / (float)counted : 1.0f;
    *loss = (float)(is_mean && counted > 0 ? sum / counted : sum);
}

/** dlogits = dloss · weight · (softmax(logits) - smoothing / cols - (1 - smoothing) at the label); 0 in ignored rows. */
void HEED_KERNEL(cross_entropy_gradient)(const float* dloss, const float* logits, const int32_t* labels, const float* lse,
                                         const float* weight, float* dlogits, int rows, int cols, int ignored, float smoothing) {
    const float factor = *dloss * *weight;
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* x = logits + (size_t)row * cols;
            float* dx = dlogits + (size_t)row * cols;
            if (labels[row] == ignored) {
                memset(dx, 0, sizeof(float) * (size_t)cols);
                continue;
            }
            const Vec shift = all(lse[row]);
            const Vec uniform = all(smoothing / (float)cols);
            HEED_FOR_VECTORS(i, n, cols, { store_n(dx + i, (exp(load_n(x + i, n) - shift) - uniform) * all(factor), n); });
            dx[labels[row]] -= (1 - smoothing) * factor;
        }
    });
}

/** y = x[id] - lse of each row; lse [rows] is kept for the gradient. */
void HEED_KERNEL(token_log_probs)(const float* logits, const int32_t* ids, float* y, float* lse, int rows, int cols) {
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* x = logits + (size_t)row * cols;
            float total;
            lse[row] = log_sum_exp(x, cols, &total);
            y[row] = x[ids[row]] - lse[row];
        }
    });
}

/** dlogits = dy · ((1 at the id) - softmax(logits)), dy [rows]. */
void HEED_KERNEL(token_log_probs_gradient)(const float* dy, const float* logits, const int32_t* ids, const float* lse,
                                           float* dlogits, int rows, int cols) {
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* x = logits + (size_t)row * cols;
            float* dx = dlogits + (size_t)row * cols;
            const Vec shift = all(lse[row]);
            const Vec factor = all(-dy[row]);
            HEED_FOR_VECTORS(i, n, cols, { store_n(dx + i, exp(load_n(x + i, n) - shift) * factor, n); });
            dx[ids[row]] += dy[row];
        }
    });
}
