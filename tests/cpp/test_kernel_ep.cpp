// Posterior, expectation propagation and search of models with one dense kernel, against brute
// force and numerical derivatives.

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "check.h"
#include "family_binomial.h"
#include "family_nbinom.h"
#include "family_poisson.h"
#include "gmres.h"
#include "kernel_ep.h"
#include "kernel_posterior.h"
#include "kernel_search.h"
#include "kernel_start.h"

namespace pp = partialpool;
using check::is_close;
using check::is_near;
using check::is_true;
using Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

namespace {

// Numbers in (-1, 1), the same everywhere.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed * 2862933555777941757ULL + 3037000493ULL) {}
  double next() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>(state_ >> 11) * 0x1p-52 - 1.0;
  }
  Matrix matrix(Index rows, Index columns) {
    Matrix m(rows, columns);
    for (Index j = 0; j < columns; ++j)
      for (Index i = 0; i < rows; ++i) m(i, j) = next();
    return m;
  }

 private:
  std::uint64_t state_;
};

double largest(const Matrix& m) {
  return m.size() ? m.cwiseAbs().maxCoeff() : 0.0;
}

void compare(const Matrix& actual, const Matrix& expected, double tolerance,
             const std::string& what) {
  is_close(largest(actual - expected) / std::max(1.0, largest(expected)), 0.0, tolerance, what);
}

// ---- Posterior

void check_posterior(Index n, Index rank, double v0, double v1, double lowest,
                     const std::string& what) {
  Numbers numbers(n + 31 * rank);
  const Matrix c = numbers.matrix(n, rank);
  pp::KernelPosterior posterior(c, Vector());
  const Matrix k = rank ? Matrix(c * c.transpose() / posterior.unit()) : Matrix::Zero(n, n);
  if (rank) is_near(k.diagonal().mean(), 1.0, 1e-13, what + ": mean diagonal");
  Vector tau(n);
  for (Index i = 0; i < n; ++i) tau[i] = lowest + std::fabs(numbers.next());
  const Matrix prior = v0 * k + v1 * Matrix::Identity(n, n);
  const Matrix b = Matrix::Identity(n, n) + prior * tau.asDiagonal();
  const Matrix covariance = b.partialPivLu().solve(prior);
  const Matrix t = tau.asDiagonal();
  const Matrix r = t - t * covariance * t;
  posterior.set_variances(v0, v1);
  if (!is_true(posterior.factor(tau), what + ": factor")) return;
  compare(posterior.variance(), covariance.diagonal(), 1e-11, what + ": variances");
  compare(posterior.remainder(), 1.0 - tau.array() * covariance.diagonal().array(), 1e-11,
          what + ": 1 - tau v");
  is_near(posterior.log_determinant(), std::log(std::fabs(b.determinant())), 1e-11,
          what + ": determinant");
  const Vector x = numbers.matrix(n, 1);
  Vector shift, e;
  posterior.shift_of(x, shift, e);
  compare(shift, covariance * x, 1e-11, what + ": S b");
  compare(e, x - tau.cwiseProduct(covariance * x), 1e-11, what + ": (I - T S) b");
  const Matrix many = numbers.matrix(n, 4);
  compare(posterior.shrink(many), many - covariance * (tau.asDiagonal() * many), 1e-11,
          what + ": M X");
  compare(posterior.precision_times(many), r * many, 1e-11, what + ": R X");
  compare(posterior.kernel_times(x), k * x, 1e-12, what + ": K x");
  posterior.prepare_products();
  compare(posterior.covariance_times(many), covariance * many, 1e-11, what + ": S X");
  compare(posterior.squares_times(many), covariance.cwiseAbs2() * many, 1e-11,
          what + ": (S o S) X");
  compare(posterior.squares_times(x), covariance.cwiseAbs2() * x, 1e-11, what + ": one column");
}

void posteriors() {
  check_posterior(9, 9, 1.3, 0.4, 0.1, "full");
  check_posterior(130, 130, 0.8, 0.0, 0.1, "full, no iid part");
  check_posterior(9, 9, 1.3, 0.4, -0.5, "full, negative precisions");
  check_posterior(12, 3, 2.0, 0.5, 0.1, "low rank");
  check_posterior(12, 3, 2.0, 0.5, -0.3, "low rank, negative precisions");
  check_posterior(150, 8, 2.0, 0.0, 0.1, "low rank, no iid part");
  check_posterior(300, 2, 0.7, 0.3, 0.1, "structured products");
  check_posterior(12, 12, 0.0, 0.5, 0.1, "no kernel part");
  check_posterior(12, 12, 0.0, 0.0, 0.1, "no variance");
  check_posterior(12, 0, 0.0, 0.8, 0.1, "no kernel");
  check_posterior(14, 14, 1e-9, 1e-9, 0.1, "little variance");

  // Rows that say nothing, and rows that say next to nothing.
  Numbers numbers(3);
  const Matrix c = numbers.matrix(20, 20);
  for (const double weak : {0.0, 1e-14, 1e-9, 1e-7}) {
    pp::KernelPosterior posterior(c, Vector());
    posterior.set_variances(1.0, 0.2);
    Vector tau = Vector::Constant(20, 50.0);
    tau[3] = tau[11] = weak;
    const Matrix prior = c * c.transpose() / posterior.unit() + 0.2 * Matrix::Identity(20, 20);
    const Matrix b = Matrix::Identity(20, 20) + prior * tau.asDiagonal();
    const Vector v = b.partialPivLu().solve(prior).diagonal();
    is_true(posterior.factor(tau), "weak rows");
    is_close((posterior.variance().array() / v.array() - 1.0).abs().maxCoeff(), 0.0, 1e-10,
             "variances of weak rows");
  }

  pp::KernelPosterior posterior(c, Vector());
  posterior.set_variances(1.0, 0.2);
  is_true(!posterior.factor(Vector::Constant(20, -100.0)), "not positive definite");
  is_true(!posterior.factor(Vector::Constant(20, std::nan(""))), "not a number");
}

