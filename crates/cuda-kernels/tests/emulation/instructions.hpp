// The functions of src/cuda/instructions.cuh in plain C++, after the PTX manual.

#pragma once
#include "machine.hpp"

#include <cstdint>

inline float float_of_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint32_t bits_of_float(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of_binary16(unsigned short bits) {
    _Float16 value;
    std::memcpy(&value, &bits, sizeof value);
    return (float)value;
}

inline unsigned short binary16_of_float(float wide) {
    const _Float16 value = (_Float16)wide;
    unsigned short bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of_bfloat16(unsigned short bits) {
    return float_of_bits((uint32_t)bits << 16);
}

inline unsigned short bfloat16_of_float(float value) {
    const uint32_t bits = bits_of_float(value);
    if (value != value) {
        return 0x7fff;
    }
    return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#ifdef NUMBER_BFLOAT16
#define FLOAT_OF_OPERAND float_of_bfloat16
#else
#define FLOAT_OF_OPERAND float_of_binary16
#endif

// mma.m16n8k16: "Matrix fragments for mma.m16n8k16 with floating point type" of the PTX manual. Element (row, k) of a is in lane
// row % 8 * 4 + k % 8 / 2; element (k, column) of b in lane column * 4 + k % 8 / 2.
inline void multiply_add_tile(float sums[4], const unsigned a[4], const unsigned b[2]) {
    const std::vector<emulation::Slot> &lanes = *emulation::current->warp;
    emulation::show({{a[0], a[1], a[2], a[3], b[0], b[1]}});
    const unsigned group = emulation::current->lane / 4;
    const unsigned place = emulation::current->lane % 4;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = group + i / 2 * 8;
        const unsigned column = place * 2 + i % 2;
        for (unsigned k = 0; k < 16; k++) {
            const unsigned left = lanes[row % 8 * 4 + k % 8 / 2].words[row / 8 + k / 8 * 2];
            const unsigned right = lanes[column * 4 + k % 8 / 2].words[4 + k / 8];
            sums[i] += FLOAT_OF_OPERAND((unsigned short)(left >> k % 2 * 16)) * FLOAT_OF_OPERAND((unsigned short)(right >> k % 2 * 16));
        }
    }
    emulation::wait(emulation::State::AT_WARP);
}
