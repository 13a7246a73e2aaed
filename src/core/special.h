#ifndef PARTIALPOOL_SPECIAL_H
#define PARTIALPOOL_SPECIAL_H

#include <array>
#include <cmath>
#include <limits>

#include "jet.h"

// Special functions of conditional distributions, as numbers and as function objects with
// derivatives for jets. What they have in common: derivatives are formed without cancellation, so
// that they hold to rounding error in the tails.
namespace partialpool {
namespace special {

constexpr double log_sqrt_2pi = 0.91893853320467274178;
constexpr double inv_sqrt_2pi = 0.39894228040143267794;
constexpr double inv_pi = 0.31830988618379067154;
constexpr double infinity = std::numeric_limits<double>::infinity();

template <int N>
using Series = std::array<double, N + 1>;  // a function and its first N derivatives

// log(1 + z) - z for z > -1.
inline double log1pmx(double z) {
  if (std::fabs(z) > 0.5) return std::log1p(z) - z;
  const double r = z / (2.0 + z), r2 = r * r;
  double sum = 0.0;
  for (int k = 31; k >= 3; k -= 2) sum = sum * r2 + 1.0 / k;
  return r * (2.0 * r2 * sum - z);
}

// log(1 - exp(x)) for x < 0.
inline double log1mexp(double x) {
  return x > -0.6931471805599453 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

// digamma, trigamma and tetragamma at x > 0, by recurrence up to 10 and asymptotic series.
inline std::array<double, 3> polygamma(double x) {
  double p0 = 0.0, p1 = 0.0, p2 = 0.0;
  for (; x < 10.0; x += 1.0) {
    const double r = 1.0 / x, rr = r * r;
    p0 -= r;
    p1 += rr;
    p2 -= 2.0 * rr * r;
  }
  const double r = 1.0 / x, z = r * r;
  // B_2k / 2k, B_2k, (2k + 1) B_2k
  p0 += std::log(x) - 0.5 * r -
        z * (1.0 / 12 -
             z * (1.0 / 120 -
                  z * (1.0 / 252 -
                       z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z * (1.0 / 12)))))));
  p1 += r + 0.5 * z +
        z * r *
            (1.0 / 6 -
             z * (1.0 / 30 -
                  z * (1.0 / 42 -
                       z * (1.0 / 30 - z * (5.0 / 66 - z * (691.0 / 2730 - z * (7.0 / 6)))))));
  p2 -= z + z * r +
        z * z *
            (0.5 -
             z * (1.0 / 6 -
                  z * (1.0 / 6 - z * (0.3 - z * (5.0 / 6 - z * (691.0 / 210 - z * (35.0 / 2)))))));
  return {p0, p1, p2};
}
inline double digamma(double x) {
  return polygamma(x)[0];
}
inline double trigamma(double x) {
  return polygamma(x)[1];
}

// Stirling's remainder lgamma(x) - (x - 1/2) log x + x - log sqrt(2 pi) for x >= 10, and its
// derivatives by log x.
template <int N>
inline Series<N> stirling_by_log(double x) {
  constexpr double c[] = {1.0 / 12,   -1.0 / 360,        1.0 / 1260, -1.0 / 1680,
                          1.0 / 1188, -691.0 / 360360.0, 1.0 / 156,  -3617.0 / 122400.0};
  const double r = 1.0 / x, z = r * r;
  Series<N> out{};
  for (int k = 7; k >= 0; --k) {
    double term = c[k];
    for (int n = 0; n <= N; ++n) {
      out[n] = out[n] * z + term;
      term *= -(2 * k + 1);
    }
  }
  for (double& value : out) value *= r;
  return out;
}

// ---- function objects

struct Exp {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    out.fill(std::exp(x));
    return out;
  }
};

struct Expm1 {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    out.fill(N > 0 ? std::exp(x) : 0.0);
    out[0] = std::expm1(x);
    return out;
  }
};

