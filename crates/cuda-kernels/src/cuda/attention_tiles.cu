// softmax(q k^T / sqrt(HEAD_DIM)) v within each text, one head a block, on tensor cores, with a running softmax (arXiv:2205.14135,
// arXiv:2307.08691): scores exist for 64 queries and 64 keys at a time. Shapes as in attention.cu. A warp has 16 queries; its lanes hold
// the tiles as `multiply_add_tile` wants them: lane l has rows l / 4 and l / 4 + 8.

#define WARPS 4
#define ROWS 16
#define KEYS 64
// Columns of a head with zeros up to whole tiles.
#define WIDTH ((HEAD_DIM + 15) / 16 * 16)
// Rows of shared memory are 16 bytes longer than their values, so that the eight rows that a warp reads lie in different banks.
#define KEY_STRIDE (WIDTH + 8)
#define VALUE_STRIDE (KEYS + 8)

__device__ inline unsigned pair(number low, number high) {
    return low.bits | (unsigned)high.bits << 16;
}

// Two neighbours in shared memory by one load; the first is at an even place.
__device__ inline unsigned load_pair(const number *values) {
    return *reinterpret_cast<const unsigned *>(values);
}

// Keys as they are, [KEYS][KEY_STRIDE], and values transposed, [WIDTH][VALUE_STRIDE]; zero beyond the text and the head.
__device__ inline void load_keys_and_values(const number *of_head, unsigned hidden, unsigned first, unsigned tokens, number *keys,
                                            number *values) {
    for (unsigned i = threadIdx.y * WARP + threadIdx.x; i < KEYS * WIDTH; i += WARPS * WARP) {
        const unsigned key = i / WIDTH;
        const unsigned column = i % WIDTH;
        const bool inside = first + key < tokens && column < HEAD_DIM;
        const number *row = of_head + (offset)(first + key) * 3 * hidden + column;
        keys[key * KEY_STRIDE + column] = inside ? row[hidden] : number{0};
        values[column * VALUE_STRIDE + key] = inside ? row[2 * hidden] : number{0};
    }
}

// The queries of one warp from `first` on, as left operands.
__device__ inline void load_queries(const number *of_head, unsigned hidden, unsigned first, unsigned tokens,
                                    unsigned operands[WIDTH / 16][4]) {
#pragma unroll
    for (unsigned tile = 0; tile < WIDTH / 16; tile++) {
#pragma unroll
        for (unsigned part = 0; part < 4; part++) {
            const unsigned query = first + threadIdx.x / 4 + part % 2 * 8;
            const unsigned column = tile * 16 + part / 2 * 8 + threadIdx.x % 4 * 2;
            const number *row = of_head + (offset)query * 3 * hidden;
            const number zero = {0};
            operands[tile][part] = pair(query < tokens && column < HEAD_DIM ? row[column] : zero,
                                        query < tokens && column + 1 < HEAD_DIM ? row[column + 1] : zero);
        }
    }
}

// What a warp knows of its queries: sums of weighted values, the sums of the weights in this lane's columns, and the largest score, of
// this lane's two rows.
struct Running {
    float sums[WIDTH / 8][4];
    float totals[2];
    float largest[2];
};

// Takes the first `count` keys and values in shared memory into account.
__device__ inline void attend(const unsigned queries[WIDTH / 16][4], const number *keys, const number *values, unsigned count,
                              float scale, Running &running) {
    const unsigned group = threadIdx.x / 4;
    const unsigned place = threadIdx.x % 4 * 2;
    float scores[KEYS / 8][4];
    float largest[2] = {running.largest[0], running.largest[1]};
#pragma unroll
    for (unsigned tile = 0; tile < KEYS / 8; tile++) {
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            scores[tile][i] = 0.0f;
        }
        if (tile * 8 < count) {
#pragma unroll
            for (unsigned step = 0; step < WIDTH / 16; step++) {
                const number *key = keys + (tile * 8 + group) * KEY_STRIDE + step * 16 + place;
                const unsigned operand[2] = {load_pair(key), load_pair(key + 8)};
                multiply_add_tile(scores[tile], queries[step], operand);
            }
        }
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            const bool inside = tile * 8 + place + i % 2 < count;
            scores[tile][i] = inside ? scale * scores[tile][i] : -INFINITY;
            largest[i / 2] = fmaxf(largest[i / 2], scores[tile][i]);
        }
    }
