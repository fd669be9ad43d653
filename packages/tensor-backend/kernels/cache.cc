// The key and value cache.
#include <string.h>

#include "api.h"
#include "packed_rows.h"
#include "threads.h"

using heed::parallel_for;

/** target[b, offset + r, :] = rows[b, r, :] */
void HEED_KERNEL(write_rows)(float* target, const float* rows, int batch, int capacity, int num_rows, int offset, int row_size) {
    parallel_for(batch * num_rows, 1 + 16384 / (row_size + 1), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const size_t at = (size_t)(row / num_rows) * capacity + offset + row % num_rows;
            memcpy(target + at * row_size, rows + (size_t)row * row_size, row_size * sizeof(float));
        }
    });
}

/** packed [rows, packed_row_bytes(dim)] from x [rows, dim]. */
void HEED_KERNEL(pack_rows)(const float* x, uint8_t* packed, int packing, int rows, int dim) {
    const size_t row_bytes = packed_row_bytes((Packing)packing, dim);
    parallel_for(rows, 1 + 8192 / (dim + 1), [&](int begin, int end) {
        for (int r = begin; r < end; r++) pack_row((Packing)packing, x + (size_t)r * dim, packed + r * row_bytes, dim);
    });
}

/** The same back. */
void HEED_KERNEL(unpack_rows)(const uint8_t* packed, float* x, int packing, int rows, int dim) {
    const size_t row_bytes = packed_row_bytes((Packing)packing, dim);
    parallel_for(rows, 1 + 32768 / (dim + 1), [&](int begin, int end) {
        for (int r = begin; r < end; r++) unpack_row((Packing)packing, packed + r * row_bytes, x + (size_t)r * dim, dim);
    });
}