// exp(x) - 1 - x
struct Expm1mx {
  template <int N>
  Series<N> at(double x) const {
    const double e = std::expm1(x);
    Series<N> out;
    if (std::fabs(x) > 0.5) {
      out[0] = e - x;
    } else {
      double sum = 0.0;
      for (int k = 16; k >= 3; --k) sum = (sum + 1.0) * x / k;
      out[0] = 0.5 * x * x * (1.0 + sum);
    }
    if constexpr (N >= 1) out[1] = e;
    if constexpr (N >= 2) out[2] = std::exp(x);
    if constexpr (N >= 3) out[3] = out[2];
    return out;
  }
};

// x exp(x) - exp(x) + 1: the deviance of y given mu = y exp(x), over y
struct UnitDeviance {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    const double e = std::exp(x);
    if (x < -700.0) {  // x exp(x) is lost, and 0 * infinity must not arise
      out.fill(0.0);
      out[0] = 1.0;
      return out;
    }
    if (std::fabs(x) > 0.5) {
      out[0] = x * e - std::expm1(x);
    } else {                                             // sum over k >= 2 of x^k (k - 1) / k!
      double sum = 0.0, factorial = 6402373705728000.0;  // 18!
      for (int k = 18; k >= 2; --k) {
        sum = sum * x + (k - 1) / factorial;
        factorial /= k;
      }
      out[0] = sum * x * x;
    }
    if constexpr (N >= 1) out[1] = x * e;
    if constexpr (N >= 2) out[2] = (1.0 + x) * e;
    if constexpr (N >= 3) out[3] = (2.0 + x) * e;
    return out;
  }
};

struct Log {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    const double r = 1.0 / x;
    out[0] = std::log(x);
    if constexpr (N >= 1) out[1] = r;
    if constexpr (N >= 2) out[2] = -r * r;
    if constexpr (N >= 3) out[3] = 2.0 * r * r * r;
    return out;
  }
};

struct Log1p {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out = Log().at<N>(1.0 + x);
    out[0] = std::log1p(x);
    return out;
  }
};

struct Reciprocal {
  template <int N>
  Series<N> at(double x) const {
    const double r = 1.0 / x;
    Series<N> out;
    out[0] = r;
    for (int n = 1; n <= N; ++n) out[n] = -n * r * out[n - 1];
    return out;
  }
};

// x^power for x > 0
struct Power {
  double power;
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    out[0] = power == -0.5 ? 1.0 / std::sqrt(x) : std::pow(x, power);
    for (int n = 1; n <= N; ++n) out[n] = out[n - 1] * (power - n + 1) / x;
    return out;
  }
};

// log(1 + exp(x)), with the logistic function as its derivative
struct Softplus {
  template <int N>
  Series<N> at(double x) const {
    const double e = std::exp(-std::fabs(x));
    Series<N> out;
    out[0] = std::log1p(e) + (x > 0.0 ? x : 0.0);
    if constexpr (N >= 1) {
      const double r = 1.0 / (1.0 + e), lower = e * r;
      const double p = x > 0.0 ? r : lower;
      out[1] = p;
      if constexpr (N >= 2) out[2] = r * lower;
      if constexpr (N >= 3) out[3] = out[2] * (x > 0.0 ? -(1.0 - e) * r : (1.0 - e) * r);
    }
    return out;
  }
};

// 1 / (1 + exp(-x))
struct Logistic {
  template <int N>
  Series<N> at(double x) const {
    const Series<N + 1> parent = Softplus().template at<N + 1>(x);
    Series<N> out;
    for (int n = 0; n <= N && n <= 2; ++n) out[n] = parent[n + 1];
    if constexpr (N >= 3) out[3] = parent[2] * (1.0 - 6.0 * parent[2]);
    return out;
  }
};

