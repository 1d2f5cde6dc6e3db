// Gradients of weights: out[i][j] = sum over s of left[s][i] right[s][j], for `count` rows s of both.
// Blocks of the result are kept in registers; rows are taken in stretches that stay in the cache.

namespace products {

// Wider vectors than the processor's registers would go through memory, as would sums that are more than there are.
#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 8;
#elif defined(__AVX__)
constexpr int BYTES = 32, ROWS = 6;
#else
constexpr int BYTES = 16, ROWS = 6;
#endif
// ROWS are those of the result at once.
constexpr int WIDE = BYTES / sizeof(R);
constexpr long STRETCH = 128;  // rows of both sides at once

typedef R W __attribute__((vector_size(BYTES)));

// I rows of the result by J vectors, of the last of which `width` numbers count; `right` is read to the vector's end.
template <int I, int J>
inline void block(R* out, const R* left, long n, const R* right, long m, long width, long count, bool first) {
  W sums[I][J];
  const auto bytes = [&](int j) { return j + 1 < J ? sizeof(W) : sizeof(R) * width; };
  for (int i = 0; i < I; ++i)
    for (int j = 0; j < J; ++j) {
      sums[i][j] = W{};
      if (!first) std::memcpy(&sums[i][j], out + i * m + j * WIDE, bytes(j));
    }
  for (long s = 0; s < count; ++s) {
    W of_right[J];
    for (int j = 0; j < J; ++j) std::memcpy(&of_right[j], right + s * m + j * WIDE, sizeof(W));
    for (int i = 0; i < I; ++i) {
      const R one = left[s * n + i];
      for (int j = 0; j < J; ++j) sums[i][j] += of_right[j] * one;
    }
  }
  for (int i = 0; i < I; ++i)
    for (int j = 0; j < J; ++j) {
      if (j + 1 < J || width == WIDE) std::memcpy(out + i * m + j * WIDE, &sums[i][j], sizeof(W));
      else for (long e = 0; e < width; ++e) out[i * m + j * WIDE + e] = sums[i][j][e];
    }
}

template <int I> inline void rows(R* out, const R* left, long n, const R* right, long m, long count, bool first) {
  long j = 0;
  for (; j + WIDE < m; j += 2 * WIDE) {
    const long width = std::min<long>(WIDE, m - j - WIDE);
    block<I, 2>(out + j, left, n, right + j, m, width, count, first);
  }
  if (j < m) block<I, 1>(out + j, left, n, right + j, m, m - j, count, first);
}

// The share `part` of `parts` of the result's rows. Each number is added up in the same order, whatever the parts.
inline void share(R* out, const R* left, long n, const R* right, long m, long count, long part, long parts) {
  const long blocks = (n + ROWS - 1) / ROWS, begin = blocks * part / parts, end = blocks * (part + 1) / parts;
  for (long s = 0; s < count || s == 0; s += STRETCH) {
    const long some = std::min(STRETCH, count - s);
    for (long b = begin; b < end; ++b) {
      long i = b * ROWS;
      R* const to = out + i * m;
      if (i + ROWS <= n) {
        rows<ROWS>(to, left + s * n + i, n, right + s * m, m, some, s == 0);
        continue;
      }
      for (; i < n; ++i) rows<1>(out + i * m, left + s * n + i, n, right + s * m, m, some, s == 0);
    }
  }
}

}  // namespace products
