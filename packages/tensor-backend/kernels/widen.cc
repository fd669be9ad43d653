// Floats of 16 bits as float32.
#include <string.h>

#include "api.h"
#include "bytes.h"
#include "simd.h"

/** y = x, by one thread, from the first to the last: x may lie in the second half of y. */
void HEED_KERNEL(widen)(const uint8_t* x, float* y, int count, int is_bfloat) {
    HEED_FOR_VECTORS(i, n, count, {
        uint8_t bits[2 * Vec::kLanes] = {};
        memcpy(bits, x + 2 * (size_t)i, 2 * (size_t)n);
        store_n(y + i, is_bfloat ? load_bf16(bits) : load_f16(bits), n);
    });
}
