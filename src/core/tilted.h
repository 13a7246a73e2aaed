#ifndef PARTIALPOOL_TILTED_H
#define PARTIALPOOL_TILTED_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "family.h"
#include "special.h"
#include "tilted_logit.h"
#include "tilted_pack.h"
#include "tilted_row.h"

namespace partialpool {

// The moments that expectation propagation matches, one row each: those of p(y | eta) times a
// normal density of eta, the cavity.
class TiltedMoments {
 public:
  TiltedMoments(const Family& family, Eigen::Index n) : family_(family), n_(n), rule_(family) {}

  // For each row log Z = log of the integral of p(y | eta) N(eta; mean, variance), with all
  // constants and prior weights, alpha = dlog Z/dmean, gamma = -dalpha/dmean. A variance may be
  // zero: log Z = l, alpha = l', gamma = -l''. False: there are no finite moments in row().
  bool compute(const double* mean, const double* variance, double* log_z, double* alpha,
               double* gamma) {
    find_forms();
    bernoulli_.clear();
    others_.clear();
    row_ = n_;
    for (Eigen::Index i = 0; i < n_; ++i) {
      const RowForm& form = forms_[i];
      TiltedValues out;
      if (!std::isfinite(mean[i]) || !(variance[i] >= 0.0) || !std::isfinite(variance[i])) {
        row_ = i;
        return false;
      }
      if (is_bernoulli(form) && variance[i] <= tilted_logit::largest_variance &&
          std::fabs(mean[i]) <= tilted_logit::largest_mean) {
        bernoulli_.push_back(i);
      } else if (form.kind == RowForm::probit) {
        probit(form, mean[i], variance[i], out);
        store(i, out, log_z, alpha, gamma);
      } else if (form.kind == RowForm::gaussian) {
        gaussian(form, mean[i], variance[i], out);
        store(i, out, log_z, alpha, gamma);
      } else {
        others_.push_back(i);
      }
    }
    bernoulli(mean, variance, log_z, alpha, gamma);
    others(mean, variance, log_z, alpha, gamma);
    return row_ == n_;
  }

  // The first row without finite moments, after compute() was false.
  Eigen::Index row() const { return row_; }

  // Means of dl/dlog phi, dl/dlogit pi and dl/dshape of each row over the tilted density; empty
  // where the family has none. NaN in a row without moments.
  void expectations(const double* mean, const double* variance, Eigen::VectorXd& dispersion,
                    Eigen::VectorXd& zero_inflation, Eigen::VectorXd& shape) {
    dispersion.resize(family_.has_dispersion() ? n_ : 0);
    zero_inflation.resize(family_.has_zero_inflation() ? n_ : 0);
    shape.resize(family_.has_shape() ? n_ : 0);
    if (!dispersion.size() && !zero_inflation.size() && !shape.size()) return;
    Eigen::VectorXd extra[3];
    Eigen::VectorXd* means[3] = {&dispersion, &zero_inflation, &shape};
    for (Eigen::Index i = 0; i < n_; ++i) {
      TiltedValues out;
      const bool good = rule_.compute(i, mean[i], variance[i], out);
      const std::vector<double>&eta = rule_.eta(), &weights = rule_.weights();
      const Eigen::Index count = good ? static_cast<Eigen::Index>(eta.size()) : 0;
      double* pointers[3];
      for (int k = 0; k < 3; ++k) {
        if (means[k]->size()) extra[k].resize(count);
        pointers[k] = means[k]->size() ? extra[k].data() : nullptr;
      }
      family_.row_extras(i, eta.data(), count, pointers[0], pointers[1], pointers[2]);
      for (int k = 0; k < 3; ++k) {
        if (!means[k]->size()) continue;
        double sum = good ? 0.0 : std::numeric_limits<double>::quiet_NaN();
        for (Eigen::Index j = 0; j < count; ++j)
          if (weights[j] > 0.0) sum += weights[j] * extra[k][j];
        (*means[k])[i] = sum;
      }
    }
  }

 private:
  static bool is_bernoulli(const RowForm& form) {
    return form.kind == RowForm::logit && form.a + form.b == 1.0 && form.a * form.b == 0.0;
  }

