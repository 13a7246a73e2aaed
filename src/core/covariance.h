#ifndef PARTIALPOOL_COVARIANCE_H
#define PARTIALPOOL_COVARIANCE_H

#include <Eigen/Dense>
#include <cmath>
#include <vector>

namespace partialpool {

enum class Structure { unstructured, diagonal, compound_symmetry, ar1 };

// One covariance structure: optimiser parameters x <-> relative factor Lambda (p x p) and
// Sigma = Lambda Lambda'. Parameters of the optimiser, chosen so that no boundary is special:
//   unstructured              all p^2 entries of Lambda, by column (ALGORITHMS 6.2: no preferred
//   row) diagonal                  the p diagonal entries, or one if homogeneous cs, ar1
//   homogeneous       s, r          rho = middle + half * sin(r) of its interval cs, ar1
//   heterogeneous     t_1..t_p, r   s_i = t_i^2 (a sign change of one s_i leaves the family)
// By the squares and the sine a boundary is a point where the criterion is locally quadratic, which
// Newton's method reaches in a few steps, as it reaches a variance of zero through Lambda.
class CovarianceBlock {
 public:
  CovarianceBlock(Structure structure, bool homogeneous, int p)
      : structure_(structure), homogeneous_(homogeneous), p_(p) {
    if (p_ == 1 && structure_ != Structure::diagonal) structure_ = Structure::unstructured;
  }

  int size() const { return p_; }
  Structure structure() const { return structure_; }
  bool homogeneous() const { return homogeneous_; }
  bool correlated() const {
    return structure_ == Structure::compound_symmetry || structure_ == Structure::ar1;
  }
  int n_parameters() const {
    if (structure_ == Structure::unstructured) return p_ * p_;
    return (homogeneous_ ? 1 : p_) + (correlated() ? 1 : 0);
  }
  // Number of identified parameters: what counts as degrees of freedom.
  int n_theta() const {
    return structure_ == Structure::unstructured ? p_ * (p_ + 1) / 2 : n_parameters();
  }

  Eigen::MatrixXd lambda(const double* x) const {
    if (structure_ == Structure::unstructured) return Eigen::Map<const Eigen::MatrixXd>(x, p_, p_);
    if (structure_ == Structure::diagonal) return signed_scales(x).asDiagonal();
    return signed_scales(x).asDiagonal() * correlation_factor(x, nullptr);
  }

  // out = derivative of the criterion by x, from G = its derivative by the entries of Lambda.
  void gradient(const double* x, const Eigen::MatrixXd& g, double* out) const {
    if (structure_ == Structure::unstructured) {
      Eigen::Map<Eigen::MatrixXd>(out, p_, p_) = g;
      return;
    }
    if (structure_ == Structure::diagonal) {
      if (homogeneous_)
        out[0] = g.trace();
      else
        Eigen::Map<Eigen::VectorXd>(out, p_) = g.diagonal();
      return;
    }
    const Eigen::VectorXd s = signed_scales(x);
    Eigen::MatrixXd derivative;
    const Eigen::MatrixXd c = correlation_factor(x, &derivative);
    const Eigen::VectorXd by_scale = g.cwiseProduct(c).rowwise().sum();
    const int k = homogeneous_ ? 1 : p_;
    if (homogeneous_)
      out[0] = by_scale.sum();
    else
      for (int i = 0; i < p_; ++i) out[i] = 2.0 * x[i] * by_scale[i];
    out[k] = s.dot(g.cwiseProduct(derivative).rowwise().sum());
  }

  // Derivative by the standard deviations s_i of a structured block.
  Eigen::VectorXd scale_gradient(const double* x, const Eigen::MatrixXd& g) const {
    if (!correlated()) return g.diagonal();
    return g.cwiseProduct(correlation_factor(x, nullptr)).rowwise().sum();
  }

  // Symmetric directions in Sigma for which working variables are formed: unit entries (a >= b, by
  // column) for an unstructured block, dSigma/dx for the others.
  std::vector<Eigen::MatrixXd> directions(const double* x) const {
    std::vector<Eigen::MatrixXd> d;
    if (structure_ == Structure::unstructured) {
      for (int b = 0; b < p_; ++b)
        for (int a = b; a < p_; ++a) {
          Eigen::MatrixXd e = Eigen::MatrixXd::Zero(p_, p_);
          e(a, b) = e(b, a) = 1.0;
          d.push_back(e);
        }
      return d;
    }
    const Eigen::VectorXd s = signed_scales(x);
    if (structure_ == Structure::diagonal) {
      for (int i = 0; i < n_parameters(); ++i) {
        Eigen::VectorXd v = Eigen::VectorXd::Zero(p_);
        if (homogeneous_)
          v.setConstant(2.0 * s[0]);
        else
          v[i] = 2.0 * s[i];
        d.push_back(v.asDiagonal());
      }
      return d;
    }
    Eigen::MatrixXd r, r1, r2;
    correlation(rho(x), r, r1, r2);
    const Eigen::MatrixXd ss = s * s.transpose();
    if (homogeneous_) {
      d.push_back(2.0 * s[0] * r);
    } else {
      for (int k = 0; k < p_; ++k) {
        Eigen::MatrixXd e = Eigen::MatrixXd::Zero(p_, p_);
        const Eigen::VectorXd row = 2.0 * x[k] * r.col(k).cwiseProduct(s);
        e.row(k) += row.transpose();
        e.col(k) += row;
        d.push_back(e);
      }
    }
    d.push_back(rho_slope(x) * ss.cwiseProduct(r1));
    return d;
  }

