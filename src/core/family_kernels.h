#ifndef PARTIALPOOL_FAMILY_KERNELS_H
#define PARTIALPOOL_FAMILY_KERNELS_H

#include <algorithm>
#include <memory>
#include <vector>

#include "family_rows.h"
#include "row_kernels.h"
#include "tilted_pack.h"

namespace partialpool {

// A RowFamily whose sums run through kernels: those with the commonest link and a single phi.
// Kernels<order, weighted, joined>: order 0 gives the value, 1 also s and W, 2 also W_eta and the
// derivatives by log phi; joined kernels need no log density of each row.
template <class D, template <int, bool, bool> class Kernels>
class KernelFamily : public RowFamily<D> {
  using Base = RowFamily<D>;

 public:
  KernelFamily(const ResponseRows& rows, Link link) : Base(rows, link, false) {
    y_.resize(rows.n);
    for (Eigen::Index i = 0; i < rows.n; ++i)
      weighted_ = weighted_ || this->weight(i) != 1.0 || !D::unit(this->rows_[i]);
    if (weighted_) {
      other_.resize(rows.n);
      weight_.resize(rows.n);
    }
    for (Eigen::Index i = 0; i < rows.n; ++i) {
      double other = 0.0;
      D::kernel_input(this->rows_[i], this->weight(i), y_[i], other);
      if (!weighted_) continue;
      other_[i] = other;
      weight_[i] = this->weight(i);
    }
    if (!this->free_.empty()) parameters_changed();
  }

  double value(const double* eta, double* l = nullptr) const override {
    if (!single_phi()) return Base::value(eta, l);
    rows::Rows at = input(eta);
    at.l = l;
    const double out = finish(run<0>(at));
    if (l) add_constants(l);
    return out;
  }

  double score(const double* eta, double* s, double* w) const override {
    if (!single_phi()) return Base::score(eta, s, w);
    rows::Rows at = input(eta);
    at.s = s;
    at.w = w;
    return finish(run<1>(at));
  }

  double derivatives(const double* eta, RowDerivatives& out) const override {
    if (!single_phi()) return Base::derivatives(eta, out);
    this->resize(out);
    rows::Rows at = input(eta);
    at.s = out.s.data();
    at.w = out.w.data();
    at.w_eta = out.w_eta.data();
    at.l_k = out.dispersion.l.data();
    at.s_k = out.dispersion.s.data();
    at.w_k = out.dispersion.w.data();
    const double sum = run<2>(at);
    if (D::dispersion)
      for (Eigen::Index i = 0; i < this->n_; ++i)
        at.l_k[i] += this->weight(i) * this->free_[i].dispersion;
    return finish(sum);
  }

  // Of one row the numbers are repeated, so that the kernels take its values of eta as rows.
  void row_values(Eigen::Index i, const double* eta, Eigen::Index n, double* l) const override {
    repeated<0>(i, eta, n, l, nullptr, nullptr);
  }
  void row_scores(Eigen::Index i, const double* eta, Eigen::Index n, double* l, double* s,
                  double* w) const override {
    repeated<1>(i, eta, n, l, s, w);
  }

  bool tilted(const TiltedBatch& batch) const override {
    if (!single_phi()) return false;
    constexpr Eigen::Index block = 64;
    double y[block], other[block], weights[block], centre[block], constant[block];
    for (Eigen::Index start = 0; start < batch.n; start += block) {
      tilted_pack::Input in;
      in.batch = batch;
      in.batch.n = std::min(block, batch.n - start);
      in.batch.row += start;
      in.batch.mean += start;
      in.batch.variance += start;
      in.batch.log_z += start;
      in.batch.alpha += start;
      in.batch.gamma += start;
      in.batch.done += start;
      for (Eigen::Index k = 0; k < in.batch.n; ++k) {
        const Eigen::Index i = in.batch.row[k];
        weights[k] = this->weight(i);
        other[k] = 0.0;
        D::kernel_input(this->rows_[i], weights[k], y[k], other[k]);
        centre[k] = this->row_centre(i);
        constant[k] = weights[k] * this->free_[i].l;
      }
      in.rows = input(nullptr);
      in.rows.y = y;
      in.rows.other = other;
      in.rows.weights = weights;
      in.centre = centre;
      in.constant = constant;
      tilted_pack::run<Kernels<1, true, false>>(in);
    }
    return true;
  }

 protected:
  void parameters_changed() override {
    constant_ = 0.0;
    for (Eigen::Index i = 0; i < this->n_; ++i) constant_ += this->weight(i) * this->free_[i].l;
  }

 private:
  template <int Order>
  void repeated(Eigen::Index i, const double* eta, Eigen::Index n, double* l, double* s,
                double* w) const {
    constexpr Eigen::Index block = 64, lanes = 8;
    double x[block], y[block], other[block], weights[block], l_out[block], s_out[block],
        w_out[block];
    const double weight = this->weight(i), constant = weight * this->free_[i].l;
    double y_i = 0.0, other_i = 0.0;
    D::kernel_input(this->rows_[i], weight, y_i, other_i);
    rows::Rows at;
    at.eta = x;
    at.y = y;
    at.other = other;
    at.weights = weights;
    at.l = l_out;
    at.s = s_out;
    at.w = w_out;
    at.log_phi = this->log_phi(i);
    at.phi = D::dispersion ? std::exp(at.log_phi) : 1.0;
    const Eigen::Index used = std::min(block, (n + lanes - 1) / lanes * lanes);
    std::fill(y, y + used, y_i);
    std::fill(other, other + used, other_i);
    std::fill(weights, weights + used, weight);
    for (Eigen::Index start = 0; start < n; start += block) {
      const Eigen::Index count = std::min(block, n - start);
      at.n = (count + lanes - 1) / lanes * lanes;
      std::copy(eta + start, eta + start + count, x);
      std::fill(x + count, x + at.n, x[0]);
      rows::sum<Kernels<Order, true, false>>(at);
      for (Eigen::Index k = 0; k < count; ++k) {
        const double value = weight == 0.0 ? 0.0 : l_out[k] + constant;
        const bool finite = std::isfinite(value);
        l[start + k] = finite ? value : -special::infinity;
        if (Order == 0) continue;
        s[start + k] = finite ? s_out[k] : 0.0;
        w[start + k] = finite ? w_out[k] : 0.0;
      }
    }
  }

  bool single_phi() const { return this->log_phi_.size() <= 1; }

  rows::Rows input(const double* eta) const {
    rows::Rows at;
    at.n = this->n_;
    at.eta = eta;
    at.y = y_.data();
    at.other = other_.data();
    at.weights = weight_.data();
    at.log_phi = this->n_ > 0 ? this->log_phi(0) : 0.0;
    at.phi = std::exp(at.log_phi);
    return at;
  }

  template <int Order>
  double run(const rows::Rows& at) const {
    if (weighted_) return rows::sum<Kernels<Order, true, false>>(at);
    if (at.l) return rows::sum<Kernels<Order, false, false>>(at);
    return rows::sum<Kernels<Order, false, true>>(at);
  }

  double finish(double sum) const {
    const double out = sum + constant_;
    return std::isfinite(out) ? out : -special::infinity;
  }

  void add_constants(double* l) const {
    for (Eigen::Index i = 0; i < this->n_; ++i) {
      l[i] += this->weight(i) * this->free_[i].l;
      if (!std::isfinite(l[i])) l[i] = -special::infinity;
    }
  }

  bool weighted_ = false;
  std::vector<double> y_, other_, weight_;
  double constant_ = 0.0;  // of the sum
};

}  // namespace partialpool

#endif
