// The gated recurrent unit of elboroom/nn/gru.py on a processor: every step of a layer in one call, and its gradient.
//
// Letters: B rows, T steps, I inputs, H units. The gates stand in the order r, z, n.
//
// One step makes four sums a unit: r and z from inputs and states together, n from inputs alone and u from states alone,
// for r comes between them: n = tanh(sum_n + r sum_u). Both matrices are laid out once a call in panels of W units: for
// each input, W values of each gate side by side, so that a block of rows keeps its four sums in registers, and the
// gates are computed from there without going through memory. The gradient goes through the steps backwards: first that
// of the four sums of a block of rows, then the product of r's, z's and u's with the recurrent matrix.
//
// Rows have no say in each other: threads share them, and wait for nobody between steps. A sum is added up in the same
// order however many rows stand beside it, so equal inputs give equal bits; only the biases' sums over rows are grouped
// by thread.
//
// Vectors, products and threads: lanes.h.

#include "lanes.h"

namespace {

template <typename T>
struct Layer {
    int64_t B, steps, I, H;
    bool reverse;
    const T *x;  // (B, T, I)
    const T *h0;  // (B, H)
    const T *into;  // (3H, I)
    const T *across;  // (3H, H)
    const T *into_bias, *across_bias;  // (3H)
    T *y;  // (T, B, H)
    T *h;  // (B, H)
    T *kept;  // (T, B, 4H): r, z, n and sum_u, or null where no gradient will be asked for

    int64_t at(int64_t step) const { return reverse ? steps - 1 - step : step; }
    int64_t panels() const { return (H + W<T> - 1) / W<T>; }
};

template <typename T>
void pack(const Layer<T>& l, T* packed) {
    for (int64_t p = 0; p < l.panels(); ++p)
        for (int64_t k = 0; k < l.I + l.H; ++k) {
            const T* column = k < l.I ? l.into + k : l.across + k - l.I;
            int64_t width = k < l.I ? l.I : l.H, count = std::min<int64_t>(W<T>, l.H - p * W<T>);
            for (int64_t g = 0; g < 3; ++g, packed += W<T>) {
                const T* from = column + (g * l.H + p * W<T>) * width;
                for (int64_t u = 0; u < W<T>; ++u) packed[u] = u < count ? from[u * width] : T(0);
            }
        }
}

// One step of M rows from `row` on and of one panel of units.
template <typename T, int M>
void forward_tile(const Layer<T>& l, const T* packed, int64_t step, int64_t row, int64_t panel) {
    int64_t unit = panel * W<T>, t = l.at(step);
    int count = static_cast<int>(std::min<int64_t>(W<T>, l.H - unit));
    const T* mine = packed + panel * (l.I + l.H) * 3 * W<T>;
    Vec<T> sums[M][4];
    for (int g = 0; g < 3; ++g) {
        Vec<T> a = load<T>(l.into_bias + g * l.H + unit, count), b = load<T>(l.across_bias + g * l.H + unit, count);
        for (int m = 0; m < M; ++m) {
            sums[m][g] = g < 2 ? a + b : a;
            if (g == 2) sums[m][3] = b;
        }
    }
    multiply<T, M, 0, 1, 2>(sums, l.x + (row * l.steps + t) * l.I, l.steps * l.I, mine, l.I);
    const T* before = step ? l.y + (l.at(step - 1) * l.B + row) * l.H : l.h0 + row * l.H;
    multiply<T, M, 0, 1, 3>(sums, before, l.H, mine + l.I * 3 * W<T>, l.H);
    // In two rounds over the rows, not row by row: what waits for an r then has others' work beside it.
    for (int m = 0; m < M; ++m) {
        sums[m][0] = sigmoid<T>(sums[m][0]);
        sums[m][1] = sigmoid<T>(sums[m][1]);
    }
    for (int m = 0; m < M; ++m) {
        sums[m][2] = tanh_of<T>(sums[m][2] + sums[m][0] * sums[m][3]);
        Vec<T> h = (T(1) - sums[m][1]) * sums[m][2] + sums[m][1] * load<T>(before + m * l.H + unit, count);
        int64_t place = t * l.B + row + m;
        store<T>(l.y + place * l.H + unit, h, count);
        if (step == l.steps - 1) store<T>(l.h + (row + m) * l.H + unit, h, count);
        if (!l.kept) continue;
        for (int g = 0; g < 4; ++g) store<T>(l.kept + (4 * place + g) * l.H + unit, sums[m][g], count);
    }
}

template <typename T>
void forward_rows(const Layer<T>& l, const T* packed, int64_t from, int64_t rows) {
    for (int64_t step = 0; step < l.steps; ++step)
        for (int64_t p = 0; p < l.panels(); ++p)
            blocks(rows, [&]<int M>(int64_t first) { forward_tile<T, M>(l, packed, step, from + first, p); });
}

// -- the gradient ------------------------------------------------------------------------------------------------------

template <typename T>
struct Gradient {
    int64_t B, steps, H;
    bool reverse;
    const T *of_y;  // any strides over rows and steps, units side by side
    int64_t by_row, by_step;
    const T *of_h;  // (B, H)
    const T *kept;  // (T, B, 4H)
    const T *y;  // (T, B, H)
    const T *h0;  // (B, H)
    const T *across;  // (3H, H)
    T *sums;  // (T, B, 4H): of the sums of n, r, z and u, so that n, r, z and r, z, u each lie side by side
    T *into_h0;  // (B, H)
    T *over_rows;  // (threads, 4, H): the same, added up