  // Jacobian: directions x parameters (identity unless unstructured).
  Eigen::MatrixXd direction_jacobian(const double* x) const {
    const int k = n_parameters();
    if (structure_ != Structure::unstructured) return Eigen::MatrixXd::Identity(k, k);
    const Eigen::Map<const Eigen::MatrixXd> l(x, p_, p_);
    Eigen::MatrixXd j = Eigen::MatrixXd::Zero(p_ * (p_ + 1) / 2, k);
    int row = 0;
    for (int b = 0; b < p_; ++b)
      for (int a = b; a < p_; ++a, ++row)
        for (int c = 0; c < p_; ++c) {
          if (a == b) {
            j(row, a + c * p_) = 2.0 * l(a, c);
          } else {
            j(row, a + c * p_) = l(b, c);
            j(row, b + c * p_) = l(a, c);
          }
        }
    return j;
  }

  // hessian += tr(D d2Sigma/dx dx'), D = derivative of the criterion by Sigma (ALGORITHMS 4.1).
  template <class Matrix>
  void add_second_order(const double* x, const Eigen::MatrixXd& d, Matrix&& hessian) const {
    if (structure_ == Structure::unstructured) {
      for (int c = 0; c < p_; ++c) hessian.block(c * p_, c * p_, p_, p_) += 2.0 * d;
      return;
    }
    if (structure_ == Structure::diagonal) {
      if (homogeneous_)
        hessian(0, 0) += 2.0 * d.trace();
      else
        hessian.diagonal() += 2.0 * d.diagonal();
      return;
    }
    const Eigen::VectorXd s = signed_scales(x);
    Eigen::MatrixXd r, r1, r2;
    correlation(rho(x), r, r1, r2);
    const double slope = rho_slope(x), bend = rho_bend(x);
    const Eigen::MatrixXd ss = s * s.transpose();
    const double first = d.cwiseProduct(ss).cwiseProduct(r1).sum();
    const double second = d.cwiseProduct(ss).cwiseProduct(r2).sum();
    const int k = homogeneous_ ? 1 : p_;
    hessian(k, k) += slope * slope * second + bend * first;
    if (homogeneous_) {
      hessian(0, 0) += 2.0 * d.cwiseProduct(r).sum();
      const double cross = 2.0 * s[0] * slope * d.cwiseProduct(r1).sum();
      hessian(0, 1) += cross;
      hessian(1, 0) += cross;
      return;
    }
    const Eigen::MatrixXd a = d.cwiseProduct(r);
    const Eigen::VectorXd by_scale = 2.0 * a * s;
    const Eigen::VectorXd cross = 2.0 * slope * (d.cwiseProduct(r1) * s);
    for (int i = 0; i < p_; ++i) {
      for (int j = 0; j < p_; ++j) hessian(i, j) += 8.0 * x[i] * x[j] * a(i, j);
      hessian(i, i) += 2.0 * by_scale[i];
      hessian(i, k) += 2.0 * x[i] * cross[i];
      hessian(k, i) += 2.0 * x[i] * cross[i];
    }
  }

  // Standard deviations of the columns (relative to sigma), whatever the structure.
  Eigen::VectorXd scales(const double* x) const {
    if (structure_ == Structure::unstructured)
      return Eigen::Map<const Eigen::MatrixXd>(x, p_, p_).rowwise().norm();
    return signed_scales(x).cwiseAbs();
  }

  // Optimiser parameters from standard deviations and a correlation parameter.
  Eigen::VectorXd parameters(const Eigen::VectorXd& s, double rho_value) const {
    Eigen::VectorXd x(n_parameters());
    if (structure_ == Structure::unstructured) {
      const Eigen::MatrixXd l = s.asDiagonal();
      x = Eigen::Map<const Eigen::VectorXd>(l.data(), l.size());
      return x;
    }
    if (homogeneous_)
      x[0] = std::sqrt(s.squaredNorm() / p_);
    else if (correlated())
      x.head(p_) = s.cwiseSqrt();
    else
      x.head(p_) = s;
    if (correlated()) {
      const double sine = (rho_value - 0.5 * (1.0 + rho_low())) / rho_half();
      x[homogeneous_ ? 1 : p_] = std::asin(std::min(std::max(sine, -1.0), 1.0));
    }
    return x;
  }