  // Those without dispersion do not change.
  void find_forms() {
    if (!forms_.empty() && !family_.has_dispersion()) return;
    forms_.resize(n_);
    for (Eigen::Index i = 0; i < n_; ++i) forms_[i] = family_.row_form(i);
  }

  static void probit(const RowForm& form, double mean, double variance, TiltedValues& out) {
    const double sign = form.a > form.b ? 1.0 : -1.0, scale = 1.0 / std::sqrt(1.0 + variance);
    const auto f = special::LogNormalCdf().at<2>(sign * mean * scale);
    out.log_z = f[0] + form.constant;
    out.alpha = sign * f[1] * scale;
    out.gamma = -f[2] * (scale * scale);
  }

  // N(y; mean, variance + phi), and what the weighted density has beyond a normal one
  static void gaussian(const RowForm& form, double mean, double variance, TiltedValues& out) {
    const double total = form.b + variance, residual = form.a - mean;
    out.gamma = 1.0 / total;
    out.alpha = residual / total;
    out.log_z = form.constant - 0.5 * std::log1p(variance / form.b) - 0.5 * residual * out.alpha;
  }

  void store(Eigen::Index i, const TiltedValues& out, double* log_z, double* alpha, double* gamma) {
    log_z[i] = out.log_z;
    alpha[i] = out.alpha;
    gamma[i] = out.gamma;
    if (!std::isfinite(out.log_z) || !std::isfinite(out.alpha) || !std::isfinite(out.gamma))
      row_ = std::min(row_, i);
  }

  // By quadrature: many rows at a time where there is a way, the rest one by one.
  void others(const double* mean, const double* variance, double* log_z, double* alpha,
              double* gamma) {
    constexpr std::size_t block = 256;
    double m[block], v[block], z[block], a[block], g[block];
    char done[block];
    for (std::size_t start = 0; start < others_.size(); start += block) {
      const std::size_t count = std::min(block, others_.size() - start);
      for (std::size_t k = 0; k < count; ++k) {
        m[k] = mean[others_[start + k]];
        v[k] = variance[others_[start + k]];
      }
      TiltedBatch batch;
      batch.n = static_cast<Eigen::Index>(count);
      batch.row = others_.data() + start;
      batch.mean = m;
      batch.variance = v;
      batch.log_z = z;
      batch.alpha = a;
      batch.gamma = g;
      batch.done = done;
      const bool many = family_.tilted(batch);
      for (std::size_t k = 0; k < count; ++k) {
        const Eigen::Index i = others_[start + k];
        TiltedValues out;
        if (many && done[k]) {
          out.log_z = z[k];
          out.alpha = a[k];
          out.gamma = g[k];
        } else if (!rule_.compute(i, m[k], v[k], out)) {
          out.log_z = std::numeric_limits<double>::quiet_NaN();
        }
        store(i, out, log_z, alpha, gamma);
      }
    }
  }

  void bernoulli(const double* mean, const double* variance, double* log_z, double* alpha,
                 double* gamma) {
    constexpr std::size_t block = 256;
    double m[block], v[block], z[block], a[block], g[block];
    for (std::size_t start = 0; start < bernoulli_.size(); start += block) {
      const std::size_t count = std::min(block, bernoulli_.size() - start);
      for (std::size_t k = 0; k < count; ++k) {
        const Eigen::Index i = bernoulli_[start + k];
        m[k] = forms_[i].a > 0.0 ? mean[i] : -mean[i];
        v[k] = variance[i];
      }
      tilted_logit::Batch batch;
      batch.n = static_cast<Eigen::Index>(count);
      batch.mean = m;
      batch.variance = v;
      batch.log_z = z;
      batch.alpha = a;
      batch.gamma = g;
      tilted_logit::run(batch);
      for (std::size_t k = 0; k < count; ++k) {
        const Eigen::Index i = bernoulli_[start + k];
        log_z[i] = z[k] + forms_[i].constant;
        alpha[i] = forms_[i].a > 0.0 ? a[k] : -a[k];
        gamma[i] = g[k];
      }
    }
  }

  const Family& family_;
  Eigen::Index n_, row_ = 0;
  TiltedRow rule_;
  std::vector<RowForm> forms_;
  std::vector<Eigen::Index> bernoulli_, others_;
};

}  // namespace partialpool

#endif
