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
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

inline double exp(double x) { return std::exp(x); }
inline double expm1(double x) { return std::expm1(x); }
inline double log(double x) { return std::log(x); }
inline double log1p(double x) { return std::log1p(x); }
inline double tanh(double x) { return std::tanh(x); }
inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline float exp(float x) {
  // x = n log 2 + r, |r| <= log(2) / 2; exp(x) = 2^n exp(r). 2^n is made in two halves, so that neither overflows.
  const float y = x < -104.0f ? -104.0f : x;
  // Numbers of this size have no fraction, so that the sum is rounded to n, which is then in its last bits.
  const float whole_numbers = 12582912.0f;
  const int32_t none = bits<int32_t>(whole_numbers), sum = bits<int32_t>(fma(y, 1.44269504088896341f, whole_numbers));
  const int32_t last = sum < none + 128 ? sum : none + 128, whole = last - none, half = whole >> 1;
  const float n = bits<float>(last) - whole_numbers;
  float r = fma(n, -0.693359375f, y);
  r = fma(n, 2.12194440e-4f, r);
  // Pairs of terms first: a chain of all of them would be waited for.
  const float z = r * r;
  const float high = fma(1.9875691500e-4f, r, 1.3981999507e-3f), middle = fma(8.3334519073e-3f, r, 4.1665795894e-2f);
  const float low = fma(1.6666665459e-1f, r, 5.0000001201e-1f);
  const float p = fma(fma(fma(high, z, middle), z, low), z, r + 1.0f);
  return p * bits<float>((half + 127) << 23) * bits<float>((whole - half + 127) << 23);
}

inline float log(float x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)); subnormal numbers are brought into range first.
  const bool tiny = x < 1.17549435e-38f;
  const float scaled = tiny ? x * 8388608.0f : x;
  const int32_t raw = bits<int32_t>(scaled), whole = (raw - 0x3f3504f3) >> 23;  // what sqrt(1/2) is in bits
  const float e = (float)(whole - (tiny ? 23 : 0)), m = bits<float>(raw - (whole << 23)) - 1.0f;
  const float z = m * m;
  const float a = fma(-1.1514610310e-1f, m, 1.1676998740e-1f), b = fma(-1.2420140846e-1f, m, 1.4249322787e-1f);
  const float c = fma(-1.6668057665e-1f, m, 2.0000714765e-1f), d = fma(-2.4999993993e-1f, m, 3.3333331174e-1f);
  const float p = fma(fma(fma(7.0376836292e-2f, z, a), z, b), z * z, fma(c, z, d));
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

// x / y, where r = 1 / y is there already: a product, and what it lacks (Markstein).
template <class R> inline R quotient(R x, R y, R r) {
  const R q = x * r, more = fma(fma(-q, y, x), r, q);
  return more == more ? more : q;  // infinite, or by infinity
}

inline float expm1(float x) {
  // Through tanh where 1 would swallow the result: e^x - 1 = 2 t / (1 - t), t = tanh(x / 2).
  const float t = tanh(0.5f * x);
  const float near = 2.0f * t / (1.0f - t);
  const float far = exp(x) - 1.0f;
  return std::fabs(x) < 1.0f ? near : far;
}

}  // namespace num
