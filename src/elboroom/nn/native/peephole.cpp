// The peephole LSTM of elboroom/nn/peephole.py on a processor: every step of a layer in one call, and its gradient.
//
// Letters: B rows, T steps, I inputs, H units. The gates stand in the order i, f, g, o.
//
// One step is the product of the row (x[t], h[t-1]) with the input and recurrent matrices under each other, then the
// gates. The matrices are laid out once a call in panels of W units: for each input, W values of each gate side by
// side, so that a block of ROWS rows keeps the four sums of its gates in registers, and the gates are computed from
// there without going through memory. The gradient goes through the steps backwards: first the gates' gradients of a
// block of rows, then their product with the recurrent matrix.
//
// Rows have no say in each other: threads share them, and wait for nobody between steps. A sum is added up in the same
// order however many rows stand beside it, so equal inputs give equal bits; only the sums over rows (of the peepholes
// and the bias) are grouped by thread.
//
// Vectors, products and threads: lanes.h.

#include "lanes.h"

namespace {

template <typename T>
struct Layer {
    int64_t B, steps, I, H;
    bool reverse;
    const T *x;  // (B, T, I)
    const T *h0, *c0;  // (B, H)
    const T *into;  // (4H, I)
    const T *across;  // (4H, H)
    const T *bias;  // (4H)
    const T *look;  // (3, H)
    T *y;  // (T, B, H)
    T *h, *c;  // (B, H)
    T *gates;  // (T, B, 4H), or null where no gradient will be asked for
    T *cells;  // (T, B, H), likewise

    int64_t at(int64_t step) const { return reverse ? steps - 1 - step : step; }
    int64_t panels() const { return (H + W<T> - 1) / W<T>; }
};

template <typename T>
void pack(const Layer<T>& l, T* packed) {
    for (int64_t p = 0; p < l.panels(); ++p)
        for (int64_t k = 0; k < l.I + l.H; ++k)
            for (int64_t g = 0; g < 4; ++g)
                for (int64_t u = 0; u < W<T>; ++u, ++packed) {
                    int64_t unit = p * W<T> + u, row = g * l.H + unit;
                    *packed = unit >= l.H ? T(0) : k < l.I ? l.into[row * l.I + k] : l.across[row * l.H + k - l.I];
                }
}

// One step of M rows from `row` on and of one panel of units.
template <typename T, int M>
void forward_tile(const Layer<T>& l, const T* packed, int64_t step, int64_t row, int64_t panel, T* kept) {
    int64_t unit = panel * W<T>, t = l.at(step);
    int count = static_cast<int>(std::min<int64_t>(W<T>, l.H - unit));
    const T* mine = packed + panel * (l.I + l.H) * 4 * W<T>;
    Vec<T> sums[M][4];
    for (int g = 0; g < 4; ++g) {
        Vec<T> bias = load<T>(l.bias + g * l.H + unit, count);
        for (int m = 0; m < M; ++m) sums[m][g] = bias;
    }
    multiply<T, M, 0, 1, 2, 3>(sums, l.x + (row * l.steps + t) * l.I, l.steps * l.I, mine, l.I);
    const T* before = step ? l.y + (l.at(step - 1) * l.B + row) * l.H : l.h0 + row * l.H;
    multiply<T, M, 0, 1, 2, 3>(sums, before, l.H, mine + l.I * 4 * W<T>, l.H);
    Vec<T> into_i = load<T>(l.look + unit, count), into_f = load<T>(l.look + l.H + unit, count);
    Vec<T> into_o = load<T>(l.look + 2 * l.H + unit, count);
    // In two rounds over the rows, not row by row: what waits for a cell state then has others' work beside it.
    Vec<T> c[M];
    for (int m = 0; m < M; ++m) {
        c[m] = load<T>(kept + m * l.H + unit, count);
        sums[m][0] = sigmoid<T>(sums[m][0] + into_i * c[m]);
        sums[m][1] = sigmoid<T>(sums[m][1] + into_f * c[m]);
        sums[m][2] = tanh_of<T>(sums[m][2]);
        c[m] = sums[m][1] * c[m] + sums[m][0] * sums[m][2];
        store<T>(kept + m * l.H + unit, c[m], count);
        if (!l.gates) continue;
        int64_t place = t * l.B + row + m;
        for (int g = 0; g < 3; ++g) store<T>(l.gates + (4 * place + g) * l.H + unit, sums[m][g], count);
        store<T>(l.cells + place * l.H + unit, c[m], count);
    }
    for (int m = 0; m < M; ++m) {
        sums[m][3] = sigmoid<T>(sums[m][3] + into_o * c[m]);
        Vec<T> h = sums[m][3] * tanh_of<T>(c[m]);
        int64_t place = t * l.B + row + m;
        store<T>(l.y + place * l.H + unit, h, count);
        if (step == l.steps - 1) {
            store<T>(l.h + (row + m) * l.H + unit, h, count);
            store<T>(l.c + (row + m) * l.H + unit, c[m], count);
        }
        if (l.gates) store<T>(l.gates + (4 * place + 3) * l.H + unit, sums[m][3], count);
    }
}

template <typename T>
void forward_rows(const Layer<T>& l, const T* packed, int64_t from, int64_t rows, T* kept) {
    std::memcpy(kept, l.c0 + from * l.H, sizeof(T) * rows * l.H);
    for (int64_t step = 0; step < l.steps; ++step)
        for (int64_t p = 0; p < l.panels(); ++p)
            blocks(rows, [&]<int M>(int64_t first) {
                forward_tile<T, M>(l, packed, step, from + first, p, kept + first * l.H);
            });
}

// -- the gradient ------------------------------------------------------------------------------------------------------

template <typename T>
struct Gradient {
    int64_t B, steps, H;
    bool reverse;
    const T *of_y;  // any strides over rows and steps, units side by side
    int64_t by_row, by_step;
    const T *of_h, *of_c;  // (B, H)
    const T *gates, *cells;  // (T, B, 4H), (T, B, H)
    const T *c0;  // (B, H)
    const T *across, *look;  // (4H, H), (3, H)
    T *sums;  // (T, B, 4H): of the gates before their sigmoid or tanh
    T *into_h0, *into_c0;  // (B, H)
    T *over_rows;  // (threads, 7, H): of the peepholes, then of the bias

