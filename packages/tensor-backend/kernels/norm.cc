// RMSNorm and LayerNorm over the last axis, with their gradients.
#include "api.h"
#include "simd.h"
#include "threads.h"

using heed::parallel_for;

namespace {

// Rows per chunk: enough work, some thousand floats, to pay for handing a chunk to a thread.
int rows_per_chunk(int cols) { return cols >= 4096 ? 1 : 4096 / (cols > 0 ? cols : 1); }

}  // namespace

/** y = x * inverse * weight with inverse = 1 / sqrt(mean(x²) + eps), kept for the gradient. */
void HEED_KERNEL(rms_norm)(const float* x, const float* weight, float* y, float* inverse, int rows, int cols, float eps) {
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* xr = x + (size_t)row * cols;
            float* yr = y + (size_t)row * cols;
            Vec squares = all(0);
            HEED_FOR_VECTORS(i, n, cols, {
                const Vec v = load_n(xr + i, n);
                squares = fma(v, v, squares);
            });
            const float scale = 1.0f / sqrtf(sum(squares) / (float)cols + eps);
            inverse[row] = scale;
            HEED_FOR_VECTORS(i, n, cols, { store_n(yr + i, load_n(xr + i, n) * all(scale) * load_n(weight + i, n), n); });
        }
    });
}

/**
 * With g = dy · weight and xhat = x · inverse: dx = inverse · (g - xhat · mean(g · xhat)), dweight = Σ over rows of dy · xhat.
 */
void HEED_KERNEL(rms_norm_gradient)(const float* dy, const float* x, const float* weight, const float* inverse, float* dx,
                                    float* dweight, int rows, int cols) {
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* dyr = dy + (size_t)row * cols;
            const float* xr = x + (size_t)row * cols;
            float* dxr = dx + (size_t)row * cols;
            const float scale = inverse[row];
            Vec products = all(0);
            HEED_FOR_VECTORS(i, n, cols,
                             { products = fma(load_n(dyr + i, n) * load_n(weight + i, n), load_n(xr + i, n), products); });
            const float mean = sum(products) * scale * scale / (float)cols;
            HEED_FOR_VECTORS(i, n, cols, {
                const Vec g = load_n(dyr + i, n) * load_n(weight + i, n);
                store_n(dxr + i, (g - load_n(xr + i, n) * all(mean)) * all(scale), n);
            });
        }
    });
    // Columns in strips, so that each thread owns its part of dweight.
    parallel_for((cols + Vec::kLanes - 1) / Vec::kLanes, 1 + 4096 / (rows * Vec::kLanes + 1), [&](int begin, int end) {
        for (int strip = begin; strip < end; strip++) {
            const int i = strip * Vec::kLanes;
            const int n = cols - i < Vec::kLanes ? cols - i : Vec::kLanes;
            Vec total = all(0);
            for (int row = 0; row < rows; row++) {
                const size_t at = (size_t)row * cols + i;
                total = fma(load_n(dy + at, n) * all(inverse[row]), load_n(x + at, n), total);
            }
            store_n(dweight + i, total, n);
        }
    });
}
