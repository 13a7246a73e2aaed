// The spectral model and that of several traits against their definitions, written out with dense
// matrices, at all points and at the ends of the interval.

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "matrix_normal.h"
#include "spectral.h"

namespace pp = partialpool;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double log_2pi = 1.8378770664093454836;
constexpr double infinity = std::numeric_limits<double>::infinity();

std::mt19937_64 generator(20240302);

double normal() {
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(generator() >> 11) / 9007199254740992.0;
  return sum;
}

MatrixXd normals(Index rows, Index columns) {
  MatrixXd m(rows, columns);
  for (Index j = 0; j < columns; ++j)
    for (Index i = 0; i < rows; ++i) m(i, j) = normal();
  return m;
}

struct Problem {
  MatrixXd k, vectors, x, y;
  VectorXd values;
};

// A kernel of rank r; centred: the constant is in its null space.
Problem problem(Index n, Index r, Index p, Index t, bool centred, double multiple = 1.0) {
  Problem out;
  MatrixXd g = normals(n, r);
  if (centred) g.rowwise() -= g.colwise().mean().eval();
  const Eigen::JacobiSVD<MatrixXd> svd(g, Eigen::ComputeThinU);
  const VectorXd s = svd.singularValues().cwiseAbs2();
  Index rank = 0;
  while (rank < s.size() && s[rank] > 1e-10 * s[0]) ++rank;
  out.values = multiple * s.head(rank) / static_cast<double>(r);
  out.vectors = svd.matrixU().leftCols(rank);
  out.k = out.vectors * out.values.asDiagonal() * out.vectors.transpose();
  out.x = normals(n, p);
  if (p > 0) out.x.col(0).setOnes();
  if (p > 2) out.x.col(2) = 1e3 * (out.x.col(2).array() + 5.0);
  out.y = normals(n, t) + g * normals(r, t) / std::sqrt(static_cast<double>(r));
  return out;
}

double log_det(const MatrixXd& m) {
  return 2.0 * Eigen::LLT<MatrixXd>(m).matrixLLT().diagonal().array().log().sum();
}

// Log-likelihood of vec(y) with mean of (I (x) X) beta; REML as the header defines it.
double dense(const VectorXd& y, const MatrixXd& x, const MatrixXd& v, const VectorXd& beta,
             bool reml) {
  const Eigen::LLT<MatrixXd> llt(v);
  const VectorXd e = y - x * beta;
  double value =
      -0.5 * (static_cast<double>(y.size()) * log_2pi + log_det(v) + e.dot(llt.solve(e)));
  if (reml && x.cols() > 0)
    value +=
        0.5 * static_cast<double>(x.cols()) * log_2pi - 0.5 * log_det(x.transpose() * llt.solve(x));
  return value;
}

MatrixXd covariance(const Problem& d, double scale, double delta) {
  const Index n = d.k.rows();
  return scale * ((1.0 - delta) * d.k + delta * MatrixXd::Identity(n, n));
}

VectorXd best_beta(const VectorXd& y, const MatrixXd& x, const MatrixXd& v) {
  if (x.cols() == 0) return VectorXd(0);
  const Eigen::LLT<MatrixXd> llt(v);
  return (x.transpose() * llt.solve(x)).llt().solve(x.transpose() * llt.solve(y));
}

MatrixXd kronecker(const MatrixXd& a, const MatrixXd& b) {
  MatrixXd out(a.rows() * b.rows(), a.cols() * b.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j)
      out.block(i * b.rows(), j * b.cols(), b.rows(), b.cols()) = a(i, j) * b;
  return out;
}

VectorXd stacked(const MatrixXd& m) {
  return Eigen::Map<const VectorXd>(m.data(), m.size());
}

// ---- One trait

void check_values(const Problem& d, bool reml, const std::string& name) {
  const pp::SpectralModel model(d.vectors, d.values, d.x, d.y.col(0), reml);
  const Index p = d.x.cols();
  check::is_true(model.full_rank(), name + ": rank");
  for (const double delta : {1e-3, 0.3, 0.99, 1.0}) {
    const double scale = 1.7;
    const MatrixXd v = covariance(d, scale, delta);
    const VectorXd beta = VectorXd::LinSpaced(p, -0.5, 0.8);
    const double expected = dense(d.y.col(0), d.x, v, beta, reml);
    check::is_near(model.joint(beta, scale, delta).log_likelihood, expected, 1e-10,
                   name + ": value at beta");

    pp::SpectralModel::Held held;
    held.scale = scale;
    const auto at = model.profile(model.internal_logit(delta), held);
    const VectorXd best = best_beta(d.y.col(0), d.x, v);
    check::is_near(-0.5 * at.value, dense(d.y.col(0), d.x, v, best, reml), 1e-10,
                   name + ": profile value");
    check::is_near(model.delta(at), delta, 1e-13, name + ": delta");
    check::is_near(model.scale(at), scale, 1e-13, name + ": scale");
    check::is_near(model.kernel_variance(at), scale * (1.0 - delta), 1e-13, name + ": v0");
    check::is_near(model.iid_variance(at), scale * delta, 1e-13, name + ": v1");
    if (p == 0) continue;
    check::is_true((model.beta(at) - best).norm() < 1e-9 * (1.0 + best.norm()), name + ": beta");
    const MatrixXd vcov = (d.x.transpose() * v.llt().solve(d.x)).inverse();
    check::is_true((model.vcov(at) - vcov).norm() < 1e-9 * vcov.norm(), name + ": vcov");
  }
}

