// Rotary position embedding.
#include <string.h>

#include "api.h"
#include "simd.h"
#include "threads.h"

/**
 * Rotates the pairs of the first 2 · half channels of each head by the angle of the row, times `direction`: 1, or -1 for
 * the gradient. x, y: [rows, heads, head_dim]; cos, sin: [table_rows, half], row r of x reads row r mod table_rows.
 */
void HEED_KERNEL(rotary)(const float* x, const float* cos, const float* sin, float* y, int rows, int table_rows, int heads,
                         int head_dim, int half, int is_interleaved, float direction) {
    const int rest = head_dim - 2 * half;
    heed::parallel_for(rows, 1 + 4096 / (heads * head_dim + 1), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* c = cos + (size_t)(row % table_rows) * half;
            const float* s = sin + (size_t)(row % table_rows) * half;
            for (int h = 0; h < heads; h++) {
                const size_t at = ((size_t)row * heads + h) * head_dim;
                const float* from = x + at;
                float* to = y + at;
                if (is_interleaved) {
                    for (int i = 0; i < half; i++) {
                        const float a = from[2 * i], b = from[2 * i + 1], turn = s[i] * direction;
                        to[2 * i] = a * c[i] - b * turn;
                        to[2 * i + 1] = b * c[i] + a * turn;
                    }
                } else {
                    HEED_FOR_VECTORS(i, n, half, {
                        const Vec a = load_n(from + i, n);
                        const Vec b = load_n(from + half + i, n);
                        const Vec cosine = load_n(c + i, n);
                        const Vec turn = load_n(s + i, n) * all(direction);
                        store_n(to + i, a * cosine - b * turn, n);
                        store_n(to + half + i, fma(b, cosine, a * turn), n);
                    });
                }
                if (rest > 0) memcpy(to + 2 * half, from + 2 * half, sizeof(float) * (size_t)rest);
            }
        }
    });
}
