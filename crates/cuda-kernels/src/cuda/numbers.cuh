// What the activations of a program are stored in: one of NUMBER_FLOAT32, NUMBER_FLOAT16 and NUMBER_BFLOAT16 is defined. All sums are
// float.

// Beyond 2^32 values.
typedef unsigned long long offset;

#if defined(NUMBER_FLOAT32)
typedef float number;
__device__ inline float widen(number value) { return value; }
__device__ inline number narrow(float value) { return value; }
#else
struct number {
    unsigned short bits;
};
#if defined(NUMBER_FLOAT16)
__device__ inline float widen(number value) { return float_of_binary16(value.bits); }
__device__ inline number narrow(float value) { return number{binary16_of_float(value)}; }
#else
__device__ inline float widen(number value) { return float_of_bfloat16(value.bits); }
__device__ inline number narrow(float value) { return number{bfloat16_of_float(value)}; }
#endif
#endif
