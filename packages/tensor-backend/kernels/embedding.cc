// Rows of a table by id. Ids are within the table: the caller has looked.
#include <string.h>

#include "api.h"
#include "simd.h"
#include "threads.h"

using heed::parallel_for;

void HEED_KERNEL(embedding)(const int32_t* ids, const float* weight, float* y, int count, int hidden) {
    parallel_for(count, 1 + 8192 / (hidden + 1), [&](int begin, int end) {
        for (int i = begin; i < end; i++)
            memcpy(y + (size_t)i * hidden, weight + (size_t)ids[i] * hidden, sizeof(float) * (size_t)hidden);
    });
}

/**
 * dweight[id] = Σ of dy[i] over the i with that id, accumulated: += it. Each thread owns some rows of dweight and reads
 * all ids.
 */
void HEED_KERNEL(embedding_gradient)(const int32_t* ids, const float* dy, float* dweight, int count, int vocab, int hidden,
                                     int is_accumulated) {
    parallel_for(vocab, 1 + 65536 / (hidden + 1), [&](int begin, int end) {
        if (!is_accumulated) memset(dweight + (size_t)begin * hidden, 0, sizeof(float) * (size_t)(end - begin) * hidden);
        for (int i = 0; i < count; i++) {
            if (ids[i] < begin || ids[i] >= end) continue;
            float* row = dweight + (size_t)ids[i] * hidden;
            const float* add = dy + (size_t)i * hidden;
            HEED_FOR_VECTORS(at, n, hidden, { store_n(row + at, load_n(row + at, n) + load_n(add + at, n), n); });
        }
    });
}
