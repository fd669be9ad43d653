// The key and value cache.
#include <string.h>

#include "api.h"
#include "packed_rows.h"
#include "threads.h"

/** target[b, offset + r, :] = rows[b, r, :] */
void HEED_KERNEL(write_rows)(float* target, const float* rows, int batch, int capacity, int num_rows, int offset, int row_size) {
    const size_t size = (size_t)num_rows * row_size;
    heed::parallel_for(batch, 1 + (int)(65536 / (size + 1)), [&](int begin, int end) {
        for (int b = begin; b < end; b++)
            memcpy(target + ((size_t)b * capacity + offset) * row_size, rows + b * size, size * sizeof(float));
    });
}

/** packed [rows, packed_row_bytes(dim)] from x [rows, dim]. */
void HEED_KERNEL(pack_rows)(const float* x, uint8_t* packed, int packing, int rows, int dim) {
    const size_t row_bytes = packed_row_bytes((Packing)packing, dim);
    heed::parallel_for(rows, 1 + 8192 / (dim + 1), [&](int begin, int end) {
        for (int r = begin; r < end; r++) pack_row((Packing)packing, x + (size_t)r * dim, packed + r * row_bytes, dim);
    });
}

/** The same back. */
void HEED_KERNEL(unpack_rows)(const uint8_t* packed, float* x, int packing, int rows, int dim) {
    const size_t row_bytes = packed_row_bytes((Packing)packing, dim);
    heed::parallel_for(rows, 1 + 32768 / (dim + 1), [&](int begin, int end) {
        for (int r = begin; r < end; r++) unpack_row((Packing)packing, packed + r * row_bytes, x + (size_t)r * dim, dim);
    });
}
