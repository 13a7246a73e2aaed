#ifndef PARTIALPOOL_STANDARDISE_H
#define PARTIALPOOL_STANDARDISE_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "model_data.h"
#include "streaming_qr.h"

namespace partialpool {

// The coordinates in which everything is computed (ALGORITHMS 1.4):
//   X~ = sqrt(n) W^-1/2 Q,   y~ = (y - o - X b_ols) / s,   z~ = C^-1 z,   Lambda~ = C' Lambda.
// (This C, the root of Z'Z/n, is not that of a covariance between levels.)
// Columns are first brought near 1 by powers of two, which is exact.
class Standardisation {
 public:
  static constexpr double rank_tolerance = 1e-7;

  explicit Standardisation(const ModelData& data) : data_(data) {
    scan_weights();
    factor_fixed();
    factor_random();
  }

  int columns() const { return static_cast<int>(kept_.size()); }
  const std::vector<int>& kept() const { return kept_; }
  // (user term, column) of z that is a combination of the columns before it.
  const std::vector<std::pair<int, int>>& aliased_z() const { return aliased_z_; }
  double sum_log_weights() const { return sum_log_weights_; }
  double log_scale() const { return std::log(s_) - std::log(y_scale_); }
  double scale() const { return s_ / y_scale_; }
  // log|det T| with X = X~ T.
  double log_det_x() const { return log_det_x_; }
  // Condition number of the kept columns, centred if there is an intercept, each of unit length.
  double condition() const { return condition_; }
  // Residual norm of the response on X, relative to the norm of the response.
  double relative_residual() const { return relative_residual_; }
  // C of a user term: z = C z~.
  const Eigen::MatrixXd& z_factor(int term) const { return c_[term]; }

  // beta = beta_ols + scale * map * beta~ .
  Eigen::VectorXd beta(const Eigen::VectorXd& standard) const {
    return x_scale_.cwiseProduct(b_ + s_ * (to_standard_ * standard)) / y_scale_;
  }
  // M with d beta / d beta~ = scale() * M.
  Eigen::MatrixXd beta_map() const { return x_scale_.asDiagonal() * to_standard_; }

  // Multiplies X~ and z~ by a number: coefficients in units of it. For models without a response.
  void set_unit(double unit) {
    to_standard_ *= unit;
    log_det_x_ -= columns() * std::log(unit);
    for (Eigen::MatrixXd& z : z_to_standard_) z *= unit;
    for (Eigen::MatrixXd& c : c_) c /= unit;
  }

  // Replace the response (same X, weights, offset): only b_ols and s change.
  void refresh_response() { factor_fixed(); }

  // Rows i0 .. i0 + count of [X~ y~] and of the z~ of each user term, all times sqrt(w).
  void rows(Eigen::Index i0, Eigen::Index count, Eigen::MatrixXd& xy,
            std::vector<Eigen::MatrixXd>& z) const {
    const int p = columns();
    raw_x(i0, count, raw_);
    xy.resize(count, p + 1);
    for (Eigen::Index i = 0; i < count; ++i) xy(i, p) = data_.response(i0 + i) * y_scale_;
    if (p > 0) {
      xy.leftCols(p).noalias() = raw_ * to_standard_;
      xy.col(p).noalias() -= raw_ * b_;
    }
    xy.col(p) /= s_;
    multiply_by_root_weight(i0, count, xy);
    z.resize(data_.terms.size());
    for (std::size_t t = 0; t < data_.terms.size(); ++t) {
      Eigen::MatrixXd& zt = z[t];
      raw_z(t, i0, count, raw_);
      zt.noalias() = raw_ * z_to_standard_[t];
      multiply_by_root_weight(i0, count, zt);
    }
  }

 private:
  void scan_weights() {
    if (!data_.weights) return;
    for (Eigen::Index i = 0; i < data_.n; ++i) sum_log_weights_ += std::log(data_.weights[i]);
  }

  template <class Matrix>
  void multiply_by_root_weight(Eigen::Index i0, Eigen::Index count, Matrix&& m) const {
    if (!data_.weights) return;
    const Eigen::Map<const Eigen::VectorXd> w(data_.weights + i0, count);
    for (Eigen::Index j = 0; j < m.cols(); ++j) m.col(j).array() *= w.array().sqrt();
  }

