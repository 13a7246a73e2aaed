#ifndef PARTIALPOOL_CORE_KERNEL_EP_H
#define PARTIALPOOL_CORE_KERNEL_EP_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "family.h"
#include "gmres.h"
#include "kernel_posterior.h"
#include "tilted.h"

namespace partialpool {

// Expectation propagation with one dense kernel: z ~ N(X beta + offset, v0 K + v1 I), y | z by a
// family. Each row has a site exp(-tau z^2 / 2 + nu z). With the sites known in advance, the normal
// model with known noise.
//
// Everything local is centred at the posterior mean m, where a site is exp(-tau (z - m)^2 / 2 +
// e (z - m)), e = nu - tau m: cavity mean m - v_c e, cavity variance v_c = v / (1 - tau v). Then
//   log Z = -log|I + S0 T| / 2 - e'(m - o) / 2 + sum (log Z_i + log(1 + tau v_c) / 2 + v_c e^2 / 2)
// loses no digits where the terms of the usual form cancel, and the fixed point is e = alpha,
// tau / (1 + tau v_c) = gamma.
class KernelEp {
 public:
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;
  using Index = Eigen::Index;

  // Parameters: beta, v0, v1, then log phi and the shape where the family has them.
  struct Point {
    Vector beta;
    double v0 = 0.0, v1 = 0.0, log_phi = 0.0, shape = 0.0;
  };
  struct Sites {
    Vector tau, nu;
  };

  // The fixed point counts as found at this residual, whatever was asked for on the way.
  static constexpr double tightest = 1e-9;
  static constexpr int most_sweeps = 500;

  KernelEp(KernelPosterior& posterior, const Matrix& x, const Vector& offset, Family* family)
      : posterior_(posterior), x_(x), offset_(offset), family_(family), n_(posterior.n()) {
    sites_.tau = sites_.nu = Vector::Zero(n_);
    if (family_) tilted_ = std::make_unique<TiltedMoments>(*family_, n_);
  }

  // Known sites instead of a family; `reml`: the likelihood of error contrasts, (p / 2) log(2 pi) -
  // log|X'RX| / 2 more, X as it is here.
  void hold_sites(const Vector& tau, const Vector& nu, bool reml) {
    sites_.tau = tau;
    sites_.nu = nu;
    reml_ = reml && columns() > 0;
  }

  std::function<void()> interrupt;  // called now and then; may throw

  Index columns() const { return x_.cols(); }
  bool has_dispersion() const { return family_ && family_->has_dispersion(); }
  bool has_shape() const { return family_ && family_->has_shape(); }
  Index parameters() const { return columns() + 2 + has_dispersion() + has_shape(); }

  // Evaluates at a point, from the sites as they are, to a residual of `tolerance` at most (1e-9 at
  // least). False: see failure().
  bool solve(const Point& at, double tolerance) {
    at_ = at;
    failure_.clear();
    posterior_.set_variances(at.v0, at.v1);
    o_ = x_ * at.beta + offset_;
    derivatives_known_ = false;
    if (!family_) {
      residual_ = 0.0;
      if (marginals() && (!reml_ || restrict())) return true;
      failure_ = "the covariance matrix is not positive definite";
      return false;
    }
    set_family(at.log_phi, at.shape);
    tolerance = std::max(tolerance, tightest);
    const bool cold = sites_.tau.cwiseAbs().maxCoeff() == 0.0;
    if (iterate(tolerance)) return true;
    if (cold) return false;
    sites_.tau.setZero();
    sites_.nu.setZero();
    return iterate(tolerance);
  }

  double value() const {
    double sum = 0.0;
    const Vector& left = posterior_.remainder();
    constexpr double log_2pi = 1.8378770664093454836;
    for (Index i = 0; i < n_; ++i) {
      if (family_) {
        sum += log_z_[i] - 0.5 * std::log(left[i]) + 0.5 * vc_[i] * e_[i] * e_[i];
      } else if (sites_.tau[i] > 0.0) {
        sum += 0.5 * (std::log(sites_.tau[i]) - log_2pi - e_[i] * e_[i] / sites_.tau[i]);
      }
    }
    if (reml_) sum += 0.5 * static_cast<double>(columns()) * log_2pi - 0.5 * log_information_;
    return sum - 0.5 * posterior_.log_determinant() - 0.5 * e_.dot(shift_);
  }

