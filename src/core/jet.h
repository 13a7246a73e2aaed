#ifndef PARTIALPOOL_JET_H
#define PARTIALPOOL_JET_H

#include <array>

namespace partialpool {

// Truncated Taylor series in eta, f[n] = (1 / n!) d^n/deta^n for n = 0..Order, with the first
// derivative by each of Params further parameters as a series of one order less.
template <int Order, int Params>
struct Jet {
  std::array<double, Order + 1> f{};
  std::array<std::array<double, Order>, Params> d{};

  Jet() = default;
  Jet(double constant) { f[0] = constant; }  // NOLINT: numbers are constants of the algebra

  static Jet eta(double value) {
    Jet out(value);
    out.f[1] = 1.0;
    return out;
  }
  static Jet parameter(double value, int k) {
    Jet out(value);
    out.d[k][0] = 1.0;
    return out;
  }

  Jet operator-() const {
    Jet out;
    for (int n = 0; n <= Order; ++n) out.f[n] = -f[n];
    for (int k = 0; k < Params; ++k)
      for (int n = 0; n < Order; ++n) out.d[k][n] = -d[k][n];
    return out;
  }
  Jet& operator+=(const Jet& b) {
    for (int n = 0; n <= Order; ++n) f[n] += b.f[n];
    for (int k = 0; k < Params; ++k)
      for (int n = 0; n < Order; ++n) d[k][n] += b.d[k][n];
    return *this;
  }
  Jet& operator-=(const Jet& b) {
    for (int n = 0; n <= Order; ++n) f[n] -= b.f[n];
    for (int k = 0; k < Params; ++k)
      for (int n = 0; n < Order; ++n) d[k][n] -= b.d[k][n];
    return *this;
  }
  Jet& operator*=(double b) {
    for (double& x : f) x *= b;
    for (auto& series : d)
      for (double& x : series) x *= b;
    return *this;
  }
};

template <int N, int P>
inline Jet<N, P> operator+(Jet<N, P> a, const Jet<N, P>& b) {
  return a += b;
}
template <int N, int P>
inline Jet<N, P> operator-(Jet<N, P> a, const Jet<N, P>& b) {
  return a -= b;
}
template <int N, int P>
inline Jet<N, P> operator+(Jet<N, P> a, double b) {
  a.f[0] += b;
  return a;
}
template <int N, int P>
inline Jet<N, P> operator+(double a, Jet<N, P> b) {
  b.f[0] += a;
  return b;
}
template <int N, int P>
inline Jet<N, P> operator-(Jet<N, P> a, double b) {
  a.f[0] -= b;
  return a;
}
template <int N, int P>
inline Jet<N, P> operator-(double a, const Jet<N, P>& b) {
  return -b + a;
}
template <int N, int P>
inline Jet<N, P> operator*(Jet<N, P> a, double b) {
  return a *= b;
}
template <int N, int P>
inline Jet<N, P> operator*(double a, Jet<N, P> b) {
  return b *= a;
}
template <int N, int P>
inline Jet<N, P> operator*(const Jet<N, P>& a, const Jet<N, P>& b) {
  Jet<N, P> out;
  for (int n = 0; n <= N; ++n)
    for (int i = 0; i <= n; ++i) out.f[n] += a.f[i] * b.f[n - i];
  for (int k = 0; k < P; ++k)
    for (int n = 0; n < N; ++n)
      for (int i = 0; i <= n; ++i) out.d[k][n] += a.d[k][i] * b.f[n - i] + a.f[i] * b.d[k][n - i];
  return out;
}

// F(a) from F and its first N derivatives at a.f[0].
template <int N, int P>
inline Jet<N, P> compose(const std::array<double, N + 1>& F, const Jet<N, P>& a) {
  static_assert(N >= 1 && N <= 3, "orders one to three");
  Jet<N, P> out(F[0]);
  std::array<double, N> slope{};  // F'(a)
  slope[0] = F[1];
  out.f[1] = F[1] * a.f[1];
  if constexpr (N >= 2) {
    const double square = a.f[1] * a.f[1];
    out.f[2] = F[1] * a.f[2] + 0.5 * F[2] * square;
    slope[1] = F[2] * a.f[1];
    if constexpr (N >= 3) {
      out.f[3] = F[1] * a.f[3] + F[2] * a.f[1] * a.f[2] + F[3] * square * a.f[1] * (1.0 / 6.0);
      slope[2] = F[2] * a.f[2] + 0.5 * F[3] * square;
    }
  }
  for (int k = 0; k < P; ++k)
    for (int n = 0; n < N; ++n)
      for (int i = 0; i <= n; ++i) out.d[k][n] += slope[i] * a.d[k][n - i];
  return out;
}

// A function object gives its value and first N derivatives by `template at<N>(double)`. Applied to
// a number it is the value, to a jet the jet.
template <class Function>
inline double apply(const Function& function, double x) {
  return function.template at<0>(x)[0];
}
template <class Function, int N, int P>
inline Jet<N, P> apply(const Function& function, const Jet<N, P>& x) {
  return compose(function.template at<N>(x.f[0]), x);
}

inline double value_of(double x) {
  return x;
}
template <int N, int P>
inline double value_of(const Jet<N, P>& x) {
  return x.f[0];
}

// The same jet with one parameter more, by which its derivatives are zero.
template <int N, int P>
inline Jet<N, P + 1> widen(const Jet<N, P>& a) {
  Jet<N, P + 1> out;
  out.f = a.f;
  for (int k = 0; k < P; ++k) out.d[k] = a.d[k];
  return out;
}

}  // namespace partialpool

#endif
