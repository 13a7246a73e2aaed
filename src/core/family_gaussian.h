#ifndef PARTIALPOOL_FAMILY_GAUSSIAN_H
#define PARTIALPOOL_FAMILY_GAUSSIAN_H

#include "family_rows.h"

namespace partialpool {

struct RealRow {
  double y;
  RealRow(double y, double) : y(y) {}
};

// Variance phi.
struct Gaussian {
  static constexpr MeanKind kind = MeanKind::real;
  static constexpr bool dispersion = true, shape = false, hurdle = false;
  using Row = RealRow;

  template <class T>
  struct Parameters {
    T inverse_phi;
    Parameters(const T& log_phi, const T&) : inverse_phi(apply(special::Exp(), -log_phi)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    const T residual = row.y - mean.mu();
    return -0.5 * (by.inverse_phi * (residual * residual));
  }
  static double fixed(const Row&) { return -special::log_sqrt_2pi; }
  static EtaFree eta_free(const Row&, double log_phi, double) {
    return {-0.5 * log_phi, -0.5, 0.0};
  }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double) {
    return mean.square * std::exp(-log_phi);
  }
  static double start_mean(const Row& row) { return row.y; }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = (row.y - mu) * (row.y - mu);
  }
  static double log_phi_from(double variance, double) {
    return std::fmin(std::fmax(std::log(variance), -60.0), 60.0);
  }
  static double start_shape() { return 0.0; }
  static int limit(const Row&) { return 0; }
  static bool log_concave(Link link) { return link == Link::identity; }
  static RowForm form(const Row& row, Link link, double weight, double log_phi, double constant) {
    RowForm out;
    if (link != Link::identity || weight == 0.0) return out;
    out.kind = RowForm::gaussian;
    out.a = row.y;
    out.b = std::exp(log_phi) / weight;
    out.constant = constant;
    return out;
  }
};

// (y - mu) / sqrt(phi) has Student's t distribution, with log df as the shape.
struct StudentT {
  static constexpr MeanKind kind = MeanKind::real;
  static constexpr bool dispersion = true, shape = true, hurdle = false;
  using Row = RealRow;

  template <class T>
  struct Parameters {
    T rate, half;  // 1 / (phi df), (df + 1) / 2
    Parameters(const T& log_phi, const T& log_df)
        : rate(apply(special::Exp(), -log_phi - log_df)),
          half(0.5 * (1.0 + apply(special::Exp(), log_df))) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    const T residual = row.y - mean.mu();
    return -(by.half * apply(special::Log1p(), by.rate * (residual * residual)));
  }
  static double fixed(const Row&) { return -special::log_sqrt_2pi; }
  // Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(df / 2)) tends to one as df grows.
  static EtaFree eta_free(const Row&, double log_phi, double log_df) {
    const auto rising = special::LogRising{0.5}.at<1>(log_df - 0.69314718055994530942);
    return {rising[0] - 0.5 * log_phi, -0.5, rising[1]};
  }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double log_df) {
    const double inverse_df = std::exp(-log_df);
    return mean.square * std::exp(-log_phi) * (1.0 + inverse_df) / (1.0 + 3.0 * inverse_df);
  }
  static double start_mean(const Row& row) { return row.y; }
  // E|t| is 0.949 for the starting df of 5.
  static void moments(const Row& row, double mu, double* out) { out[0] = std::fabs(row.y - mu); }
  static double log_phi_from(double deviation, double) {
    return std::fmin(std::fmax(2.0 * std::log(deviation / 0.949), -60.0), 60.0);
  }
  static double start_shape() { return std::log(5.0); }
  static int limit(const Row&) { return 0; }
};

}  // namespace partialpool

#endif
