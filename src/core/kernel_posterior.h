#ifndef PARTIALPOOL_CORE_KERNEL_POSTERIOR_H
#define PARTIALPOOL_CORE_KERNEL_POSTERIOR_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "dense_kernels.h"

namespace partialpool {

// The Gaussian z ~ N(o, S0), S0 = v0 K + v1 I, K = C C' (C is n x r), times sites with precisions
// T = diag(tau): the posterior covariance S = (S0^-1 + T)^-1 and R = (S0 + T^-1)^-1 = T - T S T,
// as products with vectors. With M = I - S T = S S0^-1.
//
// Two forms. Low rank: the iid part is integrated in closed form, B = I + v0 C' T_e C of order r,
// with T_e = T A, A = (I + v1 T)^-1; precisions may be negative. Full: B = I + T^1/2 S0 T^1/2 of
// order n, which costs less from a rank of about half of n, for precisions that are not tiny.
class KernelPosterior {
 public:
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;
  using Index = Eigen::Index;

  // C by values and vectors of K, or as it is (values empty); no columns: K = 0.
  KernelPosterior(const Eigen::Ref<const Matrix>& vectors, const Vector& values)
      : root_(vectors.transpose()), n_(vectors.rows()), rank_(vectors.cols()) {
    if (values.size()) root_ = values.cwiseMax(0.0).cwiseSqrt().asDiagonal() * root_;
    diagonal_ = Vector::Zero(n_);
    if (rank_) diagonal_ = root_.colwise().squaredNorm().transpose();
    // A kernel of mean diagonal 1 puts both variances on one scale.
    unit_ = n_ && rank_ ? diagonal_.mean() : 0.0;
    if (!(unit_ > 0.0)) {
      unit_ = 1.0;
      rank_ = 0;
      root_.resize(0, n_);
      diagonal_.setZero();
    }
    root_ /= std::sqrt(unit_);
    diagonal_ /= unit_;
    prefer_full_ = 20 * rank_ > 11 * n_;
    dense_products_ = n_ <= 4000 || 2 * rank_ > n_;
    if (128.0 * rank_ * rank_ < 128.0 * n_ + double(n_) * rank_) dense_products_ = false;
  }

  Index n() const { return n_; }
  bool has_kernel() const { return rank_ > 0; }
  // K is `unit` times the kernel that v0 refers to here.
  double unit() const { return unit_; }
  double v0() const { return v0_; }
  double v1() const { return v1_; }
  // Does a product with S o S cost much less than a factorisation?
  bool cheap_products() const { return dense_products_; }

  void set_variances(double v0, double v1) {
    v0_ = rank_ ? v0 : 0.0;
    v1_ = v1;
  }

  // False: S0^-1 + T is not positive definite.
  bool factor(const Vector& tau) {
    tau_ = tau;
    has_products_ = false;
    if (!tau_.allFinite()) return false;
    if (choose_full()) {
      full_ = true;
      if (factor_full()) return true;
    }
    full_ = false;
    return factor_low();
  }

  const Vector& variance() const { return variance_; }         // diagonal of S
  const Vector& remainder() const { return remainder_; }       // 1 - tau v
  double log_determinant() const { return log_determinant_; }  // of I + S0 T

  // K x.
  Vector kernel_times(const Vector& x) {
    if (!rank_) return Vector::Zero(n_);
    if (kernel_.size()) return kernel_.selfadjointView<Eigen::Lower>() * x;
    return root_.transpose() * (root_ * x);
  }
  const Vector& kernel_diagonal() const { return diagonal_; }

  // For b: shift = S b and e = (I - T S) b.
  void shift_of(const Vector& b, Vector& shift, Vector& e) {
    if (full_) {
      e = b - root_tau_.asDiagonal() * inverse_times(root_tau_.asDiagonal() * prior_times(b));
      shift = prior_times(e);
      return;
    }
    if (!rank_used_) {
      shift = v1_ * shrink_.cwiseProduct(b);
      e = shrink_.cwiseProduct(b);
      return;
    }
    const Vector ub = spread_ * b;
    shift = v1_ * shrink_.cwiseProduct(b) + spread_.transpose() * ub;
    e = shrink_.cwiseProduct(b);
    e -= (shrink_.cwiseProduct(tau_)).cwiseProduct(half_.transpose() * ub);
  }

  // M X = (I - S T) X.
  Matrix shrink(const Matrix& x) {
    if (full_)
      return x -
             prior_products(root_tau_.asDiagonal() * inverse_products(root_tau_.asDiagonal() * x));
    Matrix out = shrink_.asDiagonal() * x;
    if (rank_used_)
      out -= spread_.transpose() * (half_ * (shrink_.cwiseProduct(tau_).asDiagonal() * x));
    return out;
  }

