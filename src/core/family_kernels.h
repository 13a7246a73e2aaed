#ifndef PARTIALPOOL_FAMILY_KERNELS_H
#define PARTIALPOOL_FAMILY_KERNELS_H

#include <algorithm>
#include <memory>
#include <vector>

#include "family_rows.h"
#include "row_kernels.h"

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

 protected:
  void parameters_changed() override {
    constant_ = 0.0;
    for (Eigen::Index i = 0; i < this->n_; ++i) constant_ += this->weight(i) * this->free_[i].l;
  }

 private:
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
