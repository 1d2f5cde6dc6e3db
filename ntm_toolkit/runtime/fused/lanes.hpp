// Between lanes, where element e of lane l lies at [e * L + l], and samples, each of which has its elements in a row.
// Blocks of eight by eight numbers are turned in registers: one by one, each would be a line of cache of its own.
#ifdef __clang__
#define NTM_MIXED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define NTM_MIXED(a, b, ...) __builtin_shuffle(a, b, (I){__VA_ARGS__})
#endif

namespace lanes {

template <class T> struct Block { static constexpr bool turns = false; };

template <> struct Block<float> {
  static constexpr bool turns = true;
  typedef float W __attribute__((vector_size(32)));
  typedef int I __attribute__((vector_size(32)));

  static inline void turn(float* to, long to_step, const float* from, long from_step) {
    W a[8], b[8], c[8];
    for (int i = 0; i < 8; ++i) std::memcpy(&a[i], from + i * from_step, sizeof a[i]);
    for (int i = 0; i < 4; ++i) {
      b[2 * i] = NTM_MIXED(a[2 * i], a[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
      b[2 * i + 1] = NTM_MIXED(a[2 * i], a[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int h = 0; h < 8; h += 4) {
      c[h] = NTM_MIXED(b[h], b[h + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      c[h + 1] = NTM_MIXED(b[h], b[h + 2], 2, 3, 10, 11, 6, 7, 14, 15);
      c[h + 2] = NTM_MIXED(b[h + 1], b[h + 3], 0, 1, 8, 9, 4, 5, 12, 13);
      c[h + 3] = NTM_MIXED(b[h + 1], b[h + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; ++i) {
      const W low = NTM_MIXED(c[i], c[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
      const W high = NTM_MIXED(c[i], c[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
      std::memcpy(to + i * to_step, &low, sizeof low);
      std::memcpy(to + (i + 4) * to_step, &high, sizeof high);
    }
  }
};

// out[l * step + e] = in[e * L + l] for n elements of the first `valid` lanes.
template <int L, class R> inline void out_of(R* out, long step, const R* in, int n, int valid) {
  int done = 0;
  if constexpr (Block<R>::turns && L % 8 == 0) {
    if (valid == L) {
      done = n - n % 8;
      for (int e = 0; e < done; e += 8)
        for (int l = 0; l < L; l += 8) Block<R>::turn(out + l * step + e, step, in + e * L + l, L);
    }
  }
  for (int e = done; e < n; ++e)
    for (int l = 0; l < valid; ++l) out[l * step + e] = in[e * L + l];
}

// out[e * L + l] = in[l * step + e] for n elements; lanes from `valid` on repeat the one before. 0 where `on` is false.
template <int L, class R> inline void into(R* out, const R* in, long step, int n, int valid, const bool* on) {
  bool all = valid == L;
  for (int l = 0; on && l < L; ++l) all = all && on[l];
  int done = 0;
  if constexpr (Block<R>::turns && L % 8 == 0) {
    if (all) {
      done = n - n % 8;
      for (int e = 0; e < done; e += 8)
        for (int l = 0; l < L; l += 8) Block<R>::turn(out + e * L + l, L, in + l * step + e, step);
    }
  }
  for (int e = done; e < n; ++e)
    for (int l = 0; l < L; ++l) out[e * L + l] = on && !on[l] ? R(0) : in[std::min(l, valid - 1) * step + e];
}

// Brings two stretches of memory near, some lines of cache at a time, while there is other work to do.
template <bool written> struct Ahead {
  const char *at, *end, *then, *last;

  template <class R> Ahead(const R* first, long count, const R* second, long count_of_second)
      : at((const char*)first), end(at + count * sizeof(R)), then((const char*)second), last(then + count_of_second * sizeof(R)) {}

  inline void fetch(int lines) {
    for (; lines > 0 && at < end; --lines, at += 64) __builtin_prefetch(at, written, 2);
    if (at >= end && then) at = then, end = last, then = nullptr;
  }
};

}  // namespace lanes