  // Of log Z by the parameters, as if the sites were at the fixed point.
  Vector gradient() {
    Vector g(parameters());
    g.head(columns()) = x_.transpose() * e_;
    const Vector trace = precision_traces();
    g[columns()] = 0.5 * (e_.dot(posterior_.kernel_times(e_)) - trace[0]);
    g[columns() + 1] = 0.5 * (e_.squaredNorm() - trace[1]);
    if (reml_) {  // tr((X'RX)^-1 X'R V R X) / 2
      g[columns()] += 0.5 * coefficient_covariance_.cwiseProduct(kernel_part_).sum();
      g[columns() + 1] += 0.5 * coefficient_covariance_.cwiseProduct(iid_part_).sum();
    }
    if (has_dispersion() || has_shape()) {
      const std::vector<double> extra = extra_gradient();
      for (std::size_t k = 0; k < extra.size(); ++k) g[columns() + 2 + k] = extra[k];
    }
    return g;
  }

  // Of log Z by the parameters, the change of the sites with them included. `gradient`, if given,
  // is corrected for a residual that is not yet zero.
  Matrix hessian(double tolerance, Vector* gradient = nullptr) {
    const Index k = parameters(), p = columns();
    posterior_.prepare_products();
    Matrix dm, dv;
    Matrix h = explicit_hessian(dm, dv);
    d_tau_ = Matrix::Zero(n_, k + 1);
    d_eta_ = Matrix::Zero(n_, k + 1);
    base_mean_ = mean_;
    if (reml_) restricted_hessian(h);
    if (!family_) return h;
    site_derivatives();
    local_map(dm, dv, Matrix::Zero(n_, p + 2), Matrix::Zero(n_, p + 2), d_tau_, d_eta_);
    Matrix by_alpha(n_, k - p - 2), by_gamma(n_, k - p - 2);
    if (k > p + 2) extra_hessian(h, by_alpha, by_gamma);
    d_tau_.col(k) = target_.tau - sites_.tau;
    d_eta_.col(k) = target_.nu - sites_.nu - mean_.cwiseProduct(d_tau_.col(k));
    solve_linear(d_tau_, d_eta_, tolerance);
    const Matrix first = dm.transpose() * d_eta_ - 0.5 * dv.transpose() * d_tau_;
    h.topRows(p + 2) += first.leftCols(k);
    if (gradient) gradient->head(p + 2) += first.col(k);
    if (k > p + 2) {
      Matrix all_m = posterior_.covariance_times(d_eta_);
      Matrix all_v = -posterior_.squares_times(d_tau_);
      all_m.leftCols(p + 2) += dm;
      all_v.leftCols(p + 2) += dv;
      for (Index j = p + 2; j < k; ++j) {
        const auto alpha = by_alpha.col(j - p - 2).array(), gamma = by_gamma.col(j - p - 2).array();
        for (Index l = p + 2; l <= k; ++l) {
          const Cavity c = cavity_change(all_m.col(l), all_v.col(l), d_tau_.col(l), d_eta_.col(l));
          const double sum = (alpha * c.mean.array()).sum() +
                             ((alpha_.array() * alpha - 0.5 * gamma) * c.variance.array()).sum();
          if (l < k)
            h(j, l) += sum;
          else if (gradient)
            (*gradient)[j] += sum;
        }
        for (Index l = 0; l < p + 2; ++l) h(j, l) = h(l, j);
      }
    }
    return 0.5 * (h + h.transpose());
  }

  // Moves the sites to where a change of the parameters takes them, to first order, after
  // hessian().
  void predict(const Vector& change) {
    if (!family_ || d_tau_.cols() != parameters() + 1) return;
    Vector full(change.size() + 1);
    full << change, 1.0;
    move_sites(d_tau_ * full, d_eta_ * full, base_mean_);
  }

