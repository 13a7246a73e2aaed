#ifndef PARTIALPOOL_TESTS_KERNEL_TERMS_TESTS_H
#define PARTIALPOOL_TESTS_KERNEL_TERMS_TESTS_H

// Terms whose levels are correlated, against dense covariance matrices.

#include <Eigen/Dense>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "conditional.h"
#include "gaussian_model.h"

namespace pp = partialpool;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace kernel_terms_tests {
namespace {

std::mt19937_64 generator(7);

double uniform() {
  return static_cast<double>(generator() >> 11) / 9007199254740992.0;
}
MatrixXd normals(Index rows, Index columns) {
  MatrixXd m(rows, columns);
  for (Index j = 0; j < columns; ++j)
    for (Index i = 0; i < rows; ++i) {
      double sum = -6.0;
      for (int k = 0; k < 12; ++k) sum += uniform();
      m(i, j) = sum;
    }
  return m;
}

struct Group {
  std::vector<int> codes;
  int levels;
  MatrixXd loading;  // no rows: independent levels
  MatrixXd z;        // no columns: an intercept
  int p() const { return z.cols() > 0 ? static_cast<int>(z.cols()) : 1; }
};

struct Case {
  MatrixXd x;
  VectorXd y, weights;
  std::vector<Group> groups;

  Case(Index n, std::initializer_list<Group> with) : groups(with) {
    x = normals(n, 2);
    x.col(0).setOnes();
    y = normals(n, 1);
    weights = (0.5 + normals(n, 1).array().abs()).matrix();
    for (Group& g : groups) {
      g.codes.resize(n);
      for (Index i = 0; i < n; ++i)
        g.codes[i] =
            1 + (i < g.levels ? static_cast<int>(i) : static_cast<int>(uniform() * g.levels));
      if (g.z.cols() > 0) {
        g.z = normals(n, g.z.cols());
        g.z.col(0).setOnes();
      }
    }
  }

  pp::ModelData data() const {
    pp::ModelData d;
    d.n = x.rows();
    new (&d.x) Eigen::Map<const MatrixXd>(x.data(), x.rows(), x.cols());
    d.y = y.data();
    d.weights = weights.data();
    for (const Group& g : groups) {
      pp::GroupingFactor factor;
      factor.codes = g.codes.data();
      factor.levels = g.levels;
      if (g.loading.rows() > 0)
        factor.loading = {g.loading.data(), g.levels, static_cast<int>(g.loading.cols())};
      pp::UserTerm term;
      term.factor = static_cast<int>(d.factors.size());
      if (g.z.cols() > 0) new (&term.z) Eigen::Map<const MatrixXd>(g.z.data(), d.n, g.z.cols());
      term.block = pp::CovarianceBlock(pp::Structure::unstructured, false, g.p());
      d.factors.push_back(factor);
      d.terms.push_back(term);
    }
    return d;
  }

  // Z_g (C x I), n x (p r), the columns of an independent effect side by side.
  MatrixXd columns(const Group& g) const {
    const MatrixXd c = g.loading.rows() > 0 ? g.loading : MatrixXd::Identity(g.levels, g.levels);
    const int p = g.p();
    MatrixXd out(x.rows(), p * c.cols());
    for (Index i = 0; i < x.rows(); ++i)
      for (Index k = 0; k < c.cols(); ++k)
        for (int a = 0; a < p; ++a)
          out(i, k * p + a) = c(g.codes[i] - 1, k) * (g.z.cols() > 0 ? g.z(i, a) : 1.0);
    return out;
  }

