#include "dropout.h"

#include "api.h"
#include "pieces.h"

void HEED_KERNEL(dropout)(const float* x, float* y, int count, uint32_t drop_below, float drop_scale, int32_t seed) {
    for_pieces(count, [&](size_t begin, int size) { drop(x + begin, y + begin, begin, size, drop_below, drop_scale, (uint32_t)seed); });
}
