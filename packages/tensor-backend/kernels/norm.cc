// RMSNorm and LayerNorm over the last axis, with their gradients.
#include <string.h>

#include "api.h"
#include "simd.h"
#include "threads.h"

using heed::parallel_for;

namespace {

// Rows per chunk: enough work, some thousand floats, to pay for handing a chunk to a thread.
int rows_per_chunk(int cols) { return cols >= 4096 ? 1 : 4096 / (cols > 0 ? cols : 1); }

/**
 * Gradients of weights are sums over rows. The rows are cut into `parts`, whatever the number of threads, so that the
 * sums do not depend on it: body(part's sums [size], begin, end) adds up its rows, then the parts are added in order.
 */
template <class Body>
void sum_over_rows(int rows, int parts, int size, float* sums, float* workspace, const Body& body) {
    parallel_for(parts, 1, [&](int first, int last) {
        for (int part = first; part < last; part++) {
            float* own = workspace + (size_t)part * size;
            memset(own, 0, sizeof(float) * (size_t)size);
            body(own, (int)((int64_t)rows * part / parts), (int)((int64_t)rows * (part + 1) / parts));
        }
    });
    HEED_FOR_VECTORS(i, n, size, {
        Vec total = all(0);
        for (int part = 0; part < parts; part++) total = total + load_n(workspace + (size_t)part * size + i, n);
        store_n(sums + i, total, n);
    });
}

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
 * With g = dy · weight and xhat = x · inverse: dx = inverse · (g - xhat · mean(g · xhat)), dweight = Σ over rows of
 * dy · xhat. workspace: parts · cols floats.
 */
void HEED_KERNEL(rms_norm_gradient)(const float* dy, const float* x, const float* weight, const float* inverse, float* dx,
                                    float* dweight, float* workspace, int parts, int rows, int cols) {
    sum_over_rows(rows, parts, cols, dweight, workspace, [&](float* own, int begin, int end) {
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
                const Vec d = load_n(dyr + i, n);
                const Vec v = load_n(xr + i, n);
                store_n(dxr + i, (d * load_n(weight + i, n) - v * all(mean)) * all(scale), n);
                store_n(own + i, fma(d * all(scale), v, load_n(own + i, n)), n);
            });
        }
    });
}

/** y = (x - mean) · inverse · weight + bias with inverse = 1 / sqrt(var(x) + eps); both are kept for the gradient. */
void HEED_KERNEL(layer_norm)(const float* x, const float* weight, const float* bias, float* y, float* mean, float* inverse,
                             int rows, int cols, float eps) {
    parallel_for(rows, rows_per_chunk(cols), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* xr = x + (size_t)row * cols;
            float* yr = y + (size_t)row * cols;
            Vec total = all(0);
            HEED_FOR_VECTORS(i, n, cols, { total = total + load_n(xr + i, n); });
            const float centre = sum(total) / (float)cols;
            // Squares of the distances, not x² - mean²: that cancels. They are kept in y, to be exact in the last lanes.
            Vec squares = all(0);
            HEED_FOR_VECTORS(i, n, cols, {
                store_n(yr + i, load_n(xr + i, n) - all(centre), n);
                const Vec distance = load_n(yr + i, n);
                squares = fma(distance, distance, squares);
            });
            const float scale = 1.0f / sqrtf(sum(squares) / (float)cols + eps);
            mean[row] = centre;
            inverse[row] = scale;
            HEED_FOR_VECTORS(i, n, cols, {
                const Vec normal = load_n(yr + i, n) * all(scale) * load_n(weight + i, n);
                store_n(yr + i, bias ? normal + load_n(bias + i, n) : normal, n);
            });
        }
    });
}

/**
 * With g = dy · weight and xhat = (x - mean) · inverse: dx = inverse · (g - mean(g) - xhat · mean(g · xhat)).
 * dweight = Σ over rows of dy · xhat, dbias that of dy, or null. workspace: (parts + 1) · 2 · cols floats.
 */
void HEED_KERNEL(layer_norm_gradient)(const float* dy, const float* x, const float* weight, const float* mean,
                                      const float* inverse, float* dx, float* dweight, float* dbias, float* workspace,
                                      int parts, int rows, int cols) {
    float* sums = workspace + (size_t)parts * 2 * cols;
    sum_over_rows(rows, parts, 2 * cols, sums, workspace, [&](float* own, int begin, int end) {
        float* own_bias = own + cols;
        for (int row = begin; row < end; row++) {
            const float* dyr = dy + (size_t)row * cols;
            const float* xr = x + (size_t)row * cols;
            float* dxr = dx + (size_t)row * cols;
            const Vec centre = all(mean[row]);
            const Vec scale = all(inverse[row]);
            Vec total = all(0);
            Vec products = all(0);
            HEED_FOR_VECTORS(i, n, cols, {
                const Vec g = load_n(dyr + i, n) * load_n(weight + i, n);
                total = total + g;
                products = fma(g, (load_n(xr + i, n) - centre) * scale, products);
            });
            const Vec mean_g = all(sum(total) / (float)cols);
            const Vec mean_product = all(sum(products) / (float)cols);
            HEED_FOR_VECTORS(i, n, cols, {
                const Vec d = load_n(dyr + i, n);
                const Vec normal = (load_n(xr + i, n) - centre) * scale;
                store_n(dxr + i, (d * load_n(weight + i, n) - mean_g - normal * mean_product) * scale, n);
                store_n(own + i, fma(d, normal, load_n(own + i, n)), n);
                store_n(own_bias + i, d + load_n(own_bias + i, n), n);
            });
        }
    });    memcpy(dweight, sums, sizeof(float) * (size_t)cols);
    if (dbias) memcpy(dbias, sums + cols, sizeof(float) * (size_t)cols);
}