// K(x) = log((exp(t) - 1) / t), t = exp(x). Its derivatives are the moments of a Poisson count
// above zero, less one.
struct LogExpm1Ratio {
  template <int N>
  Series<N> at(double x) const {
    const double t = std::exp(x);
    Series<N> out;
    if (t < 0.5) {  // sum over k of B_2k t^2k / (2k (2k)!), and the derivatives by x
      constexpr double c[] = {1.0 / 24,
                              -1.0 / 2880,
                              1.0 / 181440,
                              -1.0 / 9676800,
                              1.0 / 479001600,
                              -691.0 / 15692092416000.0,
                              1.0 / 1046139494400.0};
      const double z = t * t;
      Series<N> sum{};
      for (int k = 7; k >= 1; --k) {
        double term = c[k - 1];
        for (int n = 0; n <= N; ++n) {
          sum[n] = sum[n] * z + term;
          term *= 2 * k;
        }
      }
      for (int n = 0; n <= N; ++n) out[n] = 0.5 * t + z * sum[n];
      return out;
    }
    const double e = std::exp(-t);
    out[0] = t + std::log1p(-e) - x;
    if constexpr (N >= 1) {
      const double g = t < 750.0 ? t * e / (1.0 - e) : 0.0;  // t / (exp(t) - 1)
      const double k1 = t - 1.0 + g;
      out[1] = k1;
      if constexpr (N >= 2) out[2] = t - g * k1;
      // g (k1^2 - t + g k1), whose terms overflow long after g has vanished
      if constexpr (N >= 3) out[3] = t + (g > 0.0 ? g * (k1 * k1 - t + g * k1) : 0.0);
    }
    return out;
  }
};

// C(x) = log(1 - exp(-t)), t = exp(x): the complementary log-log link
struct Log1mExpExp {
  template <int N>
  Series<N> at(double x) const {
    const double t = std::exp(x);
    Series<N> out;
    if (t < 0.5) {
      out = LogExpm1Ratio().template at<N>(x);
      for (double& value : out) value -= t;
      out[0] += x;
      if constexpr (N >= 1) out[1] += 1.0;
      return out;
    }
    const double e = t < 750.0 ? std::exp(-t) : 0.0, ratio = e / (1.0 - e);
    out[0] = std::log1p(-e);
    if constexpr (N >= 1) {
      const double g = e > 0.0 ? t * ratio : 0.0;
      const double q = 1.0 - t - g;
      out[1] = g;
      if constexpr (N >= 2) out[2] = g > 0.0 ? g * q : 0.0;
      if constexpr (N >= 3) out[3] = g > 0.0 ? g * (q * q - t - g * q) : 0.0;
    }
    return out;
  }
};

// log(log(1 + z) / z), z = exp(x)
struct LogLog1pRatio {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    const double e = std::exp(-std::fabs(x));
    const double softplus = std::log1p(e) + (x > 0.0 ? x : 0.0);
    const double r = 1.0 / (1.0 + e);
    const double sigma = x > 0.0 ? r : e * r;
    double d;  // 1 - sigma / softplus
    if (x < 0.0) {
      const double rest = log1pmx(e);
      out[0] = std::log1p(rest / e);
      if (e == 0.0) out[0] = 0.0;
      d = e > 1e-17 ? (e * softplus + rest) / ((1.0 + e) * softplus) : 0.5 * e;
    } else {
      out[0] = std::log(softplus) - x;
      d = 1.0 - sigma / softplus;
    }
    if constexpr (N >= 1) {
      const double m = 1.0 - d;
      const double v = d - sigma;
      out[1] = -d;
      if constexpr (N >= 2) out[2] = m * v;
      if constexpr (N >= 3) {
        const double slope = e * r * r;  // sigma (1 - sigma)
        out[3] = m * v * v - m * (slope + m * v);
      }
    }
    return out;
  }
};

