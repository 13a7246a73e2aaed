#ifndef PARTIALPOOL_GAUSSIAN_MODEL_H
#define PARTIALPOOL_GAUSSIAN_MODEL_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "mivque.h"
#include "newton.h"
#include "profiled.h"
#include "standardise.h"
#include "terms.h"
#include "theta_map.h"

namespace partialpool {

// A Gaussian mixed model from rows to criterion, and the way back from the standardised
// coordinates of the computation to the user's.
class GaussianModel {
 public:
  GaussianModel(ModelData data, bool reml, Storage storage = Storage::automatic)
      : data_(std::move(data)), terms_(amalgamate(data_)) {
    sort_levels(data_, terms_);
    standard_ = std::make_unique<Standardisation>(data_);
    if (!standard_->aliased_z().empty()) return;  // the caller drops the columns and starts again
    a_ = std::make_unique<CrossProducts>(terms_, standard_->columns() + 1);
    for_each_row_block([&](const RowBlock& b) { a_->add(b, data_.factors); });
    a_->finish(false);
    profiled_ = std::make_unique<Profiled>(data_, *a_, reml, storage);
  }
  GaussianModel(const GaussianModel&) = delete;
  GaussianModel& operator=(const GaussianModel&) = delete;

  const ModelData& data() const { return data_; }
  const std::vector<Term>& terms() const { return terms_; }
  const Standardisation& standard() const { return *standard_; }
  Profiled& profiled() { return *profiled_; }
  BlockCholesky& factor() { return profiled_->factor(); }
  ThetaMap map() const { return ThetaMap(data_, terms_, *standard_); }
  bool ready() const { return profiled_ != nullptr; }

  // Constant that turns the standardised criterion into the user's.
  double criterion_shift() const {
    double shift = 2.0 * profiled_->nu() * standard_->log_scale() - standard_->sum_log_weights();
    if (profiled_->reml()) shift += 2.0 * standard_->log_det_x();
    return shift;
  }
  double value(const Eigen::VectorXd& x) { return profiled_->value(x) + criterion_shift(); }
  Eigen::VectorXd start() const { return mivque_start(data_, *a_); }
  // The best optimum found; the model is left evaluated there.
  Optimum optimise(const Eigen::VectorXd& start, const NewtonControl& control) {
    if (standard_->relative_residual() < 1e-13) {
      Optimum exact;
      exact.status = "exact";
      return exact;
    }
    Optimum best = search(start, control);
    // Without residual variance the criterion falls without end, and what is left of r^2 on the way
    // is the penalty on u, or rounding, but no residuals.
    if (std::isfinite(best.value) && profiled_->sigma2() < 1e-8 &&
        residual_squares() < 1e-6 * profiled_->factor().r2())
      best.status = "no variance";
    return best;
  }

  // The criterion may have several minima, one of them on the boundary: an optimum that is singular
  // or was not reached, and any with a correlation parameter, is compared with those reached from
  // other starts. The model is left evaluated at the best.
  Optimum search(const Eigen::VectorXd& start, const NewtonControl& control) {
    Optimum best = newton(*profiled_, start, control);
    bool correlated = false;
    for (const UserTerm& t : data_.terms) correlated = correlated || t.block.correlated();
    const bool failed = best.status != "converged";
    if (best.status == "no variance" || start.size() == 0) return best;
    if (!failed && best.null_sets.empty() && !correlated) return best;
    std::vector<Eigen::VectorXd> others = {map().unit_start(0.5)};
    if (correlated) others.push_back(map().unit_start(-0.5));
    if (failed && this->start() != start) others.push_back(this->start());
    for (const Eigen::VectorXd& other : others) {
      const Optimum candidate = newton(*profiled_, other, control);
      const double gain = best.value - candidate.value;
      const double tie =
          std::isfinite(best.value) ? 1e-9 * (1.0 + 1e-3 * std::fabs(best.value)) : 0.0;
      const bool finishes = best.status != "converged" && candidate.status == "converged";
      if (!std::isfinite(candidate.value)) continue;
      if (!std::isfinite(best.value) || gain > tie || (finishes && gain > -tie)) best = candidate;
    }
    profiled_->value(best.x);
    return best;
  }