    int64_t at(int64_t step) const { return reverse ? steps - 1 - step : step; }
    int64_t panels() const { return (H + 4 * W<T> - 1) / (4 * W<T>); }
};

template <typename T>
void pack_back(const Gradient<T>& l, T* packed) {  // panels of 4 W units: (4H, 4 W) each
    for (int64_t p = 0; p < l.panels(); ++p)
        for (int64_t k = 0; k < 4 * l.H; ++k)
            for (int64_t u = p * 4 * W<T>; u < (p + 1) * 4 * W<T>; ++u, ++packed)
                *packed = u < l.H ? l.across[k * l.H + u] : T(0);
}

template <typename T>
void gates_back(const Gradient<T>& l, int64_t step, int64_t from, int64_t rows, const T* of_h, T* of_c, T* over) {
    int64_t t = l.at(step);
    for (int64_t unit = 0; unit < l.H; unit += W<T>) {
        int count = static_cast<int>(std::min<int64_t>(W<T>, l.H - unit));
        Vec<T> into_i = load<T>(l.look + unit, count), into_f = load<T>(l.look + l.H + unit, count);
        Vec<T> into_o = load<T>(l.look + 2 * l.H + unit, count);
        Vec<T> sum[7] = {};
        for (int64_t m = 0; m < rows; ++m) {
            int64_t row = from + m, place = t * l.B + row;
            const T* gates = l.gates + place * 4 * l.H + unit;
            Vec<T> i = load<T>(gates, count), f = load<T>(gates + l.H, count);
            Vec<T> g = load<T>(gates + 2 * l.H, count), o = load<T>(gates + 3 * l.H, count);
            Vec<T> c = load<T>(l.cells + place * l.H + unit, count);
            const T* earlier = step ? l.cells + (l.at(step - 1) * l.B + row) * l.H : l.c0 + row * l.H;
            Vec<T> before = load<T>(earlier + unit, count);
            Vec<T> h = load<T>(l.of_y + row * l.by_row + t * l.by_step + unit, count);
            h += load<T>(of_h + m * l.H + unit, count);
            Vec<T> squashed = tanh_of<T>(c);
            Vec<T> a_o = h * squashed * o * (T(1) - o);
            Vec<T> of = load<T>(of_c + m * l.H + unit, count);
            of += h * o * (T(1) - squashed * squashed) + a_o * into_o;
            Vec<T> a_i = of * g * i * (T(1) - i), a_f = of * before * f * (T(1) - f);
            Vec<T> a_g = of * i * (T(1) - g * g);
            store<T>(of_c + m * l.H + unit, of * f + a_i * into_i + a_f * into_f, count);
            T* out = l.sums + place * 4 * l.H + unit;
            store<T>(out, a_i, count);
            store<T>(out + l.H, a_f, count);
            store<T>(out + 2 * l.H, a_g, count);
            store<T>(out + 3 * l.H, a_o, count);
            sum[0] += a_i * before;
            sum[1] += a_f * before;
            sum[2] += a_o * c;
            sum[3] += a_i;
            sum[4] += a_f;
            sum[5] += a_g;
            sum[6] += a_o;
        }
        for (int k = 0; k < 7; ++k) {
            T* to = over + k * l.H + unit;
            store<T>(to, load<T>(to, count) + sum[k], count);
        }
    }
}

template <typename T>
void backward_rows(const Gradient<T>& l, const T* packed, int64_t from, int64_t rows, T* of_h, T* over) {
    T* of_c = l.into_c0 + from * l.H;
    std::memcpy(of_c, l.of_c + from * l.H, sizeof(T) * rows * l.H);
    std::memcpy(of_h, l.of_h + from * l.H, sizeof(T) * rows * l.H);
    for (int64_t step = l.steps - 1; step >= 0; --step) {
        gates_back<T>(l, step, from, rows, of_h, of_c, over);
        T* to = step ? of_h : l.into_h0 + from * l.H;
        for (int64_t p = 0; p < l.panels(); ++p)
            blocks(rows, [&]<int M>(int64_t first) {
                Vec<T> sums[M][4] = {};
                const T* a = l.sums + (l.at(step) * l.B + from + first) * 4 * l.H;
                multiply<T, M, 0, 1, 2, 3>(sums, a, 4 * l.H, packed + p * 4 * l.H * 4 * W<T>, 4 * l.H);
                for (int m = 0; m < M; ++m)
                    for (int g = 0; g < 4; ++g) {
                        int64_t unit = (4 * p + g) * W<T>;
                        int64_t count = std::min<int64_t>(W<T>, l.H - unit);
                        if (count > 0) store<T>(to + (first + m) * l.H + unit, sums[m][g], static_cast<int>(count));
                    }
            });
    }
}

// -- all rows ----------------------------------------------------------------------------------------------------------

template <typename T>
int forward(const Layer<T>& l, int threads) {
    try {
        threads = usable(l.B, threads);
        Buffer packed(sizeof(T) * l.panels() * (l.I + l.H) * 4 * W<T>), kept(sizeof(T) * threads * CHUNK * l.H);
        T *matrix = static_cast<T*>(packed.memory), *states = static_cast<T*>(kept.memory);
        pack<T>(l, matrix);
        share(l.B, threads, [&](int thread, int64_t from, int64_t rows) {
            forward_rows<T>(l, matrix, from, rows, states + thread * CHUNK * l.H);
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
        Buffer packed(sizeof(T) * l.panels() * 4 * l.H * 4 * W<T>), kept(sizeof(T) * threads * CHUNK * l.H);
        T *matrix = static_cast<T*>(packed.memory), *states = static_cast<T*>(kept.memory);
        pack_back<T>(l, matrix);
        share(l.B, threads, [&](int thread, int64_t from, int64_t rows) {
            backward_rows<T>(l, matrix, from, rows, states + thread * CHUNK * l.H, l.over_rows + thread * 7 * l.H);
        });
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

#define BOTH(NAME, T)                                                                                                  \
    extern "C" int forward_##NAME(const int64_t* n, const T* const* in, T* const* out) {                               \
        Layer<T> l{n[0],  n[1],  n[2],  n[3],  n[4] != 0, in[0],  in[1],  in[2],                                       \
                   in[3], in[4], in[5], in[6], out[0],    out[1], out[2], out[3], out[4]};                             \
        return forward<T>(l, static_cast<int>(n[5]));                                                                  \
    }                                                                                                                  \
    extern "C" int backward_##NAME(const int64_t* n, const T* const* in, T* const* out) {                              \
        Gradient<T> l{n[0],  n[1],  n[2],  n[3] != 0, in[0],  n[5],   n[6],   in[1], in[2],                            \
                      in[3], in[4], in[5], in[6],     in[7],  out[0], out[1], out[2], out[3]};                         \
        return backward<T>(l, static_cast<int>(n[4]));                                                                 \
    }

BOTH(float, float)
BOTH(double, double)