// First and second derivatives of all criteria by logit delta, and of the joint likelihood.
void check_derivatives(const Problem& d, bool reml, const std::string& name) {
  const pp::SpectralModel model(d.vectors, d.values, d.x, d.y.col(0), reml);
  const Index p = d.x.cols();
  const double h = 1e-5;
  for (int held_beta = 0; held_beta < 2; ++held_beta) {
    for (const double scale : {-1.0, 0.8}) {
      pp::SpectralModel::Held held;
      held.beta = held_beta == 1;
      held.beta_value = VectorXd::LinSpaced(p, -0.5, 0.8) * 0.1;
      held.scale = scale;
      for (const double u : {-9.0, -1.0, 0.7, 6.0}) {
        const auto up = model.profile(u + h, held), down = model.profile(u - h, held);
        const auto at = model.profile(u, held);
        check::is_near(at.slope, (up.value - down.value) / (2.0 * h), 1e-5, name + ": slope");
        check::is_near(at.curvature, (up.slope - down.slope) / (2.0 * h), 1e-6,
                       name + ": curvature");
      }
    }
  }
  const VectorXd beta = VectorXd::LinSpaced(p, -0.5, 0.8);
  const auto joint = [&](const VectorXd& x) {
    return model.joint(x.head(p), std::exp(x[p]), 1.0 / (1.0 + std::exp(-x[p + 1])));
  };
  VectorXd x(p + 2);
  x << beta, 0.3, -0.4;
  const auto at = joint(x);
  for (Index j = 0; j < p + 2; ++j) {
    VectorXd a = x, b = x;
    a[j] += h;
    b[j] -= h;
    const auto up = joint(a), down = joint(b);
    check::is_near(at.gradient[j], (up.log_likelihood - down.log_likelihood) / (2.0 * h), 1e-5,
                   name + ": gradient");
    const VectorXd column = (up.gradient - down.gradient) / (2.0 * h);
    for (Index i = 0; i < p + 2; ++i)
      check::is_close(at.hessian(i, j), column[i],
                      1e-6 * (1.0 + std::sqrt(at.hessian(i, i) * at.hessian(j, j))),
                      name + ": hessian");
  }
}

void test_optimum(const Problem& d, bool reml, const std::string& name) {
  const pp::SpectralModel model(d.vectors, d.values, d.x, d.y.col(0), reml);
  const pp::SpectralModel::Held held;
  const auto found = model.optimise(held);
  if (!std::isfinite(found.point.value)) {
    check::is_true(found.unbounded, name + ": no optimum without a reason");
    return;
  }
  if (!found.unbounded)
    for (double u = -20.0; u <= 20.0; u += 0.173)
      check::is_true(
          model.profile(u, held).value > found.point.value - 1e-9 * static_cast<double>(d.x.rows()),
          name + ": a better point");
  if (std::isfinite(found.point.logit))
    check::is_true(std::fabs(found.point.slope) < 1e-9 * static_cast<double>(d.x.rows()),
                   name + ": slope at optimum");
}

