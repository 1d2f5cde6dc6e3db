// Elementary functions that compilers turn into vector code: no branches, no calls, no tables. Single precision to
// about 2 units in the last place (after Cephes, S. Moshier); double precision is the C library's.
//
// Infinities and not-a-number are treated as the C library treats them, so compile this without -ffast-math.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace num {

template <class To, class From> inline To bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "of one size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

inline double exp(double x) { return std::exp(x); }
inline double expm1(double x) { return std::expm1(x); }
inline double log(double x) { return std::log(x); }
inline double log1p(double x) { return std::log1p(x); }
inline double tanh(double x) { return std::tanh(x); }
inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline float exp(float x) {
  // x = n log 2 + r, |r| <= log(2) / 2; exp(x) = 2^n exp(r). 2^n is made in two halves, so that neither overflows.
  const float y = x > 89.0f ? 89.0f : (x < -104.0f ? -104.0f : x);
  const float n = std::floor(fma(y, 1.44269504088896341f, 0.5f));
  float r = fma(n, -0.693359375f, y);
  r = fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = fma(p, r, 1.3981999507e-3f);
  p = fma(p, r, 8.3334519073e-3f);
  p = fma(p, r, 4.1665795894e-2f);
  p = fma(p, r, 1.6666665459e-1f);
  p = fma(p, r, 5.0000001201e-1f);
  p = fma(p * r, r, r + 1.0f);
  const int32_t whole = (int32_t)n, half = whole >> 1;
  return p * bits<float>((half + 127) << 23) * bits<float>((whole - half + 127) << 23);
}

inline float log(float x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)); subnormal numbers are brought into range first.
  const bool tiny = x < 1.17549435e-38f;
  const float scaled = tiny ? x * 8388608.0f : x;
  const int32_t raw = bits<int32_t>(scaled);
  float e = (float)((raw >> 23) - 126 - (tiny ? 23 : 0));
  float m = bits<float>((raw & 0x007fffff) | 0x3f000000);
  const bool low = m < 0.707106781186547524f;
  e = low ? e - 1.0f : e;
  m = (low ? m + m : m) - 1.0f;
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = fma(p, m, -1.1514610310e-1f);
  p = fma(p, m, 1.1676998740e-1f);
  p = fma(p, m, -1.2420140846e-1f);
  p = fma(p, m, 1.4249322787e-1f);
  p = fma(p, m, -1.6668057665e-1f);
  p = fma(p, m, 2.0000714765e-1f);
  p = fma(p, m, -2.4999993993e-1f);
  p = fma(p, m, 3.3333331174e-1f);
  float y = fma(e, -2.12194440e-4f, m * z * p);
  y = fma(z, -0.5f, y);
  const float found = fma(e, 0.693359375f, m + y);
  const float odd = x == 0.0f ? -INFINITY : (x > 0.0f ? x : NAN);  // 0, infinity, and what has no logarithm
  return x > 0.0f && x < INFINITY ? found : odd;
}

inline float log1p(float x) {
  // What 1 + x loses of x is put back in proportion (Kahan).
  const float u = 1.0f + x, lost = u - 1.0f;
  const float found = log(u) * (x / lost);
  return lost == 0.0f ? x : (x < INFINITY ? found : x);
}

inline float tanh(float x) {
  const float a = std::fabs(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = fma(p, z, 2.06390887954e-2f);
  p = fma(p, z, -5.37397155531e-2f);
  p = fma(p, z, 1.33314422036e-1f);
  p = fma(p, z, -3.33332819422e-1f);
  const float near = fma(p * z, x, x);
  const float far = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  return a < 0.625f ? near : (x < 0.0f ? -far : far);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

inline float expm1(float x) {
  // Through tanh where 1 would swallow the result: e^x - 1 = 2 t / (1 - t), t = tanh(x / 2).
  const float t = tanh(0.5f * x);
  const float near = 2.0f * t / (1.0f - t);
  const float far = exp(x) - 1.0f;
  return std::fabs(x) < 1.0f ? near : far;
}

}  // namespace num