#pragma unroll
    for (unsigned row = 0; row < 2; row++) {
        // The four lanes of a group hold the columns of the same rows.
        largest[row] = fmaxf(largest[row], __shfl_xor_sync(ALL_LANES, largest[row], 1));
        largest[row] = fmaxf(largest[row], __shfl_xor_sync(ALL_LANES, largest[row], 2));
        const float shrink = exp2f(running.largest[row] - largest[row]);
        running.largest[row] = largest[row];
        running.totals[row] *= shrink;
#pragma unroll
        for (unsigned tile = 0; tile < WIDTH / 8; tile++) {
            running.sums[tile][row * 2] *= shrink;
            running.sums[tile][row * 2 + 1] *= shrink;
        }
    }
#pragma unroll
    for (unsigned step = 0; step < KEYS / 16; step++) {
        if (step * 16 < count) {
            // Two tiles of scores lie in the lanes as the left operand of the next product does.
            unsigned weights[4];
#pragma unroll
            for (unsigned part = 0; part < 4; part++) {
                const float *score = &scores[step * 2 + part / 2][part % 2 * 2];
                const float low = exp2f(score[0] - largest[part % 2]);
                const float high = exp2f(score[1] - largest[part % 2]);
                running.totals[part % 2] += low + high;
                weights[part] = pair(narrow(low), narrow(high));
            }
#pragma unroll
            for (unsigned tile = 0; tile < WIDTH / 8; tile++) {
                const number *value = values + (tile * 8 + group) * VALUE_STRIDE + step * 16 + place;
                const unsigned operand[2] = {load_pair(value), load_pair(value + 8)};
                multiply_add_tile(running.sums[tile], weights, operand);
            }
        }
    }
}

extern "C" __global__ void attention_tiles(const number *qkv, const unsigned *ends, unsigned heads, float scale, number *output) {
    alignas(16) __shared__ number keys[KEYS * KEY_STRIDE];
    alignas(16) __shared__ number values[WIDTH * VALUE_STRIDE];
    const unsigned start = ends[blockIdx.x];
    const unsigned tokens = ends[blockIdx.x + 1] - start;
    const unsigned hidden = heads * HEAD_DIM;
    const unsigned first_query = (blockIdx.z * WARPS + threadIdx.y) * ROWS;
    if (blockIdx.z * WARPS * ROWS >= tokens) {
        return;
    }
    const number *of_head = qkv + (offset)start * 3 * hidden + blockIdx.y * HEAD_DIM;
    // A warp without queries only helps to load.
    const bool has_queries = first_query < tokens;
    unsigned queries[WIDTH / 16][4];
    load_queries(of_head, hidden, first_query, tokens, queries);
    Running running = {{}, {0.0f, 0.0f}, {-INFINITY, -INFINITY}};
    for (unsigned first = 0; first < tokens; first += KEYS) {
        __syncthreads();
        load_keys_and_values(of_head, hidden, first, tokens, keys, values);
        __syncthreads();
        if (has_queries) {
            attend(queries, keys, values, tokens - first < KEYS ? tokens - first : KEYS, scale, running);
        }
    }
    if (!has_queries) {
        return;
    }
#pragma unroll
    for (unsigned row = 0; row < 2; row++) {
        float total = running.totals[row];
        total += __shfl_xor_sync(ALL_LANES, total, 1);
        total += __shfl_xor_sync(ALL_LANES, total, 2);
        const unsigned query = first_query + threadIdx.x / 4 + row * 8;
        number *result = output + (offset)(start + query) * hidden + blockIdx.y * HEAD_DIM;
#pragma unroll
        for (unsigned i = 0; i < WIDTH / 8 * 2; i++) {
            const unsigned column = i / 2 * 8 + threadIdx.x % 4 * 2 + i % 2;
            if (query < tokens && column < HEAD_DIM) {
                result[column] = narrow(running.sums[i / 2][row * 2 + i % 2] / total);
            }
        }
    }
}