  double criterion(const std::vector<MatrixXd>& lambda, bool reml) const {
    const Index n = x.rows();
    MatrixXd v = weights.cwiseInverse().asDiagonal();
    for (std::size_t t = 0; t < groups.size(); ++t) {
      const MatrixXd zc = columns(groups[t]);
      const int p = groups[t].p();
      for (Index k = 0; k < zc.cols(); k += p) {
        const MatrixXd zl = zc.middleCols(k, p) * lambda[t];
        v += zl * zl.transpose();
      }
    }
    const Eigen::LLT<MatrixXd> llt(v);
    const MatrixXd vx = llt.solve(x), h = x.transpose() * vx;
    const VectorXd r = y - x * h.llt().solve(vx.transpose() * y);
    const double nu = static_cast<double>(n - (reml ? x.cols() : 0)), r2 = r.dot(llt.solve(r));
    const auto log_det = [](const MatrixXd& l) { return 2.0 * l.diagonal().array().log().sum(); };
    double f = log_det(MatrixXd(llt.matrixL())) + nu * (1.0 + std::log(2.0 * M_PI * r2 / nu));
    if (reml) f += log_det(MatrixXd(h.llt().matrixL()));
    return f;
  }
};

Group plain(int levels, int p = 0) {
  return Group{{}, levels, MatrixXd(), MatrixXd(1, p)};
}
Group kernel(int levels, int rank, int p = 0) {
  return Group{{}, levels, normals(levels, rank), MatrixXd(1, p)};
}

void check_case(const char* name, const Case& c) {
  for (const bool reml : {true, false}) {
    pp::GaussianModel model(c.data(), reml);
    VectorXd theta(model.map().n_theta());
    for (Index i = 0; i < theta.size(); ++i) theta[i] = 0.3 + 0.1 * static_cast<double>(i % 4);
    std::vector<MatrixXd> lambda;
    Index at = 0;
    for (const Group& g : c.groups) {
      MatrixXd l = MatrixXd::Zero(g.p(), g.p());
      for (int k = 0; k < g.p(); ++k)
        for (int r = k; r < g.p(); ++r) l(r, k) = theta[at++];
      lambda.push_back(l);
    }
    const double value = model.value(model.map().parameters(theta));
    check::is_near(value, c.criterion(lambda, reml), 1e-10, name);
    const VectorXd gradient = model.theta_gradient(theta);
    for (Index i = 0; i < theta.size(); ++i) {
      const auto shifted = [&](double h) {
        VectorXd moved = theta;
        moved[i] += h;
        return model.value(model.map().parameters(moved));
      };
      const double h = 1e-3;
      const double slope =
          (8.0 * (shifted(h) - shifted(-h)) - (shifted(2.0 * h) - shifted(-2.0 * h))) / (12.0 * h);
      check::is_near(gradient[i], slope, 1e-7, name);
    }
    // The average information of the whole model, by its definition over the independent effects.
    const VectorXd x = model.map().parameters(theta);
    model.profiled().value(x);
    const std::vector<MatrixXd> g = model.profiled().lambda_gradient();
    check::is_true(model.profiled().hessian(g).allFinite(), name);
    pp::NewtonControl control;
    const pp::Optimum best = model.optimise(model.start(), control);
    check::is_true(best.status == "converged", name);
    const std::vector<MatrixXd> b = model.modes();
    for (std::size_t t = 0; t < c.groups.size(); ++t) {
      // b lies in the space of the loading
      if (c.groups[t].loading.rows() == 0) continue;
      const MatrixXd& l = c.groups[t].loading;
      const MatrixXd u = l.colPivHouseholderQr().solve(b[t].transpose());
      check::is_true((l * u - b[t].transpose()).norm() < 1e-8 * (1.0 + b[t].norm()), name);
    }
  }
}

}  // namespace

inline void run() {
  check_case("alone", Case(60, {kernel(12, 15)}));
  check_case("alone, slopes, singular", Case(80, {kernel(12, 7, 2)}));
  check_case("one row a level", Case(30, {kernel(30, 20)}));
  check_case("with a leading term", Case(120, {plain(20), kernel(10, 12)}));
  check_case("with leading slopes", Case(150, {kernel(10, 6, 2), plain(20, 2)}));
  check_case("three terms", Case(150, {kernel(10, 6), plain(20, 2), plain(5)}));
  check_case("two kernels", Case(150, {kernel(10, 6), kernel(7, 9, 2)}));
  check_case("two kernels and two terms",
             Case(200, {kernel(9, 6), plain(20), kernel(7, 9), plain(4, 2)}));
  // entries of the inverse one by one
  check_case("sparse", Case(70, {kernel(60, 40), plain(6)}));
  // heavy levels of the leading term
  check_case("panels", Case(1500, {plain(310), kernel(260, 30), plain(30)}));
}

}  // namespace kernel_terms_tests

#endif
