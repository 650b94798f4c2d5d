// softmax(q k^T / sqrt(HEAD_DIM)) v within each text, one head a block, with a running softmax: scores exist for one query and key at a
// time. `qkv` is [tokens, 3 heads HEAD_DIM], the result [tokens, heads HEAD_DIM]. A thread a query. `scale` is log2(e) / sqrt(HEAD_DIM).
//
// For float32, whose products the tensor cores would round, and for heads too wide for attention_tiles.cu.

// Keys and values of one step, at most 32 KiB of shared memory.
#define KEYS (HEAD_DIM <= 128 ? 32 : 8)

extern "C" __global__ void attention(const number *qkv, const unsigned *ends, unsigned heads, float scale, number *output) {
    __shared__ float keys[KEYS][HEAD_DIM];
    __shared__ float values[KEYS][HEAD_DIM];
    const unsigned start = ends[blockIdx.x];
    const unsigned tokens = ends[blockIdx.x + 1] - start;
    const unsigned query = blockIdx.z * blockDim.x + threadIdx.x;
    const unsigned hidden = heads * HEAD_DIM;
    if (blockIdx.z * blockDim.x >= tokens) {
        return;
    }
    const number *of_head = qkv + (offset)start * 3 * hidden + blockIdx.y * HEAD_DIM;

    float scaled_query[HEAD_DIM];
    float sums[HEAD_DIM];
#pragma unroll
    for (unsigned column = 0; column < HEAD_DIM; column++) {
        scaled_query[column] = query < tokens ? scale * widen(of_head[(offset)query * 3 * hidden + column]) : 0.0f;
        sums[column] = 0.0f;
    }
    float largest = -INFINITY;
    float total = 0.0f;
    for (unsigned first = 0; first < tokens; first += KEYS) {
        const unsigned count = tokens - first < KEYS ? tokens - first : KEYS;
        __syncthreads();
        for (unsigned i = threadIdx.x; i < count * HEAD_DIM; i += blockDim.x) {
            const number *row = of_head + (offset)(first + i / HEAD_DIM) * 3 * hidden + i % HEAD_DIM;
            keys[i / HEAD_DIM][i % HEAD_DIM] = widen(row[hidden]);
            values[i / HEAD_DIM][i % HEAD_DIM] = widen(row[2 * hidden]);
        }
        __syncthreads();
        for (unsigned key = 0; key < count; key++) {
            float score = 0.0f;
#pragma unroll
            for (unsigned column = 0; column < HEAD_DIM; column++) {
                score += scaled_query[column] * keys[key][column];
            }
            if (score > largest) {
                const float shrink = exp2f(largest - score);
                total *= shrink;
#pragma unroll
                for (unsigned column = 0; column < HEAD_DIM; column++) {
                    sums[column] *= shrink;
                }
                largest = score;
            }
            const float weight = exp2f(score - largest);
            total += weight;
#pragma unroll
            for (unsigned column = 0; column < HEAD_DIM; column++) {
                sums[column] += weight * values[key][column];
            }
        }
    }
    if (query < tokens) {
        number *row = output + (offset)(start + query) * hidden + blockIdx.y * HEAD_DIM;
#pragma unroll
        for (unsigned column = 0; column < HEAD_DIM; column++) {
            row[column] = narrow(sums[column] / total);
        }
    }
}
