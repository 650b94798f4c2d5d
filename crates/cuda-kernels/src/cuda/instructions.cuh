// What CUDA C++ has no words for: conversions of 16-bit numbers and products on tensor cores, in PTX.
//
// The tests put a file of the same names in this one's place, written in plain C++ after the PTX manual.

// Of math.h, which the run-time compiler does not have.
#define INFINITY __int_as_float(0x7f800000)

// IEEE 754 binary16, by its bits.
__device__ inline float float_of_binary16(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// To the nearest, halves to even.
__device__ inline unsigned short binary16_of_float(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// bfloat16 is the upper half of a float.
__device__ inline float float_of_bfloat16(unsigned short bits) {
    return __uint_as_float((unsigned)bits << 16);
}

// To the nearest, halves to even.
__device__ inline unsigned short bfloat16_of_float(float value) {
    unsigned short bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// sums += a b over a warp: a is 16 x 16, b 16 x 8, sums 16 x 8 in float. Each lane holds parts of all three, as the PTX manual lays
// out mma.m16n8k16: with g = lane / 4 and t = lane % 4,
//   sums[0], [1]    row g, columns 2t and 2t + 1; [2], [3] the same of row g + 8
//   a[0]            row g, columns 2t and 2t + 1; a[1] the same of row g + 8; a[2], a[3] as these, eight columns on
//   b[0]            rows 2t and 2t + 1 of column g; b[1] eight rows on
// The first of a pair is in the lower 16 bits.
#ifdef NUMBER_BFLOAT16
#define OPERANDS "bf16.bf16"
#else
#define OPERANDS "f16.f16"
#endif
__device__ inline void multiply_add_tile(float sums[4], const unsigned a[4], const unsigned b[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32." OPERANDS ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
