// A GPU on this processor, as far as the kernels use one: blocks run one after another; the threads of a block are fibers that run until
// they wait for the block or their warp. Threads run in an order that changes, so that a missing barrier shows.
//
// It stops the process at what a GPU would leave undefined: a barrier that not all threads reach, a warp operation that not all lanes reach.

#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
// Blocks run one after another, so that one copy is enough.
#define __shared__ static

struct Dimensions {
    unsigned x, y, z;
};

namespace emulation {

constexpr unsigned LANES = 32;
constexpr size_t STACK = 128 * 1024;

enum class State { READY, AT_BLOCK, AT_WARP, DONE };

// What the lanes of a warp show each other.
struct Slot {
    unsigned words[6];
};

struct Thread {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    State state;
    Dimensions place;
    unsigned lane;
    std::vector<Slot> *warp;
};

inline Thread *current;
inline ucontext_t scheduler;
inline Dimensions block_place, block_size, grid_size;
inline void (*body)(void **);
inline void **arguments;

[[noreturn]] inline void fail(const char *what) {
    std::fprintf(stderr, "emulated GPU: %s\n", what);
    std::abort();
}

inline void wait(State state) {
    current->state = state;
    swapcontext(&current->context, &scheduler);
}

inline void start() {
    body(arguments);
    current->state = State::DONE;
    swapcontext(&current->context, &scheduler);
}

// Lets the threads go on that wait for others which have all arrived. Whether there is one that can run.
inline bool release(std::vector<Thread> &threads) {
    bool ready = false;
    bool all_at_block = true;
    for (size_t first = 0; first < threads.size(); first += LANES) {
        unsigned arrived = 0;
        for (size_t i = first; i < first + LANES; i++) {
            arrived += threads[i].state == State::AT_WARP;
            all_at_block = all_at_block && (threads[i].state == State::AT_BLOCK || threads[i].state == State::DONE);
        }
        if (arrived == LANES) {
            for (size_t i = first; i < first + LANES; i++) {
                threads[i].state = State::READY;
            }
            ready = true;
        } else if (arrived > 0) {
            fail("a warp operation that not all lanes reach");
        }
    }
    for (Thread &thread : threads) {
        if (all_at_block && thread.state == State::AT_BLOCK) {
            thread.state = State::READY;
            ready = true;
        }
    }
    return ready;
}

inline void run_block(std::vector<Thread> &threads, std::vector<std::vector<Slot>> &warps) {
    for (size_t i = 0; i < threads.size(); i++) {
        Thread &thread = threads[i];
        const unsigned place = (unsigned)i;
        thread.place = {place % block_size.x, place / block_size.x % block_size.y, place / block_size.x / block_size.y};
        thread.lane = place % LANES;
        thread.warp = &warps[i / LANES];
        thread.state = State::READY;
        getcontext(&thread.context);
        thread.context.uc_stack = {thread.stack.get(), 0, STACK};
        thread.context.uc_link = nullptr;
        makecontext(&thread.context, start, 0);
    }
    static unsigned pass = 0;
    do {
        // Forwards, backwards, and from the middle.
        pass++;
        for (size_t i = 0; i < threads.size(); i++) {
            const size_t turned = (i + pass / 2 * 37) % threads.size();
            current = &threads[pass % 2 ? turned : threads.size() - 1 - turned];
            if (current->state == State::READY) {
                swapcontext(&scheduler, &current->context);
            }
        }
    } while (release(threads));
    for (const Thread &thread : threads) {
        if (thread.state != State::DONE) {
            fail("a barrier that not all threads reach");
        }
    }
}

inline void launch(void (*kernel)(void **), const Dimensions *grid, const Dimensions *block, void **given) {
    body = kernel;
    arguments = given;
    grid_size = *grid;
    block_size = *block;
    const size_t count = (size_t)block->x * block->y * block->z;
    if (count % LANES != 0 || count > 1024) {
        fail("a block not of whole warps, or of more than 1024 threads");
    }
    std::vector<Thread> threads(count);
    for (Thread &thread : threads) {
        thread.stack.reset(new char[STACK]);
    }
    std::vector<std::vector<Slot>> warps(count / LANES, std::vector<Slot>(LANES));
    for (unsigned z = 0; z < grid->z; z++) {
        for (unsigned y = 0; y < grid->y; y++) {
            for (unsigned x = 0; x < grid->x; x++) {
                block_place = {x, y, z};
                run_block(threads, warps);
            }
        }
    }
}

// Shows `mine` to the warp and reads what `lane` shows.
inline const Slot &show(const Slot &mine) {
    Slot &place = (*current->warp)[current->lane];
    place = mine;
    wait(State::AT_WARP);
    return place;
}

// Each argument as the kernel declares it, in order.
template <class... Types, size_t... Places>
void call(void (*kernel)(Types...), void **given, std::index_sequence<Places...>) {
    kernel(*static_cast<std::remove_const_t<Types> *>(given[Places])...);
}

template <class... Types>
void call(void (*kernel)(Types...), void **given) {
    call(kernel, given, std::index_sequence_for<Types...>());
}

}  // namespace emulation

#define threadIdx (emulation::current->place)
#define blockIdx (emulation::block_place)
#define blockDim (emulation::block_size)

inline void __syncthreads() {
    emulation::wait(emulation::State::AT_BLOCK);
}

inline float __shfl_xor_sync(unsigned mask, float value, unsigned other) {
    if (mask != 0xffffffffu) {
        emulation::fail("a warp operation for some lanes only");
    }
    emulation::Slot mine = {};
    std::memcpy(mine.words, &value, sizeof value);
    emulation::show(mine);
    std::memcpy(&value, (*emulation::current->warp)[emulation::current->lane ^ other].words, sizeof value);
    // Nobody shows anything new before all have read.
    emulation::wait(emulation::State::AT_WARP);
    return value;
}

// The function that the tests call, for a kernel.
#define EMULATE(kernel)                                                                                              \
    extern "C" void emulate(const Dimensions *grid, const Dimensions *block, void **arguments) {                       \
        emulation::launch([](void **given) { emulation::call(kernel, given); }, grid, block, arguments);               \
    }