// log of the normal distribution function. Below -3 by the continued fraction of the Mills ratio,
// from whose tails the derivatives follow without cancellation.
struct LogNormalCdf {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out{};
    if (x < -3.0) {
      const double t = -x;
      // k_j = 1 / (t + (j + 1) k_{j+1}); lambda = t + k_1
      double k3 = 0.0;
      for (int j = 16 + static_cast<int>(450.0 / (t * t)); j >= 3; --j)
        k3 = 1.0 / (t + (j + 1) * k3);
      const double k2 = 1.0 / (t + 3.0 * k3), k1 = 1.0 / (t + 2.0 * k2);
      const double lambda = t + k1;
      out[0] = -0.5 * x * x - log_sqrt_2pi - std::log(lambda);
      if constexpr (N >= 1) out[1] = lambda;
      if constexpr (N >= 2) out[2] = -lambda * k1;
      if constexpr (N >= 3) out[3] = 2.0 * lambda * k1 * k1 * k2 * (3.0 * k3 - 2.0 * k2);
      return out;
    }
    const double upper = 0.5 * std::erfc(x * 0.70710678118654752440);
    const double cdf = x < 0.0 ? 0.5 * std::erfc(-x * 0.70710678118654752440) : 1.0 - upper;
    out[0] = x < 0.0 ? std::log(cdf) : std::log1p(-upper);
    if constexpr (N >= 1) {
      const double lambda = inv_sqrt_2pi * std::exp(-0.5 * x * x) / cdf;
      if (lambda == 0.0) return out;
      out[1] = lambda;
      if constexpr (N >= 2) out[2] = -lambda * (lambda + x);
      if constexpr (N >= 3) out[3] = lambda * ((lambda + x) * (2.0 * lambda + x) - 1.0);
    }
    return out;
  }
};

// log of the Cauchy distribution function
struct LogCauchyCdf {
  template <int N>
  Series<N> at(double x) const {
    x = std::fmin(std::fmax(x, -1e100), 1e100);
    const double tail = std::atan2(1.0, std::fabs(x)) * inv_pi;
    const double cdf = x < 0.0 ? tail : 1.0 - tail;
    Series<N> out;
    out[0] = x < 0.0 ? std::log(tail) : std::log1p(-tail);
    if constexpr (N >= 1) {
      const double r = 1.0 / (1.0 + x * x);
      const double c = -2.0 * x * r;  // (log density)'
      out[1] = inv_pi * r / cdf;
      if constexpr (N >= 2) out[2] = out[1] * (c - out[1]);
      if constexpr (N >= 3)
        out[3] = out[2] * (c - out[1]) + out[1] * (2.0 * (x * x - 1.0) * r * r - out[2]);
    }
    return out;
  }
};

// log(1 - exp(x)) for x < 0
struct Log1mExp {
  template <int N>
  Series<N> at(double x) const {
    Series<N> out;
    out[0] = log1mexp(x);
    if constexpr (N >= 1) {
      const double r = 1.0 / std::expm1(-x);
      out[1] = -r;
      if constexpr (N >= 2) out[2] = -r * (1.0 + r);
      if constexpr (N >= 3) out[3] = -r * (1.0 + r) * (1.0 + 2.0 * r);
    }
    return out;
  }
};

// log of Gamma(a + y) / (Gamma(a) a^y), a = exp(x): tends to zero as a grows, so that the
// overdispersed counts tend smoothly to the others.
struct LogRising {
  double y;