  // R X.
  Matrix precision_times(const Matrix& x) {
    if (full_) return root_tau_.asDiagonal() * inverse_products(root_tau_.asDiagonal() * x);
    const Vector te = shrink_.cwiseProduct(tau_);
    Matrix out = te.asDiagonal() * x;
    if (rank_used_) out -= te.asDiagonal() * (half_.transpose() * (half_ * out));
    return out;
  }

  // To be called before covariance_times() and squares_times().
  void prepare_products() {
    if (has_products_) return;
    has_products_ = true;
    if (!full_ && !(dense_products_ && rank_used_)) return;
    if (full_) {
      covariance_ = factor_;
      dense::detail::square_triangle(dense::detail::Block{covariance_.data(), n_}, n_, workspace_);
      for (Index j = 0; j < n_; ++j) {
        double* column = covariance_.data() + j * n_;
        const double scale = -1.0 / root_tau_[j];
        for (Index i = j + 1; i < n_; ++i) column[i] *= scale / root_tau_[i];
        column[j] = variance_[j];
      }
    } else {
      covariance_.setZero(n_, n_);
      const Matrix spread = spread_.transpose();
      dense::syrk_subtract_lower(covariance_, spread, workspace_);
      covariance_.triangularView<Eigen::Lower>() *= -1.0;
      covariance_.diagonal() = variance_;
    }
    dense::detail::copy_lower_to_upper(dense::detail::Block{covariance_.data(), n_}, n_);
    squares_ = covariance_.cwiseAbs2();
  }

  // S X, and (S o S) X.
  Matrix covariance_times(const Matrix& x) {
    if (full_ || (dense_products_ && rank_used_)) return multiply(covariance_, x);
    Matrix out = (v1_ * shrink_).asDiagonal() * x;
    if (rank_used_) out += spread_.transpose() * (spread_ * x);
    return out;
  }
  Matrix squares_times(const Matrix& x) {
    if (full_ || (dense_products_ && rank_used_)) return multiply(squares_, x);
    const Vector own = v1_ * shrink_;
    if (!rank_used_) return own.cwiseAbs2().asDiagonal() * x;
    const Vector rest = variance_ - own;
    Matrix out = (own.cwiseProduct(own + 2.0 * rest)).asDiagonal() * x;
    Matrix scaled(rank_, n_), inner(rank_, rank_);
    for (Index k = 0; k < x.cols(); ++k) {
      scaled = spread_ * x.col(k).asDiagonal();
      inner.setZero();
      dense::gemm_add(inner, 1.0, scaled, false, spread_, true, workspace_);
      scaled.setZero();
      dense::gemm_add(scaled, 1.0, inner, false, spread_, false, workspace_);
      out.col(k) += scaled.cwiseProduct(spread_).colwise().sum().transpose();
    }
    return out;
  }

 private:
  bool choose_full() const {
    if (!prefer_full_ || !(v0_ > 0.0)) return false;
    for (Index i = 0; i < n_; ++i)
      if (!(tau_[i] * (v0_ * diagonal_[i] + v1_) > 1e-10)) return false;
    return true;
  }

  bool factor_full() {
    make_kernel();
    root_tau_ = tau_.cwiseSqrt();
    factor_.resize(n_, n_);
    for (Index j = 0; j < n_; ++j) {
      const double scale = v0_ * root_tau_[j];
      const double* k = kernel_.data() + j * n_;
      double* column = factor_.data() + j * n_;
      std::fill(column, column + j, 0.0);
      for (Index i = j; i < n_; ++i) column[i] = scale * root_tau_[i] * k[i];
      column[j] += 1.0 + v1_ * tau_[j];
    }
    if (!dense::cholesky_lower(factor_, workspace_)) return false;
    log_determinant_ = 2.0 * factor_.diagonal().array().log().sum();
    dense::invert_lower(factor_, workspace_);
    remainder_.resize(n_);
    variance_.resize(n_);
    for (Index i = 0; i < n_; ++i) {
      remainder_[i] = factor_.col(i).tail(n_ - i).squaredNorm();
      variance_[i] = (1.0 - remainder_[i]) / tau_[i];
    }
    correct_weak_rows();
    return log_determinant_ == log_determinant_;
  }