  const Sites& sites() const { return sites_; }
  void set_sites(const Sites& sites) { sites_ = sites; }
  const Point& at() const { return at_; }
  const Vector& mean() const { return mean_; }
  const Vector& variance() const { return posterior_.variance(); }
  double residual() const { return residual_; }
  int sweeps() const { return sweeps_; }
  const std::string& failure() const { return failure_; }
  // Rows (from 0) with the largest residuals, worst first; or the one without moments.
  std::vector<Index> worst_rows() const {
    if (bad_row_ >= 0) return {bad_row_};
    std::vector<Index> rows(row_residual_.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
    const std::size_t count = std::min<std::size_t>(5, rows.size());
    std::partial_sort(rows.begin(), rows.begin() + count, rows.end(),
                      [this](Index a, Index b) { return row_residual_[a] > row_residual_[b]; });
    rows.resize(count);
    return rows;
  }
  Family* family() { return family_; }

 private:
  struct Cavity {
    Vector mean, variance;
  };

  void set_family(double log_phi, double shape) {
    Vector phi;
    if (family_->has_dispersion()) phi = Vector::Constant(1, log_phi);
    family_->set_parameters(phi, Vector(), shape);
  }

  // Posterior of the sites as they are.
  bool marginals() {
    if (!posterior_.factor(sites_.tau)) return false;
    const Vector b = sites_.nu - sites_.tau.cwiseProduct(o_);
    posterior_.shift_of(b, shift_, e_);
    mean_ = o_ + shift_;
    return mean_.allFinite();
  }

  // R X, X'RX and, with V a part of the prior covariance, X'R V R X.
  bool restrict() {
    r_x_ = posterior_.precision_times(x_);
    k_r_x_.resize(n_, columns());
    for (Index j = 0; j < columns(); ++j) k_r_x_.col(j) = posterior_.kernel_times(r_x_.col(j));
    const Matrix information = x_.transpose() * r_x_;
    const Eigen::LLT<Matrix> factor(information);
    if (factor.info() != Eigen::Success) return false;
    log_information_ = 2.0 * factor.matrixLLT().diagonal().array().log().sum();
    coefficient_covariance_ = factor.solve(Matrix::Identity(columns(), columns()));
    kernel_part_ = r_x_.transpose() * k_r_x_;
    iid_part_ = r_x_.transpose() * r_x_;
    return std::isfinite(log_information_);
  }

  void restricted_hessian(Matrix& h) {
    const Index p = columns();
    const Matrix* parts[2] = {&kernel_part_, &iid_part_};
    const Matrix* moved[2] = {&k_r_x_, &r_x_};
    for (Index a = 0; a < 2; ++a) {
      const Matrix r_moved = posterior_.precision_times(*moved[a]);
      const Matrix one = coefficient_covariance_ * *parts[a];
      for (Index b = 0; b < 2; ++b) {
        const Matrix two = coefficient_covariance_ * *parts[b];
        const Matrix inner = moved[b]->transpose() * r_moved;
        h(p + a, p + b) += 0.5 * one.cwiseProduct(two.transpose()).sum() -
                           coefficient_covariance_.cwiseProduct(inner).sum();
      }
    }
  }

  // Posterior, cavities, tilted moments, new sites and residual.
  bool sweep() {
    ++sweeps_;
    derivatives_known_ = false;
    if (interrupt) interrupt();
    if (!marginals()) return false;
    const Vector& v = posterior_.variance();
    const Vector& left = posterior_.remainder();
    vc_.resize(n_);
    mc_.resize(n_);
    for (Index i = 0; i < n_; ++i) {
      if (!(left[i] > 0.0) || !(v[i] >= 0.0)) return false;
      vc_[i] = v[i] / left[i];
      mc_[i] = mean_[i] - vc_[i] * e_[i];
    }
    log_z_.resize(n_);
    alpha_.resize(n_);
    gamma_.resize(n_);
    if (!tilted_->compute(mc_.data(), vc_.data(), log_z_.data(), alpha_.data(), gamma_.data())) {
      bad_row_ = tilted_->row();
      return false;
    }
    target_.tau.resize(n_);
    target_.nu.resize(n_);
    row_residual_.resize(n_);
    residual_ = 0.0;
    for (Index i = 0; i < n_; ++i) {
      const double left_tilted = 1.0 - gamma_[i] * vc_[i];
      const double eta = (alpha_[i] - gamma_[i] * vc_[i] * e_[i]) / left_tilted;
      target_.tau[i] = gamma_[i] / left_tilted;
      target_.nu[i] = eta + target_.tau[i] * mean_[i];
      // In units of the posterior; of the likelihood where the prior leaves no variance, so that
      // the gradient is right there too.
      const double unit = std::max(v[i], std::min(1.0, 1.0 / std::fabs(gamma_[i])));
      row_residual_[i] = std::max(std::sqrt(unit) * std::fabs(alpha_[i] - e_[i]),
                                  unit * std::fabs(gamma_[i] - sites_.tau[i] * left[i]));
      if (!(row_residual_[i] <= residual_)) residual_ = row_residual_[i];
    }
    return std::isfinite(residual_) && target_.tau.allFinite() && target_.nu.allFinite();
  }

  // Sweeps, and Newton steps on the fixed point where they pay.
  bool iterate(double tolerance) {
    const int first = sweeps_;
    double damping = 1.0, best = std::numeric_limits<double>::infinity(), ratio = 0.0;
    int failures = 0, newton_pause = 0;
    bool newton = false;
    Sites last, last_target;
    double last_residual = best;
    bad_row_ = -1;
    while (sweeps_ - first < most_sweeps) {
      const bool fine = sweep();
      const bool worse = !fine || (newton && residual_ > 0.9 * last_residual);
      if (worse && last.tau.size() == 0) {
        failure_ = failure_of_sweep();
        return false;
      }
      if (worse) {  // back to the last sites, from there by a shorter or a plain step
        if (newton)
          newton_pause = 3;
        else
          damping *= 0.5;
        if (damping < 1e-3) {
          failure_ = failure_of_sweep();
          return false;
        }
        newton = false;
        sites_.tau = last.tau + damping * (last_target.tau - last.tau);
        sites_.nu = last.nu + damping * (last_target.nu - last.nu);
        continue;
      }
      if (residual_ <= tolerance) return true;
      ratio = residual_ / last_residual;
      if (residual_ > 0.95 * best && ++failures > 3) damping = std::max(0.7 * damping, 0.05);
      best = std::min(best, residual_);
      last = sites_;
      last_target = target_;
      last_residual = residual_;
      --newton_pause;
      newton = newton_pause <= 0 && sweeps_ - first >= 2 && newton_pays(ratio) && newton_step();
      if (!newton) {
        sites_.tau += damping * (target_.tau - sites_.tau);
        sites_.nu += damping * (target_.nu - sites_.nu);
      }
    }
    failure_ = "it did not converge";
    return false;
  }

  // A Newton step costs about two plain sweeps and squares a small residual.
  bool newton_pays(double ratio) const {
    if (!posterior_.cheap_products()) return ratio > 0.6;
    return residual_ < 0.03 || ratio > 0.4;
  }

  bool newton_step() {
    posterior_.prepare_products();
    site_derivatives();
    Matrix d_tau = target_.tau - sites_.tau;
    Matrix d_eta = target_.nu - sites_.nu - mean_.cwiseProduct(d_tau.col(0));
    solve_linear(d_tau, d_eta, std::min(0.05, 0.3 * residual_));
    if (!d_tau.allFinite() || !d_eta.allFinite()) return false;
    move_sites(d_tau.col(0), d_eta.col(0), mean_);
    return true;
  }

  // A precision does not lose its sign at once.
  void move_sites(const Vector& d_tau, const Vector& d_eta, const Vector& mean) {
    for (Index i = 0; i < n_; ++i) {
      const double old = sites_.tau[i];
      double tau = old + d_tau[i];
      if (old > 0.0) tau = std::min(std::max(tau, 0.1 * old), 10.0 * old);
      if (!std::isfinite(tau) || !std::isfinite(d_eta[i])) continue;
      sites_.nu[i] += d_eta[i] + mean[i] * (tau - old);
      sites_.tau[i] = tau;
    }
  }

  std::string failure_of_sweep() const {
    if (bad_row_ >= 0) return "the moments of a row are not finite";
    return "its precision matrix is not positive definite";
  }

  // tr(R K), tr(R).
  Vector precision_traces() const {
    const Vector& v = posterior_.variance();
    const Vector own = sites_.tau.cwiseProduct(posterior_.remainder());  // diagonal of R
    const double v0 = posterior_.v0(), v1 = posterior_.v1(), all = own.sum();
    Vector out(2);
    out[1] = all;
    if (v0 > 1e-9 * v1)
      out[0] = (sites_.tau.dot(v) - v1 * all) / v0;
    else
      out[0] = own.dot(posterior_.kernel_diagonal());
    return out;
  }

  // With the sites held: Hessian, and the changes of the marginal means and variances by the
  // parameters. dS = M V M', dm = M V e for a change V of the prior covariance.
  Matrix explicit_hessian(Matrix& dm, Matrix& dv) {
    const Index p = columns(), k = parameters();
    const double v0 = posterior_.v0(), v1 = posterior_.v1();
    Matrix moved(n_, p + 2);
    moved << x_, posterior_.kernel_times(e_), e_;
    const Matrix r_moved = posterior_.precision_times(moved);
    Matrix h = Matrix::Zero(k, k);
    h.topLeftCorner(p + 2, p + 2) = -moved.transpose() * r_moved;
    dm = moved - prior_of(r_moved);
    dv = Matrix::Zero(n_, p + 2);

    const Vector& v = posterior_.variance();
    const Vector& tau = sites_.tau;
    const Vector tau2 = tau.cwiseAbs2();
    Matrix weights(n_, 2);
    weights << tau, tau2;
    const Matrix s = posterior_.squares_times(weights);
    const Vector by_iid = (1.0 - 2.0 * v.array() * tau.array()).matrix() + s.col(1);
    const double t11 = tau2.sum() - 2.0 * tau2.dot(tau.cwiseProduct(v)) + tau2.dot(s.col(1));
    const double ts1 = tau2.dot(v) - tau.dot(s.col(1)), tss = tau.dot(s.col(0));
    dv.col(p + 1) = by_iid;
    h(p + 1, p + 1) += 0.5 * t11;
    if (!posterior_.has_kernel()) return h;
    if (v0 > 1e-7 * v1 && v0 > 0.0) {
      dv.col(p) = (v - s.col(0) - v1 * by_iid) / v0;
      h(p, p) += 0.5 * (tss - 2.0 * v1 * ts1 + v1 * v1 * t11) / (v0 * v0);
      h(p, p + 1) += 0.5 * (ts1 - v1 * t11) / v0;
      h(p + 1, p) = h(p, p + 1);
    } else {  // M is all but diagonal
      const Vector& left = posterior_.remainder();
      const Vector& diagonal = posterior_.kernel_diagonal();
      const Vector own = left.cwiseAbs2().cwiseProduct(diagonal);
      dv.col(p) = own;
      const Vector r = tau.cwiseProduct(left);
      h(p, p + 1) += 0.5 * r.cwiseAbs2().dot(diagonal);
      h(p + 1, p) = h(p, p + 1);
      h(p, p) += 0.5 * r.cwiseProduct(diagonal).squaredNorm();
    }
    return h;
  }

  // S0 X.
  Matrix prior_of(const Matrix& x) {
    Matrix out = posterior_.v1() * x;
    if (posterior_.v0() > 0.0)
      for (Index k = 0; k < x.cols(); ++k)
        out.col(k) += posterior_.v0() * posterior_.kernel_times(x.col(k));
    return out;
  }

  // dgamma/dmean and its derivative at the cavities.
  void site_derivatives() {
    if (derivatives_known_) return;
    derivatives_known_ = true;
    gamma_m_ = gamma_mm_ = Vector::Zero(n_);
    const Vector h = 0.005 * vc_.cwiseSqrt();
    if (h.maxCoeff() == 0.0) return;
    Vector log_z(n_), alpha(n_), up(n_), down(n_);
    const Vector above = mc_ + h, below = mc_ - h;
    if (!tilted_->compute(above.data(), vc_.data(), log_z.data(), alpha.data(), up.data()) ||
        !tilted_->compute(below.data(), vc_.data(), log_z.data(), alpha.data(), down.data()))
      return;
    for (Index i = 0; i < n_; ++i) {
      if (!(h[i] > 1e-8)) continue;
      gamma_m_[i] = (up[i] - down[i]) / (2.0 * h[i]);
      gamma_mm_[i] = (up[i] - 2.0 * gamma_[i] + down[i]) / (h[i] * h[i]);
    }
  }

  // Change of the cavities with the marginals and the centred sites.
  Cavity cavity_change(const Vector& dm, const Vector& dv, const Vector& d_tau,
                       const Vector& d_eta) const {
    const auto v = posterior_.variance().array(), left = posterior_.remainder().array();
    Cavity out;
    out.variance = (dv.array() + v * v * d_tau.array()) / (left * left);
    out.mean = (dm.array() - v * d_eta.array()) / left - e_.array() * out.variance.array();
    return out;
  }

  // Change of the new centred sites. At the fixed point, with d log Z_i / d v_c = (alpha^2 -
  // gamma) / 2 and its derivatives by the mean, all terms in alpha cancel.
  void local_map(const Matrix& dm, const Matrix& dv, const Matrix& d_tau, const Matrix& d_eta,
                 Matrix& out_tau, Matrix& out_eta) const {
    const auto v = posterior_.variance().array(), left = posterior_.remainder().array();
    for (Index k = 0; k < dm.cols(); ++k) {
      const Eigen::ArrayXd variance =
          (dv.col(k).array() + v * v * d_tau.col(k).array()) / (left * left);
      const Eigen::ArrayXd mean = (dm.col(k).array() - v * d_eta.col(k).array()) / left;
      out_eta.col(k) = -0.5 * gamma_m_.array() * variance / left;
      out_tau.col(k) =
          (gamma_m_.array() * mean + 0.5 * gamma_mm_.array() * variance) / (left * left);
    }
  }

  // (I - J)^-1 of each column, J the derivative of a sweep.
  void solve_linear(Matrix& tau, Matrix& eta, double tolerance) {
    const Vector& v = posterior_.variance();
    Vector weight(2 * n_);
    for (Index i = 0; i < n_; ++i) {
      weight[i] = v[i] > 0.0 ? v[i] : 1.0;
      weight[n_ + i] = std::sqrt(weight[i]);
    }
    Matrix x(2 * n_, tau.cols());
    x.topRows(n_) = tau;
    x.bottomRows(n_) = eta;
    x = weight.asDiagonal() * x;
    const auto apply = [&](const Matrix& in) -> Matrix {
      if (interrupt) interrupt();
      const Matrix plain = weight.cwiseInverse().asDiagonal() * in;
      const Matrix d_tau = plain.topRows(n_), d_eta = plain.bottomRows(n_);
      const Matrix dm = posterior_.covariance_times(d_eta);
      const Matrix dv = -posterior_.squares_times(d_tau);
      Matrix new_tau(n_, in.cols()), new_eta(n_, in.cols());
      local_map(dm, dv, d_tau, d_eta, new_tau, new_eta);
      Matrix out(2 * n_, in.cols());
      out.topRows(n_) = new_tau;
      out.bottomRows(n_) = new_eta;
      return in - weight.asDiagonal() * out;
    };
    x = gmres(apply, x, tolerance);
    x = weight.cwiseInverse().asDiagonal() * x;
    tau = x.topRows(n_);
    eta = x.bottomRows(n_);
  }

  std::vector<double> extra_gradient() {
    Vector dispersion, inflation, shape;
    tilted_->expectations(mc_.data(), vc_.data(), dispersion, inflation, shape);
    std::vector<double> out;
    if (has_dispersion()) out.push_back(dispersion.sum());
    if (has_shape()) out.push_back(shape.sum());
    return out;
  }

  // Second derivatives by log phi and shape at given cavities, and the changes of alpha and gamma,
  // by differences; fills the columns of d_tau_, d_eta_.
  void extra_hessian(Matrix& h, Matrix& by_alpha, Matrix& by_gamma) {
    const Index p = columns(), extras = by_alpha.cols();
    const auto left = posterior_.remainder().array();
    constexpr double step = 1e-4;
    for (Index j = 0; j < extras; ++j) {
      const bool phi = has_dispersion() && j == 0;
      Vector log_z(n_), alpha[2], gamma[2];
      std::vector<double> g[2];
      for (int side = 0; side < 2; ++side) {
        const double move = side ? -step : step;
        set_family(at_.log_phi + (phi ? move : 0.0), at_.shape + (phi ? 0.0 : move));
        alpha[side].resize(n_);
        gamma[side].resize(n_);
        tilted_->compute(mc_.data(), vc_.data(), log_z.data(), alpha[side].data(),
                         gamma[side].data());
        g[side] = extra_gradient();
      }
      by_alpha.col(j) = (alpha[0] - alpha[1]) / (2.0 * step);
      by_gamma.col(j) = (gamma[0] - gamma[1]) / (2.0 * step);
      for (Index l = 0; l < extras; ++l)
        h(p + 2 + j, p + 2 + l) += (g[0][l] - g[1][l]) / (2.0 * step);
      d_eta_.col(p + 2 + j) = by_alpha.col(j).array() / left;
      d_tau_.col(p + 2 + j) = by_gamma.col(j).array() / (left * left);
    }
    set_family(at_.log_phi, at_.shape);
  }

  KernelPosterior& posterior_;
  const Matrix& x_;
  const Vector& offset_;
  Family* family_;
  std::unique_ptr<TiltedMoments> tilted_;
  Index n_;
  Point at_;
  Sites sites_, target_;
  Vector o_, shift_, e_, mean_, mc_, vc_, log_z_, alpha_, gamma_, gamma_m_, gamma_mm_;
  Vector row_residual_;
  Matrix d_tau_, d_eta_;  // by the parameters; last, to the fixed point
  Vector base_mean_;      // where they were taken
  bool derivatives_known_ = false, reml_ = false;
  Matrix r_x_, k_r_x_, coefficient_covariance_, kernel_part_, iid_part_;
  double log_information_ = 0.0;
  double residual_ = 0.0;
  int sweeps_ = 0;
  Index bad_row_ = -1;
  std::string failure_;
};

}  // namespace partialpool

#endif