  // Kept columns of X, scaled by powers of two.
  void raw_x(Eigen::Index i0, Eigen::Index count, Eigen::MatrixXd& out) const {
    out.resize(count, columns());
    for (int j = 0; j < columns(); ++j)
      out.col(j) = data_.x.col(kept_[j]).segment(i0, count) * x_scale_[j];
  }
  void raw_z(std::size_t term, Eigen::Index i0, Eigen::Index count, Eigen::MatrixXd& out) const {
    const UserTerm& t = data_.terms[term];
    out.resize(count, t.size());
    if (t.intercept_only())
      out.setOnes();
    else
      out = t.z.middleRows(i0, count) * z_scale_[term].asDiagonal();
  }

  void factor_fixed() {
    const Eigen::Index n = data_.n, p = data_.x.cols();
    Eigen::VectorXd scale(p);
    for (Eigen::Index j = 0; j < p; ++j)
      scale[j] = n > 0 ? binary_scale(data_.x.col(j).cwiseAbs().maxCoeff()) : 1.0;
    double y_max = 0.0;
    for (Eigen::Index i = 0; i < n; ++i) y_max = std::max(y_max, std::fabs(data_.response(i)));
    y_scale_ = binary_scale(y_max);

    StreamingQr qr(p + 1);
    for (Eigen::Index i0 = 0; i0 < n; i0 += StreamingQr::block_rows) {
      const Eigen::Index count = std::min(StreamingQr::block_rows, n - i0);
      auto buffer = qr.buffer();
      for (Eigen::Index j = 0; j < p; ++j)
        buffer.col(j).head(count) = data_.x.col(j).segment(i0, count) * scale[j];
      for (Eigen::Index i = 0; i < count; ++i) buffer(i, p) = data_.response(i0 + i) * y_scale_;
      multiply_by_root_weight(i0, count, buffer.topRows(count));
      qr.add(count);
    }
    const Eigen::MatrixXd r = qr.r();
    kept_ = independent_columns(r.leftCols(p), rank_tolerance);
    const int k = columns();
    x_scale_.resize(k);
    std::vector<int> with_response = kept_;
    with_response.push_back(static_cast<int>(p));
    for (int j = 0; j < k; ++j) x_scale_[j] = scale[kept_[j]];
    const Eigen::MatrixXd u = upper_factor(r, with_response);  // [R Q'y; 0 |residual|]
    const auto triangle = u.topLeftCorner(k, k).triangularView<Eigen::Upper>();
    b_ = triangle.solve(u.col(k).head(k));
    s_ = std::fabs(u(k, k)) / std::sqrt(static_cast<double>(n));
    relative_residual_ = u.col(k).norm() > 0.0 ? std::fabs(u(k, k)) / u.col(k).norm() : 0.0;
    if (!(s_ > 0.0)) s_ = 1.0;  // an exact fit: the caller looks at it
    to_standard_ = std::sqrt(static_cast<double>(n)) *
                   Eigen::MatrixXd(triangle.solve(Eigen::MatrixXd::Identity(k, k)));
    log_det_x_ = u.diagonal().head(k).array().log().sum() - x_scale_.array().log().sum() -
                 0.5 * k * std::log(static_cast<double>(n));
    const int first = k > 0 && constant(kept_[0]) ? 1 : 0;
    condition_ = 1.0;
    if (k > first) {
      const Eigen::MatrixXd centred = u.block(first, first, k - first, k - first);
      const Eigen::MatrixXd unit = centred * centred.colwise().norm().cwiseInverse().asDiagonal();
      const Eigen::VectorXd sv = Eigen::JacobiSVD<Eigen::MatrixXd>(unit).singularValues();
      condition_ = sv[0] / sv[k - first - 1];
    }
  }

  bool constant(int column) const {
    return (data_.x.col(column).array() == data_.x(0, column)).all();
  }