void gmres_solves() {
  Numbers numbers(8);
  const Index n = 60;
  const Matrix a = Matrix::Identity(n, n) + 0.15 * numbers.matrix(n, n);
  Matrix b = numbers.matrix(n, 3);
  b.col(1).setZero();
  const auto apply = [&](const Matrix& x) -> Matrix { return a * x; };
  const Matrix x = pp::gmres(apply, b, 1e-11);
  compare(a * x, b, 1e-9, "gmres");
  is_close(largest(x.col(1)), 0.0, 0.0, "gmres, zero right side");
  const Matrix y = pp::gmres(apply, b, 1e-11, 200, 7);
  compare(a * y, b, 1e-9, "gmres with restarts");
  const auto same = [](const Matrix& z) -> Matrix { return z; };
  compare(pp::gmres(same, b, 1e-12), b, 1e-14, "gmres, identity");
}

// ---- Models

struct Data {
  Matrix root, x;
  Vector offset, y, trials;
  pp::ResponseRows rows;
};

Data make_data(Index n, Index rank, bool counts) {
  Numbers numbers(n + rank);
  Data d;
  d.root = numbers.matrix(n, rank);
  d.x = numbers.matrix(n, 2);
  d.x.col(0).setOnes();
  d.offset = 0.1 * numbers.matrix(n, 1);
  const Vector z = d.root * numbers.matrix(rank, 1) * (2.0 / std::sqrt(rank)) + 0.5 * d.x.col(1);
  d.y.resize(n);
  d.trials = Vector::Constant(n, 5.0);
  for (Index i = 0; i < n; ++i) {
    const double u = 0.5 * (numbers.next() + 1.0);
    if (counts)
      d.y[i] = std::floor(std::exp(z[i]) + 2.0 * u);
    else
      d.y[i] = std::round(5.0 / (1.0 + std::exp(-z[i] - 2.0 * (u - 0.5)))) / 5.0;
  }
  d.rows.n = n;
  return d;
}

std::unique_ptr<pp::Family> family_of(Data& d, const std::string& name) {
  d.rows.y = d.y.data();
  if (name == "binomial") {
    d.rows.trials = d.trials.data();
    return std::make_unique<pp::KernelFamily<pp::Binomial, pp::LogitKernel>>(d.rows,
                                                                             pp::Link::logit);
  }
  if (name == "nbinom2")
    return std::make_unique<pp::KernelFamily<pp::Nbinom2, pp::Nbinom2LogKernel>>(d.rows,
                                                                                 pp::Link::log);
  return std::make_unique<pp::KernelFamily<pp::Poisson, pp::PoissonLogKernel>>(d.rows,
                                                                               pp::Link::log);
}

