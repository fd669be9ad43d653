// The mask of src/ops/dropout.ts: element i is dropped when the hash of seed and i lies below rate · 2³².
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace {

/** y[j] = x[j] · scale, or 0 where element first + j is dropped. */
inline void drop(const float* x, float* y, size_t first, int count, uint32_t below, float scale, uint32_t seed) {
    for (int j = 0; j < count; j++) {
        uint32_t hash = seed + ((uint32_t)first + (uint32_t)j) * 0x9e3779b9u;
        hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
        hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
        y[j] = (hash ^ (hash >> 16)) < below ? 0.0f : x[j] * scale;
    }
}

}  // namespace