void test_ends() {
  // The constant is all that a centred kernel of full rank lacks.
  const Problem d = problem(30, 60, 2, 1, true);
  check::is_true(d.values.size() == 29, "rank n - 1");
  const pp::SpectralModel::Held held;
  using Zero = pp::SpectralModel::Zero;
  const pp::SpectralModel ml(d.vectors, d.values, d.x, d.y.col(0), false);
  const pp::SpectralModel reml(d.vectors, d.values, d.x, d.y.col(0), true);
  check::is_true(ml.at_zero(held) == Zero::unbounded, "ML is unbounded");
  check::is_true(reml.at_zero(held) == Zero::finite, "REML is not");
  check::is_near(reml.profile(-infinity, held).value, reml.profile(-32.0, held).value, 1e-9,
                 "REML reaches its limit");
  check::is_near(ml.profile(-30.0, held).value - ml.profile(-31.0, held).value, 1.0, 1e-6,
                 "ML falls as log delta");
  // At the end the intercept is what the complement says.
  const VectorXd b = reml.beta(reml.profile(-infinity, held));
  check::is_near((d.y.col(0) - d.x * b).mean(), 0.0, 1e-12, "complement fitted");

  const Problem low = problem(30, 6, 2, 1, false);
  const pp::SpectralModel left(low.vectors, low.values, low.x, low.y.col(0), true);
  check::is_true(left.at_zero(held) == Zero::infeasible, "a residual needs a variance");
  check::is_true(!std::isfinite(left.profile(-infinity, held).value), "no value there");
  check::is_true(left.profile(-40.0, held).value > left.profile(-20.0, held).value + 100.0,
                 "and a wall before");

  // delta = 1: ordinary least squares, whatever the kernel.
  const auto one = left.profile(infinity, held);
  const VectorXd ols = low.x.colPivHouseholderQr().solve(low.y.col(0));
  check::is_true((left.beta(one) - ols).norm() < 1e-11, "least squares");

  const pp::SpectralModel none(MatrixXd(30, 0), VectorXd(0), low.x, low.y.col(0), true);
  check::is_near(none.profile(infinity, held).value, one.value, 1e-11, "no kernel");

  const MatrixXd q = Eigen::HouseholderQR<MatrixXd>(normals(30, 30)).householderQ();
  const pp::SpectralModel flat(q, VectorXd::Constant(30, 2.5), low.x, low.y.col(0), true);
  check::is_true(flat.optimise(held).status == "flat", "the identity as kernel");
}

void test_units() {
  Problem d = problem(40, 12, 3, 1, false);
  const pp::SpectralModel model(d.vectors, d.values, d.x, d.y.col(0), true);
  const pp::SpectralModel::Held held;
  const auto found = model.optimise(held).point;
  for (const double c : {1e-150, 1e150}) {
    const pp::SpectralModel y(d.vectors, d.values, d.x, c * d.y.col(0), true);
    const auto other = y.optimise(held).point;
    check::is_near(other.value, found.value + 2.0 * 37.0 * std::log(c), 1e-11, "y in other units");
    check::is_near(other.logit, found.logit, 1e-9, "and the same share");
    const pp::SpectralModel k(d.vectors, c * d.values, d.x, d.y.col(0), true);
    check::is_near(k.optimise(held).point.value, found.value, 1e-11, "K in other units");
  }
  const pp::SpectralModel shifted(d.vectors, d.values, d.x, d.y.col(0).array() + 1e8, true);
  check::is_near(shifted.optimise(held).point.value, found.value, 1e-6, "y shifted");
  MatrixXd twice(40, 4);
  twice << d.x, d.x.col(0) - d.x.col(1);
  check::is_true(!pp::SpectralModel(d.vectors, d.values, twice, d.y.col(0), true).full_rank(),
                 "dependent columns");
  const VectorXd fitted = d.x * VectorXd::Ones(3);
  check::is_true(
      pp::SpectralModel(d.vectors, d.values, d.x, fitted, true).relative_residual() < 1e-13,
      "an exact fit");
}

// ---- Several traits