    int64_t at(int64_t step) const { return reverse ? steps - 1 - step : step; }
    int64_t panels() const { return (H + 4 * W<T> - 1) / (4 * W<T>); }
};

template <typename T>
void pack_back(const Gradient<T>& l, T* packed) {  // panels of 4 W units: (3H, 4 W) each
    for (int64_t p = 0; p < l.panels(); ++p)
        for (int64_t k = 0; k < 3 * l.H; ++k)
            for (int64_t g = 0; g < 4; ++g, packed += W<T>) {
                int64_t unit = (4 * p + g) * W<T>;
                Vec<T> row{};
                if (unit < l.H) row = load<T>(l.across + k * l.H + unit, std::min<int64_t>(W<T>, l.H - unit));
                store<T>(packed, row, W<T>);
            }
}

// From the gradient of h in `of_h` that of the four sums; what z hands on of it stays in `of_h`.
template <typename T>
void gates_back(const Gradient<T>& l, int64_t step, int64_t from, int64_t rows, T* of_h, T* over) {
    int64_t t = l.at(step);
    for (int64_t unit = 0; unit < l.H; unit += W<T>) {
        int count = static_cast<int>(std::min<int64_t>(W<T>, l.H - unit));
        Vec<T> sum[4] = {};
        for (int64_t m = 0; m < rows; ++m) {
            int64_t row = from + m, place = t * l.B + row;
            const T* kept = l.kept + place * 4 * l.H + unit;
            Vec<T> r = load<T>(kept, count), z = load<T>(kept + l.H, count);
            Vec<T> n = load<T>(kept + 2 * l.H, count), u = load<T>(kept + 3 * l.H, count);
            const T* earlier = step ? l.y + (l.at(step - 1) * l.B + row) * l.H : l.h0 + row * l.H;
            Vec<T> before = load<T>(earlier + unit, count);
            Vec<T> h = load<T>(l.of_y + row * l.by_row + t * l.by_step + unit, count);
            h += load<T>(of_h + m * l.H + unit, count);
            Vec<T> of[4];
            of[0] = h * (T(1) - z) * (T(1) - n * n);
            of[1] = of[0] * u * r * (T(1) - r);
            of[2] = h * (before - n) * z * (T(1) - z);
            of[3] = of[0] * r;
            store<T>(of_h + m * l.H + unit, h * z, count);
            for (int g = 0; g < 4; ++g) {
                store<T>(l.sums + (4 * place + g) * l.H + unit, of[g], count);
                sum[g] += of[g];
            }
        }
        for (int g = 0; g < 4; ++g) {
            T* to = over + g * l.H + unit;
            store<T>(to, load<T>(to, count) + sum[g], count);
        }
    }
}

template <typename T>
void backward_rows(const Gradient<T>& l, const T* packed, int64_t from, int64_t rows, T* of_h, T* over) {
    std::memcpy(of_h, l.of_h + from * l.H, sizeof(T) * rows * l.H);
    for (int64_t step = l.steps - 1; step >= 0; --step) {
        gates_back<T>(l, step, from, rows, of_h, over);
        T* to = step ? of_h : l.into_h0 + from * l.H;
        for (int64_t p = 0; p < l.panels(); ++p)
            blocks(rows, [&]<int M>(int64_t first) {
                auto lane = [&](int m, int g) { return (first + m) * l.H + (4 * p + g) * W<T>; };
                auto inside = [&](int g) {
                    return static_cast<int>(std::clamp<int64_t>(l.H - (4 * p + g) * W<T>, 0, W<T>));
                };
                Vec<T> sums[M][4] = {};
                for (int m = 0; m < M; ++m)
                    for (int g = 0; g < 4; ++g)
                        if (inside(g)) sums[m][g] = load<T>(of_h + lane(m, g), inside(g));
                const T* a = l.sums + (l.at(step) * l.B + from + first) * 4 * l.H + l.H;
                multiply<T, M, 0, 1, 2, 3>(sums, a, 4 * l.H, packed + p * 3 * l.H * 4 * W<T>, 3 * l.H);
                for (int m = 0; m < M; ++m)
                    for (int g = 0; g < 4; ++g)
                        if (inside(g)) store<T>(to + lane(m, g), sums[m][g], inside(g));
            });
    }
}

// -- all rows ----------------------------------------------------------------------------------------------------------

template <typename T>
int forward(const Layer<T>& l, int threads) {
    try {
        Buffer packed(sizeof(T) * l.panels() * (l.I + l.H) * 3 * W<T>);
        T* matrix = static_cast<T*>(packed.memory);
        pack<T>(l, matrix);
        share(l.B, usable(l.B, threads), [&](int, int64_t from, int64_t rows) {
            forward_rows<T>(l, matrix, from, rows);
        });
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

template <typename T>
int backward(const Gradient<T>& l, int threads) {
    try {
        threads = usable(l.B, threads);
        Buffer packed(sizeof(T) * l.panels() * 3 * l.H * 4 * W<T>), held(sizeof(T) * threads * CHUNK * l.H);
        T *matrix = static_cast<T*>(packed.memory), *states = static_cast<T*>(held.memory);
        pack_back<T>(l, matrix);
        share(l.B, threads, [&](int thread, int64_t from, int64_t rows) {
            backward_rows<T>(l, matrix, from, rows, states + thread * CHUNK * l.H, l.over_rows + thread * 4 * l.H);
        });
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

#define BOTH(NAME, T)                                                                                                  \
    extern "C" int forward_##NAME(const int64_t* n, const T* const* in, T* const* out) {                               \
        Layer<T> l{n[0],  n[1],  n[2],  n[3],   n[4] != 0, in[0],  in[1],                                              \
                   in[2], in[3], in[4], in[5], out[0],    out[1], out[2]};                                             \
        return forward<T>(l, static_cast<int>(n[5]));                                                                  \
    }                                                                                                                  \
    extern "C" int backward_##NAME(const int64_t* n, const T* const* in, T* const* out) {                              \
        Gradient<T> l{n[0],  n[1],  n[2],  n[3] != 0, in[0],  n[5],   n[6],  in[1],                                    \
                      in[2], in[3], in[4], in[5],     out[0], out[1], out[2]};                                         \
        return backward<T>(l, static_cast<int>(n[4]));                                                                 \
    }

BOTH(float, float)
BOTH(double, double)