  void factor_random() {
    const std::size_t terms = data_.terms.size();
    z_scale_.resize(terms);
    z_to_standard_.resize(terms);
    c_.resize(terms);
    for (std::size_t t = 0; t < terms; ++t) {
      const UserTerm& term = data_.terms[t];
      const int p = term.size();
      z_scale_[t] = Eigen::VectorXd::Ones(p);
      if (!term.intercept_only())
        for (int j = 0; j < p; ++j)
          z_scale_[t][j] = binary_scale(term.z.col(j).cwiseAbs().maxCoeff());
      const Eigen::MatrixXd r = z_triangle(t);
      // With a loading the size of a row's part of the model is that of z times that of C.
      Eigen::MatrixXd u = mean_loading(term.factor) * scale_matrix(static_cast<int>(t), r);
      z_to_standard_[t] = u.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(p, p));
      c_[t] = z_scale_[t].cwiseInverse().asDiagonal() * u.transpose();
    }
  }

  // Root of the mean over the rows of the variance that K gives their level.
  double mean_loading(int factor) const {
    const GroupingFactor& g = data_.factors[factor];
    if (!g.loading) return 1.0;
    const Eigen::VectorXd variance = g.loading.matrix().rowwise().squaredNorm();
    double sum = 0.0;
    for (Eigen::Index i = 0; i < data_.n; ++i) sum += variance[g.level(i)];
    const double mean = std::sqrt(sum / static_cast<double>(data_.n));
    return mean > 0.0 && std::isfinite(mean) ? mean : 1.0;
  }

  // R of the weighted z columns over sqrt(n).
  Eigen::MatrixXd z_triangle(std::size_t term) {
    const int p = data_.terms[term].size();
    const Eigen::Index n = data_.n;
    const double root_n = std::sqrt(static_cast<double>(n));
    if (data_.terms[term].intercept_only()) {
      double sum = static_cast<double>(n);
      if (data_.weights) sum = Eigen::Map<const Eigen::VectorXd>(data_.weights, n).sum();
      return Eigen::MatrixXd::Constant(1, 1, std::sqrt(sum) / root_n);
    }
    StreamingQr qr(p);
    for (Eigen::Index i0 = 0; i0 < n; i0 += StreamingQr::block_rows) {
      const Eigen::Index count = std::min(StreamingQr::block_rows, n - i0);
      raw_z(term, i0, count, raw_);
      multiply_by_root_weight(i0, count, raw_);
      qr.buffer().topRows(count) = raw_;
      qr.add(count);
    }
    return qr.r() / root_n;
  }

  // The upper triangular U with z (scaled) = z~ U, as the structure allows; notes aliased columns.
  Eigen::MatrixXd scale_matrix(int term, const Eigen::MatrixXd& r) {
    const CovarianceBlock& block = data_.terms[term].block;
    const int p = block.size();
    const Eigen::VectorXd norms = r.colwise().norm();
    if (block.structure() == Structure::unstructured) {
      const std::vector<int> kept = independent_columns(r, rank_tolerance);
      if (static_cast<int>(kept.size()) == p) return upper_factor(r, kept);
      for (int j = 0; j < p; ++j)
        if (!std::binary_search(kept.begin(), kept.end(), j)) aliased_z_.push_back({term, j});
      return Eigen::MatrixXd::Identity(p, p);
    }
    Eigen::VectorXd d = norms;
    if (block.homogeneous()) {
      // The user's columns share one variance: undo the powers of two before taking the mean.
      const double common = std::sqrt(norms.cwiseQuotient(z_scale_[term]).squaredNorm() / p);
      d = (common > 0.0 ? common : 1.0) * z_scale_[term];
    } else {
      for (int j = 0; j < p; ++j) {
        if (d[j] > 0.0) continue;
        d[j] = 1.0;
        if (block.structure() == Structure::diagonal) aliased_z_.push_back({term, j});
      }
    }
    return d.asDiagonal();
  }

  const ModelData& data_;
  std::vector<int> kept_;
  std::vector<std::pair<int, int>> aliased_z_;
  Eigen::VectorXd x_scale_, b_;
  Eigen::MatrixXd to_standard_;
  std::vector<Eigen::VectorXd> z_scale_;
  std::vector<Eigen::MatrixXd> z_to_standard_, c_;
  double y_scale_ = 1, s_ = 1, sum_log_weights_ = 0, log_det_x_ = 0, condition_ = 1,
         relative_residual_ = 1;
  mutable Eigen::MatrixXd raw_;
};

}  // namespace partialpool

#endif
