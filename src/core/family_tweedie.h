#ifndef PARTIALPOOL_FAMILY_TWEEDIE_H
#define PARTIALPOOL_FAMILY_TWEEDIE_H

#include "family_gamma.h"

namespace partialpool {

// Variance phi mu^p, 1 < p < 2, with logit(p - 1) as the shape: a Poisson number of gamma
// variables. l = -(y^(2-p) / phi) D(log(mu / y)) + the density at mu = y, and D has all of eta.
struct Tweedie {
  static constexpr MeanKind kind = MeanKind::positive;
  static constexpr bool dispersion = true, shape = true, hurdle = false;
  using Row = PositiveRow;

  template <class T>
  struct Parameters {
    T log_phi, above, below;  // p - 1, 2 - p
    T inverse_above, inverse_below;
    Parameters(const T& log_phi, const T& logit)
        : log_phi(log_phi),
          above(apply(special::Logistic(), logit)),
          below(apply(special::Logistic(), -logit)),
          inverse_above(apply(special::Reciprocal(), above)),
          inverse_below(apply(special::Reciprocal(), below)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    const T log_mu = mean.log_mu();
    if (row.y == 0.0)
      return -(apply(special::Exp(), by.below * log_mu - by.log_phi) * by.inverse_below);
    const T u = log_mu - row.log_y;
    const T deviance = apply(special::Expm1mx(), -(by.above * u)) * by.inverse_above +
                       apply(special::Expm1mx(), by.below * u) * by.inverse_below;
    return -(apply(special::Exp(), row.log_y * by.below - by.log_phi) * deviance);
  }
  static double fixed(const Row& row) { return row.y > 0.0 ? -row.log_y : 0.0; }

  // log of y times the density at mu = y: the series over the number j of gamma variables (Dunn and
  // Smyth 2005), each term over exp(j0 / (p - 1)), j0 its largest, by Stirling's formula:
  //   -(1 + A) j0 d(j / j0) + log(A) / 2 - log(2 pi) - S(j) - S(A j),  A = (2 - p) / (p - 1),
  // d(r) = r log r - r + 1 and S the remainder of the log gamma function.
  static EtaFree eta_free(const Row& row, double log_phi, double logit) {
    if (row.y == 0.0) return EtaFree();
    const double above = special::Logistic().at<0>(logit)[0];
    const double below = special::Logistic().at<0>(-logit)[0];
    const double a = below / above, log_a = -logit;
    const double log_j0 = below * row.log_y - log_phi - std::log(below), j0 = std::exp(log_j0);
    const double log_j0_shape = above - above * below * row.log_y;
    const double spread = std::sqrt(j0 / (1.0 + a));
    // The sum over a smooth peak is its integral: a few points to the standard deviation suffice.
    const double step = spread > 8.0 ? std::floor(spread / 4.0) : 1.0;
    const double middle = std::fmax(1.0, std::floor(j0 + 0.5));

    double largest = -special::infinity, sum = 0.0, sum_phi = 0.0, sum_shape = 0.0;
    const auto add = [&](double j) {
      const double excess = (j - j0) / j0;
      const double divergence =
          j0 * (std::fabs(excess) < 0.5 ? deviance_of_ratio(excess)
                                        : (1.0 + excess) * (std::log(j) - log_j0) - excess);
      const double log_j = std::log(j);
      const auto s_j = remainder(j, log_j), s_aj = remainder(a * j, log_a + log_j);
      const double term = -(1.0 + a) * divergence - s_j[0] - s_aj[0];
      if (term > largest) {
        const double shrink = std::exp(largest - term);
        sum *= shrink;
        sum_phi *= shrink;
        sum_shape *= shrink;
        largest = term;
      }
      const double weight = std::exp(term - largest);
      sum += weight;
      sum_phi += weight * (j - j0);
      sum_shape += weight * (a * divergence + (1.0 + a) * (j - j0) * log_j0_shape + s_aj[1]);
      return term > largest - 38.0;
    };
    // A few hundred terms at most, where the arithmetic can tell neighbours apart.
    int terms = 0;
    for (double j = middle; terms++ < 5000 && add(j); j += step) {
    }
    for (double j = middle - step; terms++ < 10000 && j >= 1.0 && add(j); j -= step) {
    }
    EtaFree out;
    out.l = largest + std::log(step * sum) + 0.5 * log_a - 2.0 * special::log_sqrt_2pi;
    out.dispersion = -(1.0 + a) * (sum_phi / sum);
    out.shape = sum_shape / sum - 0.5;
    return out;
  }
  static double key(const Row& row) { return row.y == 0.0 ? 0.0 : -1.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double logit) {
    const double below = special::Logistic().at<0>(-logit)[0];
    return mean.square * std::exp(below * std::log(mean.mu) - log_phi);
  }
  static double start_mean(const Row& row) { return row.y > 0.0 ? row.y : 0.1; }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = (row.y - mu) * (row.y - mu) / (mu * std::sqrt(mu));
  }
  static double log_phi_from(double pearson, double) {
    return std::fmin(std::fmax(std::log(pearson), -40.0), 40.0);
  }
  static double start_shape() { return 0.0; }  // p = 1.5
  static bool log_concave(Link link) { return link == Link::log; }
  static int limit(const Row& row) { return row.y == 0.0 ? -1 : 0; }

 private:
  // (1 + z) log(1 + z) - z
  static double deviance_of_ratio(double z) { return z * std::log1p(z) + special::log1pmx(z); }
  // Stirling's remainder at x = exp(log_x) with its derivative by log x, by recurrence below 10.
  static special::Series<1> remainder(double x, double log_x) {
    if (x >= 10.0) return special::stirling_by_log<1>(x);
    double top = x, product = 1.0, sum = 0.0;
    for (; top < 10.0; top += 1.0) {
      product *= top;
      sum += 1.0 / top;
    }
    const double log_top = std::log(top);
    const special::Series<1> out = special::stirling_by_log<1>(top);
    return {out[0] + (top - 0.5) * log_top - std::log(product) - (x - 0.5) * log_x - (top - x),
            x * (log_top + (out[1] - 0.5) / top - sum - log_x) + 0.5};
  }
};

}  // namespace partialpool

#endif