void check_derivatives(const std::string& name, Index n, Index rank) {
  const std::string what = name + ", rank " + std::to_string(rank);
  Data d = make_data(n, rank, name != "binomial");
  const auto family = family_of(d, name);
  pp::KernelPosterior posterior(d.root, Vector());
  pp::KernelEp ep(posterior, d.x, d.offset, family.get());
  pp::KernelEp::Point at;
  at.beta = Vector::Constant(2, 0.2);
  at.v0 = 0.7;
  at.v1 = 0.2;
  at.log_phi = 0.4;
  if (!is_true(ep.solve(at, 0.0), what + ": fixed point")) return;
  is_true(ep.residual() < 1e-9, what + ": residual");
  const double value = ep.value();
  const Vector g = ep.gradient();
  const Matrix h = ep.hessian(1e-9);
  const pp::KernelEp::Sites sites = ep.sites();
  const auto moved = [&](Index k, double step) {
    pp::KernelEp::Point p = at;
    if (k < 2)
      p.beta[k] += step;
    else
      (k == 2 ? p.v0 : k == 3 ? p.v1 : p.log_phi) += step;
    return p;
  };
  const double step = 1e-4;
  for (Index k = 0; k < g.size(); ++k) {
    Vector gradients[2];
    double values[2];
    for (int side = 0; side < 2; ++side) {
      ep.set_sites(sites);
      is_true(ep.solve(moved(k, side ? -step : step), 0.0), what + ": nearby");
      values[side] = ep.value();
      gradients[side] = ep.gradient();
    }
    is_near((values[0] - values[1]) / (2.0 * step), g[k], 1e-6, what + ": gradient");
    compare((gradients[0] - gradients[1]) / (2.0 * step), h.col(k), 2e-5, what + ": Hessian");
  }
  // The value is that of the fixed point, from wherever it is reached.
  ep.set_sites({Vector::Zero(n), Vector::Zero(n)});
  is_true(ep.solve(at, 0.0), what + ": cold");
  is_near(ep.value(), value, 1e-12, what + ": value, cold");
  ep.set_sites({Vector::Constant(n, 30.0), Vector::Constant(n, -10.0)});
  is_true(ep.solve(at, 0.0), what + ": bad start");
  is_near(ep.value(), value, 1e-12, what + ": value from a bad start");
  // A predicted move leaves a residual of second order.
  double first[2];
  for (int half = 0; half < 2; ++half) {
    ep.set_sites(sites);
    ep.solve(at, 0.0);
    ep.hessian(1e-9);
    const double size = half ? 0.01 : 0.02;
    Vector change = Vector::Zero(g.size());
    change[0] = change[2] = size;
    ep.predict(change);
    pp::KernelEp::Point p = at;
    p.beta[0] += size;
    p.v0 += size;
    ep.solve(p, 1e3);  // one sweep
    first[half] = ep.residual();
  }
  is_true(first[1] < 0.3 * first[0], what + ": prediction of the sites");
}

void hard_case() {
  const Index n = 50;
  Vector y(n);
  Matrix k(n, n);
  for (Index i = 0; i < n; ++i) {
    y[i] = i > 25 ? 1.0 : 0.0;
    for (Index j = 0; j < n; ++j)
      k(i, j) = std::exp(-std::pow((i - j) / 50.0, 2) / 0.18) + (i == j ? 1e-4 : 0.0);
  }
  const Matrix root = k.llt().matrixL();
  pp::ResponseRows rows;
  rows.n = n;
  rows.y = y.data();
  const double scales[5] = {1.0, 10.0, 30.0, 100.0, 400.0};
  const double values[5] = {-17.603362815, -9.325887757, -7.531784714, -6.488439144, -5.946107655};
  pp::KernelPosterior posterior(root, Vector());
  const Matrix x(n, 0);
  const Vector offset = Vector::Zero(n);
  pp::KernelFamily<pp::Binomial, pp::LogitKernel> family(rows, pp::Link::logit);
  pp::KernelEp ep(posterior, x, offset, &family);
  const auto solve = [&](double s) {
    pp::KernelEp::Point at;
    at.beta.resize(0);
    at.v0 = s * (1.0 - 1e-6) * posterior.unit();
    at.v1 = s * 1e-6;
    return ep.solve(at, 0.0);
  };
  for (int i = 0; i < 5; ++i) {  // warm from the one before
    is_true(solve(scales[i]), "hard case");
    is_close(ep.value(), values[i], 1e-8, "hard case, up");
  }
  for (int i = 4; i >= 0; --i) {
    is_true(solve(scales[i]), "hard case");
    is_close(ep.value(), values[i], 1e-8, "hard case, down");
  }
}

void searches() {
  for (const bool counts : {true, false}) {
    Data d = make_data(40, counts ? 40 : 5, counts);
    const auto family = family_of(d, counts ? "poisson" : "binomial");
    pp::KernelPosterior posterior(d.root, Vector());
    double best = 0.0;
    for (const double scale : {std::nan(""), 1e-3, 50.0}) {
      for (const double delta : {0.5, 1e-6, 0.0, 1.0}) {
        pp::KernelEp ep(posterior, d.x, d.offset, family.get());
        pp::KernelParameters start;
        start.beta = Vector::Constant(2, std::nan(""));
        start.scale = scale;
        start.delta = delta;
        start.log_phi = start.shape = std::nan("");
        const double unit = pp::complete_start(ep, posterior, d.x, d.offset, start);
        pp::KernelSearch search(ep, posterior, pp::KernelFixed(), unit);
        const pp::KernelOptimum found = search.maximise(start, pp::KernelControl());
        is_true(found.status == "converged", "search: " + found.status);
        is_true(ep.residual() < 1e-9, "search: residual");
        is_close(largest(found.gradient), 0.0, 1e-5, "search: gradient");
        if (best == 0.0) best = found.value;
        is_close(found.value, best, 1e-7, "search: the same optimum from every start");
      }
    }
  }
}

}  // namespace

int main() {
  posteriors();
  gmres_solves();
  for (const char* name : {"poisson", "binomial", "nbinom2"}) {
    check_derivatives(name, 15, 15);
    check_derivatives(name, 16, 3);
  }
  hard_case();
  searches();
  return check::report();
}