  template <int N>
  Series<N> at(double x) const {
    if (y == 0.0) return Series<N>{};
    const double a = std::exp(x);
    if (y <= 16.0 && y == std::floor(y)) return product<N>(x, a);
    Series<N> out{};
    double top = a;  // where the asymptotic series holds
    if (top < 10.0) {
      // log(a + y + j) - log(a + j), and its derivatives by log a
      double ratio = 1.0;
      for (; top < 10.0; top += 1.0) {
        const double j = top - a;
        if (j > 0.5) ratio *= (top + y) / top;
        if constexpr (N >= 1) {
          const double c = y + std::round(j), b = std::round(j);
          const double s0 = 1.0 / (a + c), s1 = 1.0 / (a + b);
          const double p = a * s0, p1 = c * s0;
          const double q = b > 0.0 ? b * s1 : 0.0, q1 = b > 0.0 ? a * s1 : 1.0;
          out[1] -= p - q1;
          if constexpr (N >= 2) out[2] -= p * p1 - q * q1;
          if constexpr (N >= 3) out[3] -= p * p1 * (p1 - p) - q * q1 * (q - q1);
        }
      }
      // The term of j = 0 is log(1 + y / a), which may overflow as a ratio
      out[0] -= std::log(ratio) + (std::log(a + y) - x);
    }
    // Gamma(top + y) / (Gamma(top) top^y) by Stirling's formula
    const double z = y / top, l1 = std::log1p(z), rest = log1pmx(z);
    const Series<N> low = stirling_by_log<N>(top), high = stirling_by_log<N>(top + y);
    out[0] += top * (z * l1 + rest) - 0.5 * l1 + high[0] - low[0];
    if (a >= 10.0) {
      if constexpr (N >= 1) {
        // by log a: d log(top + y) / d log a = a / (a + y) = p
        const double p = 1.0 / (1.0 + z), c = z * p;
        const double h1 = high[1] * p;
        out[1] += a * rest + 0.5 * c + h1 - low[1];
        if constexpr (N >= 2) {
          const double h2 = high[N >= 2 ? 2 : 0] * p * p + h1 * c;
          out[2] += a * (rest + z * c) - 0.5 * c * p + h2 - low[N >= 2 ? 2 : 0];
          if constexpr (N >= 3)
            out[3] += a * (rest + z * c * c) + 0.5 * c * p * (p - c) + high[N] * p * p * p +
                      3.0 * high[2] * p * p * c + h1 * c * (c - p) - low[N];
        }
      }
      return out;
    }
    out[0] += y * (std::log(top) - x);
    if constexpr (N >= 1) {
      const std::array<double, 3> u = polygamma(top + y), v = polygamma(top);
      const double d1 = a * (u[0] - v[0]);
      out[1] += d1 - y;
      if constexpr (N >= 2) {
        const double d2 = a * a * (u[1] - v[1]);
        out[2] += d1 + d2;
        if constexpr (N >= 3) out[3] += d1 + 3.0 * d2 + a * a * a * (u[2] - v[2]);
      }
    }
    return out;
  }

 private:
  // y = 1, 2, ...: the product of (1 + j / a), j < y
  template <int N>
  Series<N> product(double x, double a) const {
    Series<N> out{};
    const int n = static_cast<int>(y);
    double excess = 0.0, whole = 1.0;
    for (int j = 1; j < n; ++j) {
      const double s = 1.0 / (a + j);
      if (a >= 1.0)
        excess += (1.0 + excess) * j / a;
      else
        whole *= a + j;
      if constexpr (N >= 1) {
        const double p = a * s, q = j * s;
        out[1] -= q;
        if constexpr (N >= 2) out[2] += p * q;
        if constexpr (N >= 3) out[3] += p * q * (q - p);
      }
    }
    out[0] = a >= 1.0 ? std::log1p(excess) : std::log(whole) - (n - 1) * x;
    return out;
  }
};

// lgamma(a) - a log a + a, a = exp(x)
struct LogGammaRest {
  template <int N>
  Series<N> at(double x) const {
    const double a = std::exp(x);
    Series<N> out;
    if (a >= 10.0) {
      out = stirling_by_log<N>(a);
      out[0] += log_sqrt_2pi - 0.5 * x;
      if constexpr (N >= 1) out[1] -= 0.5;
      return out;
    }
    if (a == 0.0) {  // lgamma(a) is -log a
      out.fill(0.0);
      out[0] = -x;
      if constexpr (N >= 1) out[1] = -1.0;
      return out;
    }
    out[0] = std::lgamma(1.0 + a) - x - a * x + a;
    if constexpr (N >= 1) {
      const std::array<double, 3> u = polygamma(1.0 + a);
      const double d1 = a * (u[0] - x);
      out[1] = d1 - 1.0;
      if constexpr (N >= 2) {
        const double d2 = a * a * u[1];
        out[2] = d1 + d2 - a;
        if constexpr (N >= 3) out[3] = d1 + 3.0 * d2 + a * a * a * u[2] - 2.0 * a;
      }
    }
    return out;
  }
};

// lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
inline double log_choose(double n, double k, double rest) {
  if (k == 0.0 || rest == 0.0) return 0.0;
  return std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(rest + 1.0);
}

}  // namespace special
}  // namespace partialpool

#endif