  // Weighted sum of squared residuals at the solution, added up over the rows.
  double residual_squares() {
    const Solution& s = profiled_->solution();
    const int p = standard_->columns();
    std::vector<Eigen::MatrixXd> b;
    Eigen::MatrixXd buffer;
    double sum = 0.0;
    for (std::size_t t = 0; t < terms_.size(); ++t)
      b.push_back(loaded(terms_[t], profiled_->factor().lambda()[t] * s.u[t], buffer));
    for_each_row_block([&](const RowBlock& block) {
      Eigen::VectorXd e = block.xy.col(p) - block.xy.leftCols(p) * s.beta;
      for (std::size_t t = 0; t < terms_.size(); ++t)
        map().for_each_member(t, [&](int user, int start, int size) {
          for (Eigen::Index i = 0; i < block.rows; ++i) {
            const int level = data_.factors[terms_[t].factor].level(block.first + i);
            e[i] -= block.z[user].row(i).dot(b[t].col(level).segment(start, size));
          }
        });
      sum += e.squaredNorm();
    });
    return sum;
  }

  // Derivative of the criterion by theta.
  Eigen::VectorXd theta_gradient(const Eigen::VectorXd& theta) {
    const Eigen::VectorXd x = map().parameters(theta);
    if (!std::isfinite(profiled_->value(x)))  // there is no factor to differentiate
      return Eigen::VectorXd::Constant(theta.size(), std::numeric_limits<double>::quiet_NaN());
    const std::vector<Eigen::MatrixXd> g = profiled_->lambda_gradient();
    return map().theta_gradient(x, g, profiled_->gradient(g));
  }

  double sigma() { return standard_->scale() * std::sqrt(profiled_->sigma2()); }
  Eigen::VectorXd beta() { return standard_->beta(profiled_->solution().beta); }
  // (X'V^-1 X)^-1, so that vcov(beta) = sigma^2 times it. X is in the user's coordinates.
  Eigen::MatrixXd vcov_unscaled() const {
    const int p = standard_->columns();
    const Eigen::MatrixXd root = profiled_->factor()
                                     .border_factor()
                                     .topLeftCorner(p, p)
                                     .triangularView<Eigen::Lower>()
                                     .solve(Eigen::MatrixXd(standard_->beta_map().transpose()));
    return root.transpose() * root;
  }
  // Conditional modes b of each user term, p x J, levels in the user's order.
  std::vector<Eigen::MatrixXd> modes() {
    const Solution& s = profiled_->solution();
    std::vector<Eigen::MatrixXd> b;
    for (std::size_t t = 0; t < terms_.size(); ++t)
      b.push_back(standard_->scale() * (profiled_->factor().lambda()[t] * s.u[t]));
    return map().modes_to_user(b);
  }

  // A new response on the same rows, X, weights and offset.
  void replace_response(const double* y) {
    data_.y = y;
    standard_->refresh_response();
    a_->clear_response();
    for_each_row_block([&](const RowBlock& b) { a_->add_response(b, data_.factors); });
  }

 private:
  template <class F>
  void for_each_row_block(F&& f) const {
    RowBlock block;
    for (Eigen::Index i0 = 0; i0 < data_.n; i0 += StreamingQr::block_rows) {
      block.first = i0;
      block.rows = std::min(StreamingQr::block_rows, data_.n - i0);
      standard_->rows(i0, block.rows, block.xy, block.z);
      f(block);
    }
  }

  ModelData data_;
  std::vector<Term> terms_;
  std::unique_ptr<Standardisation> standard_;
  std::unique_ptr<CrossProducts> a_;
  std::unique_ptr<Profiled> profiled_;
};

}  // namespace partialpool

#endif
