// The kernels of one instruction set as a table; compiled once for each.
#include "api.h"

extern const KernelTable HEED_KERNEL(kernels);
const KernelTable HEED_KERNEL(kernels) = {
#define HEED_ENTRY(name, args) HEED_KERNEL(name),
    HEED_KERNELS(HEED_ENTRY)
#undef HEED_ENTRY
};