void check_traits(const Problem& d, bool reml, const std::string& name) {
  const Index n = d.x.rows(), p = d.x.cols(), t = d.y.cols();
  const pp::MatrixNormalModel model(d.vectors, d.values, d.x, d.y, reml);
  check::is_true(model.full_rank() && !model.exact(), name + ": rank");
  MatrixXd f = normals(t, t);
  f.col(t - 1).setZero();
  const MatrixXd l = MatrixXd::Identity(t, t) + 0.3 * normals(t, t);
  const MatrixXd c0 = f * f.transpose(), c1 = l * l.transpose();
  const MatrixXd xx = p > 0 ? kronecker(MatrixXd::Identity(t, t), d.x) : MatrixXd(n * t, 0);
  const auto expected = [&](const MatrixXd& a, const MatrixXd& b, const MatrixXd* coefficients) {
    const MatrixXd v = kronecker(a, d.k) + kronecker(b, MatrixXd::Identity(n, n));
    const VectorXd beta = coefficients ? stacked(*coefficients) : best_beta(stacked(d.y), xx, v);
    return dense(stacked(d.y), xx, v, beta, reml);
  };
  const auto at = model.evaluate(model.internal_c0(c0), model.to_internal(c1));
  check::is_near(-0.5 * at.criterion, expected(c0, c1, nullptr), 1e-10, name + ": value");
  const MatrixXd v = kronecker(c0, d.k) + kronecker(c1, MatrixXd::Identity(n, n));
  if (p > 0) {
    const VectorXd b = best_beta(stacked(d.y), xx, v);
    check::is_true((stacked(model.coefficients(at.b)) - b).norm() < 1e-9 * (1.0 + b.norm()),
                   name + ": coefficients");
    const MatrixXd vcov = (xx.transpose() * v.llt().solve(xx)).inverse();
    check::is_true((model.vcov(at) - vcov).norm() < 1e-9 * vcov.norm(), name + ": vcov");
  }
  const MatrixXd held = normals(p, t);
  const MatrixXd inner = model.internal_coefficients(held);
  const auto there = model.evaluate(model.internal_c0(c0), model.to_internal(c1), &inner);
  check::is_near(-0.5 * there.criterion, expected(c0, c1, &held), 1e-10, name + ": value at B");

  const MatrixXd e = d.y - d.x * held;
  const MatrixXd weighted =
      pp::MatrixNormalModel::weighted_residuals(d.vectors, d.values, e, c0, c1);
  const VectorXd solved = v.llt().solve(stacked(e));
  check::is_true((stacked(weighted) - solved).norm() < 1e-10 * solved.norm(),
                 name + ": weighted residuals");

  // Derivatives by every symmetric entry
  const MatrixXd by_c0 = model.user_by_c0(at.by_c0), by_c1 = model.user_derivative(at.by_c1);
  const double h = 1e-5;
  for (Index i = 0; i < t; ++i) {
    for (Index j = 0; j <= i; ++j) {
      MatrixXd step = MatrixXd::Zero(t, t);
      step(i, j) = step(j, i) = h;
      const double times = i == j ? 1.0 : 2.0;
      // C0 is on the boundary: a step off the diagonal leaves it, so the dense value decides.
      const double d0 = (expected(c0 + step, c1, nullptr) - expected(c0 - step, c1, nullptr));
      const double d1 = (expected(c0, c1 + step, nullptr) - expected(c0, c1 - step, nullptr));
      check::is_near(times * by_c0(i, j), -d0 / h, 1e-5, name + ": derivative by C0");
      check::is_near(times * by_c1(i, j), -d1 / h, 1e-5, name + ": derivative by C1");
    }
  }

  // The gradient by the parameters, and the way there and back.
  for (Index rank = 1; rank <= t; ++rank) {
    const MatrixXd start = normals(t, rank);
    VectorXd x = model.pack(start, Eigen::LLT<MatrixXd>(c1).matrixL());
    MatrixXd f_back, l_back;
    model.unpack(x, rank, f_back, l_back);
    check::is_true((f_back * f_back.transpose() - start * start.transpose()).norm() < 1e-11,
                   name + ": C0 packed");
    check::is_true((l_back * l_back.transpose() - c1).norm() < 1e-11, name + ": C1 packed");
    VectorXd gradient;
    model.value(x, rank, &gradient);
    for (Index j = 0; j < x.size(); ++j) {
      VectorXd a = x, b = x;
      a[j] += h;
      b[j] -= h;
      check::is_near(gradient[j],
                     (model.value(a, rank, nullptr) - model.value(b, rank, nullptr)) / (2.0 * h),
                     1e-5, name + ": gradient");
    }
  }
}

void test_traits_optimum() {
  const Problem d = problem(60, 30, 2, 2, false);
  for (const bool reml : {false, true}) {
    const pp::MatrixNormalModel model(d.vectors, d.values, d.x, d.y, reml);
    double last = infinity;
    for (Index rank = 1; rank <= 2; ++rank) {
      const auto found = model.optimise(rank, 1e-8, 100, nullptr);
      check::is_true(found.status == "converged", "traits: converged");
      check::is_true(found.value < last + 1e-8, "traits: more rank, no worse");
      last = found.value;
      VectorXd gradient;
      model.value(found.x, rank, &gradient);
      check::is_true(gradient.norm() < 1e-3, "traits: gradient at the optimum");
      for (int i = 0; i < 50; ++i) {
        const VectorXd x = found.x + 0.05 * normals(found.x.size(), 1).col(0);
        check::is_true(model.value(x, rank, nullptr) > found.value - 1e-9, "traits: better nearby");
      }
    }
  }
}

}  // namespace

int main() {
  for (const bool reml : {false, true}) {
    for (const Index r : {4, 18, 40}) {
      for (const Index p : {0, 1, 3}) {
        for (const double multiple : {1.0, 1e-3, 30.0}) {
          const Problem d = problem(20, r, p, 1, r == 18, multiple);
          const std::string name = "r " + std::to_string(r) + ", p " + std::to_string(p);
          check_values(d, reml, name);
          test_optimum(d, reml, name);
          if (multiple == 1.0) check_derivatives(d, reml, name);
        }
      }
    }
    for (const Index r : {3, 11, 30})
      for (const Index p : {0, 2})
        for (const Index t : {1, 2, 3})
          check_traits(problem(12, r, p, t, r == 11), reml,
                       "traits " + std::to_string(t) + ", r " + std::to_string(r));
  }
  test_ends();
  test_units();
  test_traits_optimum();
  return check::report();
}
