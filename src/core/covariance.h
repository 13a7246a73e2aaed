#ifndef PARTIALPOOL_COVARIANCE_H
#define PARTIALPOOL_COVARIANCE_H

#include <Eigen/Dense>
#include <cmath>
#include <vector>

namespace partialpool {

enum class Structure { unstructured, diagonal, compound_symmetry, ar1 };

// One covariance structure: optimiser parameters x <-> relative factor Lambda (p x p) and
// Sigma = Lambda Lambda'. Parameters of the optimiser, chosen so that no boundary is special:
//   unstructured              all p^2 entries of Lambda, by column (ALGORITHMS 6.2: no preferred row)
//   diagonal                  the p diagonal entries, or one if homogeneous
//   cs, ar1 homogeneous       s, r                rho = rho(r) by a tanh map
//   cs, ar1 heterogeneous     log s_1..log s_p, r  (log: a sign change of one s_i leaves the family)
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
    if (structure_ == Structure::unstructured)
      return Eigen::Map<const Eigen::MatrixXd>(x, p_, p_);
    if (structure_ == Structure::diagonal) return signed_scales(x).asDiagonal();
    return signed_scales(x).asDiagonal() * correlation_factor(rho(x), nullptr);
  }

  // out = derivative of the criterion by x, from G = its derivative by the entries of Lambda.
  void gradient(const double* x, const Eigen::MatrixXd& g, double* out) const {
    if (structure_ == Structure::unstructured) {
      Eigen::Map<Eigen::MatrixXd>(out, p_, p_) = g;
      return;
    }
    if (structure_ == Structure::diagonal) {
      if (homogeneous_) out[0] = g.trace();
      else Eigen::Map<Eigen::VectorXd>(out, p_) = g.diagonal();
      return;
    }
    const Eigen::VectorXd s = signed_scales(x);
    Eigen::MatrixXd derivative;
    const Eigen::MatrixXd c = correlation_factor(rho(x), &derivative);
    const Eigen::VectorXd by_scale = g.cwiseProduct(c).rowwise().sum();
    const int k = homogeneous_ ? 1 : p_;
    if (homogeneous_) out[0] = by_scale.sum();
    else Eigen::Map<Eigen::VectorXd>(out, p_) = by_scale.cwiseProduct(s);
    out[k] = rho_slope(x) * s.dot(g.cwiseProduct(derivative).rowwise().sum());
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
        if (homogeneous_) v.setConstant(2.0 * s[0]);
        else v[i] = 2.0 * s[i];
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
      const Eigen::MatrixXd sigma = ss.cwiseProduct(r);
      for (int k = 0; k < p_; ++k) {
        Eigen::MatrixXd e = Eigen::MatrixXd::Zero(p_, p_);
        e.row(k) += sigma.row(k);
        e.col(k) += sigma.col(k);
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
      if (homogeneous_) hessian(0, 0) += 2.0 * d.trace();
      else hessian.diagonal() += 2.0 * d.diagonal();
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
    const Eigen::MatrixXd e = d.cwiseProduct(ss).cwiseProduct(r);
    const Eigen::VectorXd e_rows = e.rowwise().sum();
    const Eigen::VectorXd cross = d.cwiseProduct(ss).cwiseProduct(r1).rowwise().sum();
    for (int i = 0; i < p_; ++i) {
      for (int j = 0; j < p_; ++j) hessian(i, j) += 2.0 * e(i, j);
      hessian(i, i) += 2.0 * e_rows[i];
      hessian(i, k) += 2.0 * slope * cross[i];
      hessian(k, i) += 2.0 * slope * cross[i];
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
    if (homogeneous_) x[0] = std::sqrt(s.squaredNorm() / p_);
    else if (correlated()) x.head(p_) = s.cwiseMax(1e-8).array().log();
    else x.head(p_) = s;
    if (correlated()) {
      const double lo = rho_low();
      const double t = std::min(std::max((rho_value - lo) / (1.0 - lo) * 2.0 - 1.0, -1 + 1e-9), 1 - 1e-9);
      x[homogeneous_ ? 1 : p_] = std::atanh(t);
    }
    return x;
  }

  double rho(const double* x) const {
    const double lo = rho_low();
    return lo + (1.0 - lo) * 0.5 * (1.0 + std::tanh(x[homogeneous_ ? 1 : p_]));
  }
  double rho_low() const {
    return structure_ == Structure::ar1 ? -1.0 : -1.0 / (p_ - 1);
  }
  double rho_slope(const double* x) const {
    const double t = std::tanh(x[homogeneous_ ? 1 : p_]);
    return (1.0 - rho_low()) * 0.5 * (1.0 - t * t);
  }

 private:
  // Scales of a structured block as they enter Lambda: x and -x give the same Sigma.
  Eigen::VectorXd signed_scales(const double* x) const {
    if (homogeneous_) return Eigen::VectorXd::Constant(p_, x[0]);
    Eigen::VectorXd s = Eigen::Map<const Eigen::VectorXd>(x, p_);
    if (correlated()) s = s.array().exp();
    return s;
  }

  double rho_bend(const double* x) const {
    const double t = std::tanh(x[homogeneous_ ? 1 : p_]);
    return -(1.0 - rho_low()) * t * (1.0 - t * t);
  }

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

  // Cholesky factor C of the correlation matrix, and dC/drho on request (ALGORITHMS 4.2).
  Eigen::MatrixXd correlation_factor(double rho, Eigen::MatrixXd* derivative) const {
    Eigen::MatrixXd c = Eigen::MatrixXd::Zero(p_, p_), dc = Eigen::MatrixXd::Zero(p_, p_);
    if (structure_ == Structure::ar1) {
      const double root = std::sqrt(1.0 - rho * rho);
      for (int i = 0; i < p_; ++i) {
        c(i, 0) = std::pow(rho, i);
        dc(i, 0) = i == 0 ? 0.0 : i * std::pow(rho, i - 1);
        for (int j = 1; j <= i; ++j) {
          const int k = i - j;
          const double power = std::pow(rho, k);
          c(i, j) = power * root;
          dc(i, j) = (k == 0 ? 0.0 : k * std::pow(rho, k - 1) * root) - power * rho / root;
        }
      }
    } else {
      double a = 0.0, da = 0.0;
      for (int j = 0; j < p_; ++j) {
        const double cjj = std::sqrt(1.0 - a), dcjj = -0.5 * da / cjj;
        const double off = (rho - a) / cjj, doff = (1.0 - da) / cjj - off * dcjj / cjj;
        c(j, j) = cjj;
        dc(j, j) = dcjj;
        for (int i = j + 1; i < p_; ++i) {
          c(i, j) = off;
          dc(i, j) = doff;
        }
        a += off * off;
        da += 2.0 * off * doff;
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