  double rho(const double* x) const {
    return 0.5 * (1.0 + rho_low()) + rho_half() * std::sin(angle(x));
  }
  double rho_low() const { return structure_ == Structure::ar1 ? -1.0 : -1.0 / (p_ - 1); }
  double rho_slope(const double* x) const { return rho_half() * std::cos(angle(x)); }

 private:
  // Scales of a structured block as they enter Lambda: x and -x give the same Sigma.
  Eigen::VectorXd signed_scales(const double* x) const {
    if (homogeneous_) return Eigen::VectorXd::Constant(p_, x[0]);
    Eigen::VectorXd s = Eigen::Map<const Eigen::VectorXd>(x, p_);
    if (correlated()) s = s.cwiseAbs2();
    return s;
  }

  double angle(const double* x) const { return x[homogeneous_ ? 1 : p_]; }
  double rho_half() const { return 0.5 * (1.0 - rho_low()); }
  double rho_bend(const double* x) const { return -rho_half() * std::sin(angle(x)); }

  // Correlation matrix and its first two derivatives by rho.
  void correlation(double rho, Eigen::MatrixXd& r, Eigen::MatrixXd& r1, Eigen::MatrixXd& r2) const {
    r.setIdentity(p_, p_);
    r1.setZero(p_, p_);
    r2.setZero(p_, p_);
    for (int i = 0; i < p_; ++i)
      for (int j = 0; j < p_; ++j) {
        if (i == j) continue;
        const int k = structure_ == Structure::ar1 ? std::abs(i - j) : 1;
        r(i, j) = std::pow(rho, k);
        r1(i, j) = k * std::pow(rho, k - 1);
        if (k > 1) r2(i, j) = k * (k - 1) * std::pow(rho, k - 2);
      }
  }

  // Cholesky factor C of the correlation matrix and dC/dr on request, in forms that are smooth up
  // to the limits of rho, where columns of C vanish.
  Eigen::MatrixXd correlation_factor(const double* x, Eigen::MatrixXd* derivative) const {
    Eigen::MatrixXd c = Eigen::MatrixXd::Zero(p_, p_), dc = Eigen::MatrixXd::Zero(p_, p_);
    const double value = rho(x), slope = rho_slope(x);
    if (structure_ == Structure::ar1) {
      // C_i1 = rho^(i-1), C_ij = rho^(i-j) cos r
      const double cosine = std::cos(angle(x)), sine = std::sin(angle(x));
      for (int i = 0; i < p_; ++i)
        for (int j = 0; j <= i; ++j) {
          const int k = i - j;
          const double power = std::pow(value, k);
          const double by_rho = k == 0 ? 0.0 : k * std::pow(value, k - 1);
          c(i, j) = j == 0 ? power : power * cosine;
          dc(i, j) = j == 0 ? by_rho * slope : by_rho * slope * cosine - power * sine;
        }
    } else {
      // With u_j = 1 + j rho, column j of C is sqrt((1 - rho) u_j / u_{j-1}) on the diagonal and
      // rho sqrt((1 - rho) / (u_{j-1} u_j)) below it; sqrt(1 - rho) and sqrt(u_{p-1}) are sine and
      // cosine of pi/4 - r/2.
      const double half = 0.25 * M_PI - 0.5 * angle(x), width = 1.0 - rho_low();
      const double root = std::sqrt(width) * std::sin(half);  // sqrt(1 - rho)
      const double droot = -0.5 * std::sqrt(width) * std::cos(half);
      const double last = std::sqrt((p_ - 1) * width) * std::cos(half);  // sqrt(1 + (p-1) rho)
      const double dlast = 0.5 * std::sqrt((p_ - 1) * width) * std::sin(half);
      c(0, 0) = 1.0;
      for (int i = 1; i < p_; ++i) {
        c(i, 0) = value;
        dc(i, 0) = slope;
      }
      for (int j = 1; j < p_; ++j) {
        const double before = std::sqrt(1.0 + (j - 1) * value);
        const double dbefore = 0.5 * (j - 1) * slope / before;
        const double here = j == p_ - 1 ? last : std::sqrt(1.0 + j * value);
        const double dhere = j == p_ - 1 ? dlast : 0.5 * j * slope / here;
        c(j, j) = root * here / before;
        dc(j, j) = (droot * here + root * dhere) / before - c(j, j) * dbefore / before;
        for (int i = j + 1; i < p_; ++i) {
          c(i, j) = value * root / (before * here);
          dc(i, j) = (slope * root + value * droot) / (before * here) -
                     c(i, j) * (dbefore / before + dhere / here);
        }
      }
    }
    if (derivative) *derivative = dc;
    return c;
  }

  Structure structure_;
  bool homogeneous_;
  int p_;
};

}  // namespace partialpool

#endif