  // (1 - (B^-1)_ii) / tau cancels where the sites say little of a row.
  void correct_weak_rows() {
    std::vector<Index> weak;
    for (Index i = 0; i < n_; ++i)
      if (remainder_[i] > 1.0 - 1e-5) weak.push_back(i);
    if (weak.empty()) return;
    constexpr std::size_t width = 64;
    for (std::size_t first = 0; first < weak.size(); first += width) {
      const Index count = static_cast<Index>(std::min(width, weak.size() - first));
      Matrix columns(n_, count), half = Matrix::Zero(n_, count);
      for (Index k = 0; k < count; ++k) {
        const Index i = weak[first + k];
        for (Index j = 0; j < n_; ++j)
          columns(j, k) = root_tau_[j] * v0_ * (j < i ? kernel_(i, j) : kernel_(j, i));
        columns(i, k) += root_tau_[i] * v1_;
      }
      dense::gemm_add(half, 1.0, factor_, false, columns, false, workspace_);
      for (Index k = 0; k < count; ++k) {
        const Index i = weak[first + k];
        const double v = v0_ * diagonal_[i] + v1_ - half.col(k).squaredNorm();
        if (!(v > 0.0)) continue;
        variance_[i] = v;
        remainder_[i] = 1.0 - tau_[i] * v;
      }
    }
  }

  bool factor_low() {
    shrink_.resize(n_);
    double log_shrink = 0.0;
    for (Index i = 0; i < n_; ++i) {
      const double d = 1.0 + v1_ * tau_[i];
      if (!(d > 0.0)) return false;
      shrink_[i] = 1.0 / d;
      log_shrink += std::log(d);
    }
    log_determinant_ = log_shrink;
    variance_ = v1_ * shrink_;
    rank_used_ = rank_ > 0 && v0_ > 0.0;
    if (rank_used_) {
      const Vector te = shrink_.cwiseProduct(tau_);
      Matrix b = Matrix::Zero(rank_, rank_);
      if (te.minCoeff() >= 0.0) {
        half_ = root_ * (v0_ * te).cwiseSqrt().asDiagonal();
        dense::syrk_subtract_lower(b, half_, workspace_);
        b = -b;
      } else {
        half_ = root_ * (v0_ * te).asDiagonal();
        dense::gemm_add(b, 1.0, half_, false, root_, true, workspace_);
      }
      b.diagonal().array() += 1.0;
      if (!dense::cholesky_lower(b, workspace_)) return false;
      log_determinant_ += 2.0 * b.diagonal().array().log().sum();
      half_ = std::sqrt(v0_) * root_;
      dense::solve_lower(b, half_, workspace_);
      spread_ = half_ * shrink_.asDiagonal();
      variance_ += spread_.colwise().squaredNorm().transpose();
    }
    remainder_ = 1.0 - tau_.cwiseProduct(variance_).array();
    return std::isfinite(log_determinant_) && variance_.allFinite();
  }

  void make_kernel() {
    if (kernel_.size()) return;
    kernel_ = Matrix::Zero(n_, n_);
    const Matrix c = root_.transpose();
    dense::syrk_subtract_lower(kernel_, c, workspace_);
    kernel_.triangularView<Eigen::Lower>() *= -1.0;
  }

  Vector prior_times(const Vector& x) {
    Vector out = kernel_.selfadjointView<Eigen::Lower>() * x;
    return v0_ * out + v1_ * x;
  }
  Matrix prior_products(const Matrix& x) {
    Matrix out(n_, x.cols());
    for (Index k = 0; k < x.cols(); ++k) out.col(k) = prior_times(x.col(k));
    return out;
  }
  Vector inverse_times(const Vector& x) {
    const Vector half = factor_.triangularView<Eigen::Lower>() * x;
    return factor_.triangularView<Eigen::Lower>().transpose() * half;
  }
  Matrix inverse_products(const Matrix& x) {
    Matrix out(n_, x.cols());
    for (Index k = 0; k < x.cols(); ++k) out.col(k) = inverse_times(x.col(k));
    return out;
  }
  Matrix multiply(const Matrix& a, const Matrix& x) {
    if (x.cols() <= 2) return a * x;
    Matrix out = Matrix::Zero(n_, x.cols());
    dense::gemm_add(out, 1.0, a, false, x, false, workspace_);
    return out;
  }

  Matrix root_;  // C', r x n
  Index n_, rank_;
  Vector diagonal_;
  double unit_ = 1.0, v0_ = 0.0, v1_ = 0.0;
  bool prefer_full_ = false, dense_products_ = false;
  bool full_ = false, rank_used_ = false, has_products_ = false;
  Vector tau_, variance_, remainder_;
  double log_determinant_ = 0.0;
  Matrix kernel_;  // K, lower triangle; the full form only
  // The full form: L^-1 of B = L L', and tau^1/2.
  Matrix factor_;
  Vector root_tau_;
  // The low-rank form: A; L^-1 v0^1/2 C'; the same times A.
  Vector shrink_;
  Matrix half_, spread_;
  Matrix covariance_, squares_;  // S and S o S, where products are dense
  dense::Workspace workspace_;
};

}  // namespace partialpool

#endif
