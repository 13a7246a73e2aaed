// Small data of generalised mixed models, and the engine's questions asked of them.
#ifndef PARTIALPOOL_TEST_GLMM_DATA_H
#define PARTIALPOOL_TEST_GLMM_DATA_H

#include <Eigen/Dense>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "families.h"
#include "glmm_model.h"

namespace pp = partialpool;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

std::unique_ptr<pp::Family> pp::make_family(const std::string& name, const std::string& link,
                                            const pp::ResponseRows& rows, bool zero_inflated) {
  return family_named(name, link, rows, zero_inflated);
}

namespace {

constexpr unsigned seed = 20261121;
std::mt19937_64 generator(seed);
double uniform() {
  return static_cast<double>(generator() >> 11) / 9007199254740992.0;
}
double normal() {
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

// ---- Data: an intercept, a covariate, up to two factors

struct Term {
  int factor;
  bool slope;
  pp::Structure structure;
};

struct Data {
  std::string name, family, link;
  MatrixXd x, slope;  // slope: (1, x)
  VectorXd y, trials, offset;
  std::vector<std::vector<int>> codes;
  std::vector<int> levels;
  std::vector<Term> terms;

  Index n() const { return x.rows(); }
  int columns(const Term& t) const { return t.slope ? 2 : 1; }

  pp::GlmmRows rows() const {
    pp::ModelData d;
    d.n = n();
    new (&d.x) Eigen::Map<const MatrixXd>(x.data(), x.rows(), x.cols());
    for (std::size_t f = 0; f < codes.size(); ++f) {
      pp::GroupingFactor g;
      g.codes = codes[f].data();
      g.levels = levels[f];
      d.factors.push_back(g);
    }
    for (const Term& t : terms) {
      pp::UserTerm user;
      user.factor = t.factor;
      if (t.slope) new (&user.z) Eigen::Map<const MatrixXd>(slope.data(), n(), 2);
      user.block = pp::CovarianceBlock(t.structure, false, columns(t));
      d.terms.push_back(user);
    }
    pp::GlmmRows out{d};
    out.y = y.data();
    if (trials.size() > 0) out.trials = trials.data();
    if (offset.size() > 0) out.offset = offset.data();
    out.x_dispersion = MatrixXd::Ones(n(), 1);
    out.x_zero_inflation = MatrixXd(n(), 0);
    return out;
  }
};

Data make_data(const std::string& family, const std::string& link, int n,
               const std::vector<int>& levels, const std::vector<Term>& terms) {
  Data d;
  d.family = family;
  d.link = link;
  d.name = family + " " + link + " " + std::to_string(terms.size()) + " terms: ";
  d.levels = levels;
  d.terms = terms;
  d.x.resize(n, 2);
  d.slope.resize(n, 2);
  d.y.resize(n);
  d.offset = VectorXd::Zero(n);
  std::vector<VectorXd> effects;
  for (const int l : levels) {
    d.codes.emplace_back(n);
    VectorXd e(l);
    for (int j = 0; j < l; ++j) e[j] = 0.5 * normal();
    effects.push_back(e);
  }
  if (family == "binomial") d.trials.resize(n);
  for (int i = 0; i < n; ++i) {
    d.x(i, 0) = 1.0;
    d.x(i, 1) = 0.3 + normal();
    d.slope.row(i) = d.x.row(i);
    d.offset[i] = 0.1 * normal();
    double eta = 0.2 + 0.3 * d.x(i, 1) + d.offset[i];
    for (std::size_t f = 0; f < levels.size(); ++f) {
      const int level = i < levels[f] ? i : static_cast<int>(uniform() * levels[f]);
      d.codes[f][i] = level + 1;
      eta += effects[f][level];
    }
    if (family == "binomial") {
      d.trials[i] = 1 + static_cast<int>(3 * uniform());
      int successes = 0;
      for (int k = 0; k < d.trials[i]; ++k) successes += uniform() < 1.0 / (1.0 + std::exp(-eta));
      d.y[i] = successes / d.trials[i];
    } else if (family == "Gamma") {
      d.y[i] = std::exp(eta + 0.5 * normal());
    } else {
      int count = 0;
      for (double t = -std::log(uniform()); t < std::exp(eta); t -= std::log(uniform())) ++count;
      d.y[i] = count;
    }
  }
  return d;
}

pp::GlmmSpec spec_of(const Data& d, int nodes = 1, bool reml = false) {
  pp::GlmmSpec spec;
  spec.family = d.family;
  spec.link = d.link;
  spec.integral.nodes = nodes;
  spec.integral.reml = spec.integral.inner_beta = reml;
  return spec;
}

// Z Lambda, dense.
MatrixXd dense_zl(const Data& d, const VectorXd& theta) {
  MatrixXd z(d.n(), 0);
  Index at = 0;
  for (const Term& t : d.terms) {
    const int p = d.columns(t), levels = d.levels[t.factor];
    MatrixXd lambda = MatrixXd::Zero(p, p);
    if (t.structure == pp::Structure::unstructured) {
      for (int c = 0; c < p; ++c)
        for (int r = c; r < p; ++r) lambda(r, c) = theta[at++];
    } else {
      for (int c = 0; c < p; ++c) lambda(c, c) = theta[at++];
    }
    MatrixXd zt = MatrixXd::Zero(d.n(), p * levels);
    for (Index i = 0; i < d.n(); ++i)
      zt.row(i).segment(p * (d.codes[t.factor][i] - 1), p) = d.slope.row(i).head(p) * lambda;
    z.conservativeResize(Eigen::NoChange, z.cols() + zt.cols());
    z.rightCols(zt.cols()) = zt;
  }
  return z;
}

VectorXd parameters_for(const Data& d, bool reml) {
  std::vector<double> par;
  for (const Term& t : d.terms) {
    par.push_back(0.7);
    if (!t.slope) continue;
    if (t.structure == pp::Structure::unstructured) par.push_back(-0.2);
    par.push_back(0.4);
  }
  if (!reml) {
    par.push_back(0.1);
    par.push_back(0.25);
  }
  if (d.family == "Gamma" || d.family == "nbinom2") par.push_back(0.3);
  return Eigen::Map<VectorXd>(par.data(), static_cast<Index>(par.size()));
}

VectorXd numerical_gradient(pp::GlmmModel& model, const VectorXd& par) {
  VectorXd g(par.size());
  for (Index i = 0; i < par.size(); ++i) {
    const auto at = [&](double h) {
      VectorXd shifted = par;
      shifted[i] += h;
      return model.value(shifted);
    };
    const double h = 4e-3;  // fourth order
    g[i] = (8.0 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12.0 * h);
  }
  return g;
}

const pp::Structure us = pp::Structure::unstructured, diag = pp::Structure::diagonal;

}  // namespace

#endif
