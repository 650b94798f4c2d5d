// Sums and maxima over the 32 lanes of a warp: every lane gets the result.

#define WARP 32
#define ALL_LANES 0xffffffffu

__device__ inline float sum_of_warp(float value) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, step);
    }
    return value;
}
