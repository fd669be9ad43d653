// The key and value cache.
#include <string.h>

#include "api.h"
#include "threads.h"

/** target[b, offset + r, :] = rows[b, r, :] */
void HEED_KERNEL(write_rows)(float* target, const float* rows, int batch, int capacity, int num_rows, int offset, int row_size) {
    const size_t size = (size_t)num_rows * row_size;
    heed::parallel_for(batch, 1 + (int)(65536 / (size + 1)), [&](int begin, int end) {
        for (int b = begin; b < end; b++)
            memcpy(target + ((size_t)b * capacity + offset) * row_size, rows + b * size, size * sizeof(float));
    });
}
