// The Gaussian engine against its definition, written out with dense matrices.

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "conditional.h"
#include "gaussian_model.h"
#include "kernel_terms_tests.h"
#include "wald.h"

namespace pp = partialpool;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using pp::Storage;
using pp::Structure;
using Matrices = std::vector<MatrixXd>;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Structure us = Structure::unstructured;

// ---- Random numbers: the same on every platform

std::mt19937_64 generator(20240301);

double uniform() {
  return static_cast<double>(generator() >> 11) / 9007199254740992.0;
}

double normal() {
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

MatrixXd normals(Index rows, Index columns) {
  MatrixXd m(rows, columns);
  for (Index j = 0; j < columns; ++j) {
    for (Index i = 0; i < rows; ++i) m(i, j) = normal();
  }
  return m;
}

// ---- Data

struct RandomTerm {
  int factor;
  MatrixXd z;  // no columns: an intercept
  pp::CovarianceBlock block;
};

struct Rows {
  std::string name;
  MatrixXd x;
  VectorXd y, weights, offset;  // weights, offset: empty if there are none
  std::vector<std::vector<int>> codes;
  std::vector<int> levels;
  std::vector<RandomTerm> random;

  Index n() const { return x.rows(); }

  pp::ModelData data() const {
    pp::ModelData d;
    d.n = n();
    new (&d.x) Eigen::Map<const MatrixXd>(x.data(), x.rows(), x.cols());
    d.y = y.data();
    if (weights.size() > 0) d.weights = weights.data();
    if (offset.size() > 0) d.offset = offset.data();
    for (std::size_t f = 0; f < codes.size(); ++f) {
      pp::GroupingFactor factor;
      factor.codes = codes[f].data();
      factor.levels = levels[f];
      d.factors.push_back(factor);
    }
    for (const RandomTerm& r : random) {
      pp::UserTerm term;
      term.factor = r.factor;
      if (r.z.cols() > 0) new (&term.z) Eigen::Map<const MatrixXd>(r.z.data(), n(), r.z.cols());
      term.block = r.block;
      d.terms.push_back(term);
    }
    return d;
  }
  MatrixXd z(std::size_t term) const {
    return random[term].z.cols() > 0 ? random[term].z : MatrixXd::Ones(n(), 1);
  }
  int term_levels(std::size_t term) const { return levels[random[term].factor]; }
  int level(std::size_t term, Index row) const { return codes[random[term].factor][row] - 1; }
};

// An intercept and normal covariates.
Rows make_rows(const std::string& name, Index n, int columns) {
  Rows rows;
  rows.name = name;
  rows.x = normals(n, columns);
  if (columns > 0) rows.x.col(0).setOnes();
  rows.y = normals(n, 1);
  return rows;
}

int add_factor(Rows& rows, std::vector<int> codes, int levels) {
  rows.codes.push_back(std::move(codes));
  rows.levels.push_back(levels);
  return static_cast<int>(rows.codes.size()) - 1;
}

std::vector<int> random_codes(Index n, int levels) {
  std::vector<int> codes(n);
  for (int& c : codes) c = 1 + static_cast<int>(generator() % levels);
  return codes;
}

std::vector<int> cyclic_codes(Index n, int levels) {
  std::vector<int> codes(n);
  for (Index i = 0; i < n; ++i) codes[i] = 1 + static_cast<int>(i % levels);
  return codes;
}

// Each fine level within one coarse level.
std::vector<int> coarser(const std::vector<int>& fine, int levels) {
  std::vector<int> codes(fine.size());
  for (std::size_t i = 0; i < fine.size(); ++i) codes[i] = 1 + fine[i] % levels;
  return codes;
}

void add_term(Rows& rows, int factor, int p, Structure structure = us, bool homogeneous = false,
              bool intercept = true) {
  MatrixXd z(rows.n(), 0);
  if (p > 1 || !intercept) {
    z = normals(rows.n(), p);
    z.array() += 0.4;
    if (intercept) z.col(0).setOnes();
  }
  rows.random.push_back({factor, z, pp::CovarianceBlock(structure, homogeneous, p)});
}

// Every variance of a size that shows.
void respond(Rows& rows, double sd = 0.8) {
  rows.y = normals(rows.n(), 1);
  if (rows.weights.size() > 0) rows.y.array() /= rows.weights.array().sqrt();
  for (Index j = 0; j < rows.x.cols(); ++j) rows.y += 0.7 * rows.x.col(j);
  for (std::size_t t = 0; t < rows.random.size(); ++t) {
    const MatrixXd b = normals(rows.levels[rows.random[t].factor], rows.random[t].block.size());
    const MatrixXd z = rows.z(t);
    for (Index i = 0; i < rows.n(); ++i) {
      for (Index c = 0; c < z.cols(); ++c) rows.y[i] += sd * z(i, c) * b(rows.level(t, i), c);
    }
  }
}

// An interior point: every variance positive, correlations of both signs.
VectorXd interior_theta(const Rows& rows) {
  std::vector<double> theta;
  for (const RandomTerm& r : rows.random) {
    const int p = r.block.size();
    if (r.block.structure() == us) {
      for (int c = 0; c < p; ++c) {
        for (int i = c; i < p; ++i) theta.push_back(i == c ? 0.5 + uniform() : uniform() - 0.5);
      }
      continue;
    }
    for (int i = 0; i < (r.block.homogeneous() ? 1 : p); ++i) theta.push_back(0.5 + uniform());
    if (r.block.correlated()) theta.push_back(p == 2 ? -0.35 : 0.45);
  }
  return Eigen::Map<const VectorXd>(theta.data(), static_cast<Index>(theta.size()));
}

// ---- The definition

MatrixXd product(const MatrixXd& a, const MatrixXd& b) {
  return a * b;
}
MatrixXd cross_product(const MatrixXd& a, const MatrixXd& b) {
  return product(a.transpose(), b);
}

double largest(const MatrixXd& m) {
  return m.size() == 0 ? 0.0 : m.cwiseAbs().maxCoeff();
}

// Equal up to a tolerance relative to the largest entry (or to 1).
void same(const MatrixXd& actual, const MatrixXd& expected, double tolerance,
          const std::string& what) {
  if (!check::is_true(actual.rows() == expected.rows() && actual.cols() == expected.cols(),
                      what + ": shape")) {
    return;
  }
  if (!actual.allFinite()) {
    check::is_true(false, what + ": not finite");
    return;
  }
  check::is_close(largest(actual - expected) / std::max(1.0, largest(expected)), 0.0, tolerance,
                  what);
}

MatrixXd inverse(const MatrixXd& a, double* log_det = nullptr) {
  if (log_det) *log_det = 0.0;
  if (a.rows() == 0) return a;
  const Eigen::LLT<MatrixXd> llt(a);
  if (log_det) *log_det = 2.0 * llt.matrixLLT().diagonal().array().log().sum();
  return llt.solve(MatrixXd::Identity(a.rows(), a.cols()));
}

// Sigma of each term over sigma^2, from theta.
Matrices sigmas(const Rows& rows, const VectorXd& theta) {
  Matrices out;
  const double* next = theta.data();
  for (const RandomTerm& r : rows.random) {
    const int p = r.block.size();
    MatrixXd sigma(p, p);
    if (r.block.structure() == us) {
      MatrixXd l = MatrixXd::Zero(p, p);
      for (int c = 0; c < p; ++c) {
        for (int i = c; i < p; ++i) l(i, c) = *next++;
      }
      sigma = product(l, l.transpose());
    } else {
      VectorXd s(p);
      for (int i = 0; i < p; ++i) s[i] = next[r.block.homogeneous() ? 0 : i];
      next += r.block.homogeneous() ? 1 : p;
      const double rho = r.block.correlated() ? *next++ : 0.0;
      const bool ar1 = r.block.structure() == Structure::ar1;
      for (int i = 0; i < p; ++i) {
        for (int j = 0; j < p; ++j) {
          const double correlation = i == j ? 1.0 : ar1 ? std::pow(rho, std::abs(i - j)) : rho;
          sigma(i, j) = s[i] * s[j] * correlation;
        }
      }
    }
    out.push_back(sigma);
  }
  return out;
}

// Z with all its columns: by term, level, column.
struct RandomColumns {
  std::vector<Index> start;
  MatrixXd z;

  RandomColumns(const Rows& rows, const Matrices& by_term) {
    Index q = 0;
    for (std::size_t t = 0; t < by_term.size(); ++t) {
      start.push_back(q);
      q += by_term[t].cols() * rows.term_levels(t);
    }
    z = MatrixXd::Zero(rows.n(), q);
    for (std::size_t t = 0; t < by_term.size(); ++t) {
      const Index p = by_term[t].cols();
      for (Index i = 0; i < rows.n(); ++i) {
        for (Index c = 0; c < p; ++c) z(i, start[t] + rows.level(t, i) * p + c) = by_term[t](i, c);
      }
    }
  }
};

// Everything at one Sigma by inverting V.
struct Dense {
  double nu = 0.0, value = 0.0, r2 = 0.0;
  MatrixXd sigma;  // all of it, q x q
  MatrixXd v_inverse, p, vcov;
  MatrixXd beta, b;  // one column
  MatrixXd pz, vz;   // P Z, V^-1 Z

  Dense(const MatrixXd& x, const MatrixXd& y, const RandomColumns& z, const Matrices& blocks,
        const VectorXd& weights, bool reml) {
    const Index n = x.rows(), q = z.z.cols();
    nu = static_cast<double>(n - (reml ? x.cols() : 0));
    sigma = MatrixXd::Zero(q, q);
    for (std::size_t t = 0; t < blocks.size(); ++t) {
      const Index size = blocks[t].rows();
      const Index end = t + 1 < blocks.size() ? z.start[t + 1] : q;
      for (Index at = z.start[t]; at < end; at += size) sigma.block(at, at, size, size) = blocks[t];
    }
    MatrixXd v = product(product(z.z, sigma), z.z.transpose());
    for (Index i = 0; i < n; ++i) v(i, i) += weights.size() > 0 ? 1.0 / weights[i] : 1.0;
    double log_v, log_x;
    v_inverse = inverse(v, &log_v);
    const MatrixXd vx = product(v_inverse, x);
    const MatrixXd information = cross_product(x, vx);
    vcov = inverse(information, &log_x);
    log_x *= -1.0;
    inverse(information, &log_x);
    p = v_inverse - product(product(vx, vcov), vx.transpose());
    beta = product(vcov, cross_product(vx, y));
    const MatrixXd py = product(p, y);
    r2 = cross_product(y, py)(0, 0);
    b = product(sigma, cross_product(z.z, py));
    pz = product(p, z.z);
    vz = product(v_inverse, z.z);
    value = log_v + (reml ? log_x : 0.0) + nu * (1.0 + std::log(2.0 * M_PI * r2 / nu));
  }
};

Matrices raw_z(const Rows& rows) {
  Matrices z;
  for (std::size_t t = 0; t < rows.random.size(); ++t) z.push_back(rows.z(t));
  return z;
}

MatrixXd response(const Rows& rows) {
  return rows.offset.size() > 0 ? MatrixXd(rows.y - rows.offset) : MatrixXd(rows.y);
}

Dense define(const Rows& rows, const VectorXd& theta, bool reml) {
  return Dense(rows.x, response(rows), RandomColumns(rows, raw_z(rows)), sigmas(rows, theta),
               rows.weights, reml);
}

// ---- Checks of one model at one point

std::string label(const Rows& rows, bool reml, const pp::GaussianModel* model = nullptr) {
  std::string out = rows.name + (reml ? ", REML" : ", ML");
  if (model) {
    out += std::string(", ") + const_cast<pp::GaussianModel*>(model)->profiled().factor().storage();
  }
  return out + ": ";
}

double value_at(pp::GaussianModel& model, const VectorXd& theta) {
  return model.value(model.map().parameters(theta));
}

// First parameter of each user term in the optimiser's vector.
std::vector<int> parameter_starts(const pp::GaussianModel& model) {
  std::vector<int> out(model.data().terms.size());
  for (const pp::Term& term : model.terms()) {
    std::size_t member = 0;
    pp::for_each_block(model.data(), term, [&](const pp::CovarianceBlock&, int at, int) {
      out[term.members[member++]] = at;
    });
  }
  return out;
}

void check_estimates(pp::GaussianModel& model, const Rows& rows, const Dense& dense,
                     const std::string& name) {
  same(model.beta(), dense.beta, 1e-9, name + "beta");
  check::is_near(model.sigma(), std::sqrt(dense.r2 / dense.nu), 1e-10, name + "sigma");
  same(model.vcov_unscaled(), dense.vcov, 1e-9, name + "vcov");
  const RandomColumns columns(rows, raw_z(rows));
  const Matrices modes = model.modes();
  for (std::size_t t = 0; t < modes.size(); ++t) {
    const Index p = rows.random[t].block.size(), levels = rows.term_levels(t);
    const MatrixXd expected =
        Eigen::Map<const MatrixXd>(dense.b.data() + columns.start[t], p, levels);
    same(modes[t], expected, 1e-9, name + "modes");
  }
}

void check_covariances(pp::GaussianModel& model, const Rows& rows, const Dense& dense,
                       const std::string& name) {
  const RandomColumns columns(rows, raw_z(rows));
  const MatrixXd zv = product(cross_product(columns.z, dense.vz), dense.sigma);
  const MatrixXd zp = product(cross_product(columns.z, dense.pz), dense.sigma);
  const MatrixXd known = dense.sigma - product(dense.sigma, zv);
  const MatrixXd estimated = dense.sigma - product(dense.sigma, zp);
  for (const bool beta_known : {true, false}) {
    const MatrixXd& all = beta_known ? known : estimated;
    const Matrices actual = pp::conditional_covariance(model, beta_known);
    for (std::size_t t = 0; t < actual.size(); ++t) {
      const Index p = rows.random[t].block.size();
      MatrixXd expected(p * p, rows.term_levels(t));
      for (Index j = 0; j < expected.cols(); ++j) {
        const Index at = columns.start[t] + j * p;
        const MatrixXd block = all.block(at, at, p, p);
        expected.col(j) = Eigen::Map<const VectorXd>(block.data(), p * p);
      }
      same(actual[t], expected, 1e-9,
           name + "conditional covariance, beta " + (beta_known ? "known" : "estimated"));
    }
  }
}

// New rows: other covariates, any levels, terms left out here and there.
void check_prediction(pp::GaussianModel& model, const Rows& rows, const Dense& dense,
                      const std::string& name) {
  const Index m = 9;
  const RandomColumns columns(rows, raw_z(rows));
  pp::PredictionRows wanted;
  wanted.x = normals(m, rows.x.cols());
  MatrixXd z = MatrixXd::Zero(m, columns.z.cols());
  std::vector<std::vector<int>> levels;  // of the factors: all terms on one see the same
  for (const int count : rows.levels) levels.push_back(random_codes(m, count));
  for (std::size_t t = 0; t < rows.random.size(); ++t) {
    const Index p = rows.random[t].block.size();
    wanted.z.push_back(rows.random[t].z.cols() > 0 ? normals(m, p) : MatrixXd::Ones(m, 1));
    wanted.level.emplace_back(m);
    for (Index i = 0; i < m; ++i) {
      const int level = generator() % 4 == 0 ? -1 : levels[rows.random[t].factor][i] - 1;
      wanted.level[t][i] = level;
      if (level < 0) continue;
      z.block(i, columns.start[t] + level * p, 1, p) = wanted.z[t].row(i);
    }
  }
  const MatrixXd zs = product(z, dense.sigma);
  const MatrixXd posterior =
      product(product(zs, cross_product(columns.z, dense.vz)), zs.transpose());
  const MatrixXd prior = product(zs, z.transpose());
  const MatrixXd shrunk = wanted.x - product(product(zs, dense.vz.transpose()), rows.x);
  const MatrixXd fixed = product(product(shrunk, dense.vcov), shrunk.transpose());
  const VectorXd expected = (prior - posterior + fixed).diagonal();
  same(pp::prediction_variance(model, wanted), expected, 1e-9, name + "prediction variance");
}

void check_gradient(pp::GaussianModel& model, const VectorXd& theta, const std::string& name) {
  const VectorXd analytic = model.theta_gradient(theta);
  VectorXd numeric(theta.size());
  for (Index i = 0; i < theta.size(); ++i) {
    const double h = 1e-5;
    VectorXd up = theta, down = theta;
    up[i] += h;
    down[i] -= h;
    numeric[i] = (value_at(model, up) - value_at(model, down)) / (2.0 * h);
  }
  same(analytic, numeric, 1e-6, name + "gradient");
}

// At theta = 0 the criterion is even in every standard deviation.
void check_zero_gradient(pp::GaussianModel& model, const Rows& rows, const std::string& name) {
  VectorXd theta = VectorXd::Zero(interior_theta(rows).size());
  Index at = 0;
  for (const RandomTerm& r : rows.random) {
    at += r.block.n_theta();
    if (r.block.correlated()) theta[at - 1] = 0.3;
  }
  same(model.theta_gradient(theta), VectorXd::Zero(theta.size()), 1e-6,
       name + "gradient at theta = 0");
}

// What every storage must give.
void check_point(pp::GaussianModel& model, const Rows& rows, const VectorXd& theta,
                 const Dense& dense, const VectorXd& reference_gradient, const std::string& name) {
  if (!check::is_true(model.ready(), name + "ready")) return;
  const VectorXd x = model.map().parameters(theta);
  check::is_near(model.value(x), dense.value, 1e-10, name + "value");
  check_estimates(model, rows, dense, name);
  check_covariances(model, rows, dense, name);
  check_prediction(model, rows, dense, name);
  same(model.map().theta(x), theta, 1e-12, name + "theta and back");
  const Matrices expected = sigmas(rows, theta), lambda = model.map().user_lambda(x);
  for (std::size_t t = 0; t < expected.size(); ++t) {
    same(product(lambda[t], lambda[t].transpose()), expected[t], 1e-12, name + "Lambda");
    check::is_true(lambda[t].diagonal().minCoeff() >= 0.0, name + "diagonal of Lambda");
  }
  same(model.theta_gradient(theta), reference_gradient, 1e-9, name + "gradient by storage");
}

// ---- Curvature

// d Sigma / d x of one block, as the engine composes it.
Matrices first_pieces(const pp::CovarianceBlock& block, const VectorXd& x) {
  const Matrices directions = block.directions(x.data());
  const MatrixXd jacobian = block.direction_jacobian(x.data());
  Matrices out;
  for (int k = 0; k < block.n_parameters(); ++k) {
    MatrixXd sum = MatrixXd::Zero(block.size(), block.size());
    for (std::size_t e = 0; e < directions.size(); ++e) sum += jacobian(e, k) * directions[e];
    out.push_back(sum);
  }
  return out;
}

MatrixXd sigma_of(const pp::CovarianceBlock& block, const VectorXd& x) {
  const MatrixXd l = block.lambda(x.data());
  return product(l, l.transpose());
}

// Four-point differences of a matrix function: the error is of the order of step^4.
template <class F>
MatrixXd differences(F&& f, const VectorXd& x, int k) {
  const double h = 1e-3;
  const auto at = [&](double step) {
    VectorXd moved = x;
    moved[k] += step;
    return MatrixXd(f(moved));
  };
  return (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
}

// tr(D d2Sigma / dx dx') of one block from differences of its analytic first derivatives.
MatrixXd second_pieces(const pp::CovarianceBlock& block, const VectorXd& x, const MatrixXd& d) {
  const int k = block.n_parameters();
  MatrixXd out(k, k);
  for (int l = 0; l < k; ++l) {
    out.col(l) = differences(
        [&](const VectorXd& moved) {
          const Matrices pieces = first_pieces(block, moved);
          MatrixXd column(k, 1);
          for (int i = 0; i < k; ++i) column(i, 0) = d.cwiseProduct(pieces[i]).sum();
          return column;
        },
        x, l);
  }
  return out;
}

void test_block(Structure structure, bool homogeneous, int p) {
  const pp::CovarianceBlock block(structure, homogeneous, p);
  const std::string name = "block " + std::to_string(static_cast<int>(structure)) +
                           (homogeneous ? " hom " : " het ") + std::to_string(p) + ": ";
  const VectorXd x = 0.5 * normals(block.n_parameters(), 1);
  const Matrices pieces = first_pieces(block, x);
  const auto sigma = [&](const VectorXd& moved) { return sigma_of(block, moved); };
  for (int k = 0; k < block.n_parameters(); ++k) {
    same(pieces[k], differences(sigma, x, k), 1e-10, name + "first derivative");
  }
  const MatrixXd root = normals(p, p), d = root + root.transpose();
  MatrixXd chain = MatrixXd::Zero(block.n_parameters(), block.n_parameters());
  block.add_second_order(x.data(), d, chain);
  same(chain, second_pieces(block, x, d), 1e-9, name + "chain term");
  VectorXd gradient(block.n_parameters());
  const MatrixXd g = 2.0 * product(d, block.lambda(x.data()));
  block.gradient(x.data(), g, gradient.data());
  for (int k = 0; k < block.n_parameters(); ++k) {
    check::is_near(gradient[k], d.cwiseProduct(pieces[k]).sum(), 1e-11, name + "gradient");
  }
}

// Average information and chain term in the optimiser's coordinates, by the formulas with P.
void check_hessian(pp::GaussianModel& model, const Rows& rows, const VectorXd& theta, bool reml,
                   const std::string& name) {
  const VectorXd x = model.map().parameters(theta);
  MatrixXd xy;
  Matrices z, blocks;
  model.standard().rows(0, rows.n(), xy, z);
  const std::vector<int> at = parameter_starts(model);
  for (std::size_t t = 0; t < rows.random.size(); ++t) {
    const pp::CovarianceBlock& block = rows.random[t].block;
    blocks.push_back(sigma_of(block, x.segment(at[t], block.n_parameters())));
  }
  const RandomColumns columns(rows, z);
  const Dense dense(xy.leftCols(xy.cols() - 1), xy.rightCols(1), columns, blocks, VectorXd(), reml);
  check::is_near(model.profiled().value(x), dense.value, 1e-10, name + "standardised value");

  const double sigma2 = dense.r2 / dense.nu;
  const MatrixXd w = cross_product(columns.z, product(dense.p, xy.rightCols(1)));
  const MatrixXd traces = cross_product(columns.z, reml ? dense.pz : dense.vz);
  MatrixXd working(rows.n(), x.size()), d(x.size(), 1), expected(x.size(), x.size());
  MatrixXd chain = MatrixXd::Zero(x.size(), x.size());
  for (std::size_t t = 0; t < rows.random.size(); ++t) {
    const pp::CovarianceBlock& block = rows.random[t].block;
    const Index p = block.size(), levels = rows.term_levels(t), k = block.n_parameters();
    const VectorXd own = x.segment(at[t], k);
    const MatrixXd wt = Eigen::Map<const MatrixXd>(w.data() + columns.start[t], p, levels);
    MatrixXd by_sigma = -product(wt, wt.transpose()) / sigma2;
    for (Index j = 0; j < levels; ++j) {
      const Index first = columns.start[t] + j * p;
      by_sigma += traces.block(first, first, p, p);
    }
    const auto sigma = [&](const VectorXd& moved) { return sigma_of(block, moved); };
    for (Index h = 0; h < k; ++h) {
      const MatrixXd v = product(differences(sigma, own, static_cast<int>(h)), wt);
      d(at[t] + h, 0) = v.cwiseProduct(wt).sum();
      const MatrixXd flat = Eigen::Map<const MatrixXd>(v.data(), p * levels, 1);
      working.col(at[t] + h) = product(columns.z.middleCols(columns.start[t], p * levels), flat);
    }
    chain.block(at[t], at[t], k, k) = second_pieces(block, own, by_sigma);
  }
  expected = cross_product(working, product(dense.p, working)) / sigma2 -
             product(d, d.transpose()) / (dense.nu * sigma2 * sigma2) + chain;
  same(model.profiled().hessian(model.profiled().lambda_gradient()), expected, 1e-8,
       name + "Hessian");
}

// The trace system of MIVQUE(0), in the same coordinates.
void check_mivque(pp::GaussianModel& model, const Rows& rows, const std::string& name) {
  MatrixXd xy;
  Matrices z;
  model.standard().rows(0, rows.n(), xy, z);
  const MatrixXd x = xy.leftCols(xy.cols() - 1), y = xy.rightCols(1);
  const MatrixXd projector = MatrixXd::Identity(rows.n(), rows.n()) -
                             product(product(x, inverse(cross_product(x, x))), x.transpose());
  Matrices columns, through;  // Z_i, N Z_i of each component
  for (const pp::Term& term : model.terms()) {
    for (const int user : term.members) {
      for (Index c = 0; c < z[user].cols(); ++c) {
        MatrixXd zi = MatrixXd::Zero(rows.n(), term.levels);
        for (Index i = 0; i < rows.n(); ++i) zi(i, rows.level(user, i)) = z[user](i, c);
        columns.push_back(zi);
        through.push_back(product(projector, zi));
      }
    }
  }
  const Index c = static_cast<Index>(columns.size());
  MatrixXd system(c + 1, c + 1), right(c + 1, 1);
  for (Index i = 0; i < c; ++i) {
    for (Index j = 0; j < c; ++j)
      system(i, j) = cross_product(columns[i], through[j]).squaredNorm();
    system(i, c) = system(c, i) = columns[i].cwiseProduct(through[i]).sum();
    right(i, 0) = cross_product(through[i], y).squaredNorm();
  }
  system(c, c) = static_cast<double>(rows.n() - x.cols());
  right(c, 0) = cross_product(y, product(projector, y))(0, 0);
  const MatrixXd v = product(inverse(cross_product(system, system)), cross_product(system, right));
  double residual = v(c, 0);
  if (!(residual > 0.0)) residual = 0.5 * right(c, 0) / system(c, c);

  const std::vector<VectorXd> actual = pp::mivque0(model.profiled().cross_products(), rows.n());
  Index at = 0;
  for (const VectorXd& ratio : actual) {
    for (Index i = 0; i < ratio.size(); ++i, ++at) {
      const double expected = std::min(std::max(v(at, 0) / residual, 1e-3), 1e4);
      check::is_near(ratio[i], expected, 1e-8, name + "MIVQUE(0)");
    }
  }
}

bool nested(const pp::GaussianModel& model) {
  const pp::CrossProducts& a = const_cast<pp::GaussianModel&>(model).profiled().cross_products();
  return pp::NestedRemainder::applies(a, pp::Coupling(a));
}

void test_model(const Rows& rows) {
  for (const bool reml : {true, false}) {
    const VectorXd theta = interior_theta(rows);
    const Dense dense = define(rows, theta, reml);
    pp::GaussianModel model(rows.data(), reml);
    const std::string name = label(rows, reml, &model);
    const VectorXd gradient = model.theta_gradient(theta);
    check_point(model, rows, theta, dense, gradient, name);
    if (rows.random.empty()) continue;
    check_gradient(model, theta, name);
    check_hessian(model, rows, theta, reml, name);
    if (reml) check_mivque(model, rows, name);
    check_zero_gradient(model, rows, name);
    if (model.terms().size() == 1) continue;
    std::vector<Storage> others{Storage::sparse, Storage::dense};
    if (nested(model)) others.push_back(Storage::nested);
    for (const Storage storage : others) {
      pp::GaussianModel other(rows.data(), reml, storage);
      const std::string other_name = label(rows, reml, &other);
      check_point(other, rows, theta, dense, gradient, other_name);
      check_hessian(other, rows, theta, reml, other_name);
    }
  }
}

// ---- The models

void weigh(Rows& rows) {
  rows.weights = VectorXd(rows.n());
  for (Index i = 0; i < rows.n(); ++i) rows.weights[i] = 0.2 + 3.0 * uniform();
  rows.offset = normals(rows.n(), 1);
}

Rows one_factor(int p, int columns) {
  Rows rows = make_rows("one factor, p = " + std::to_string(p), 60, columns);
  add_factor(rows, random_codes(60, 8), 8);
  add_term(rows, 0, p);
  respond(rows);
  return rows;
}

Rows structured(Structure structure, bool homogeneous, int p, bool trailing) {
  Rows rows = make_rows("structure " + std::to_string(static_cast<int>(structure)) +
                            (homogeneous ? ", hom" : ", het") + (trailing ? ", trailing" : ""),
                        70, 2);
  add_factor(rows, random_codes(70, 7), 7);
  add_factor(rows, random_codes(70, trailing ? 30 : 5), trailing ? 30 : 5);
  add_term(rows, 0, p, structure, homogeneous);
  add_term(rows, 1, 1);
  respond(rows);
  return rows;
}

Rows nested_factors(int p_fine, int p_coarse) {
  Rows rows =
      make_rows("nested, p = " + std::to_string(p_fine) + ", " + std::to_string(p_coarse), 80, 2);
  const std::vector<int> fine = cyclic_codes(80, 20);
  add_factor(rows, coarser(fine, 5), 5);
  add_factor(rows, fine, 20);
  add_term(rows, 0, p_coarse);
  add_term(rows, 1, p_fine);
  respond(rows);
  return rows;
}

Rows crossed(std::initializer_list<int> p, std::initializer_list<int> levels, int columns,
             Index n = 80) {
  Rows rows = make_rows("crossed", n, columns);
  for (const int l : levels) add_factor(rows, random_codes(n, l), l);
  int factor = 0;
  for (const int size : p) {
    rows.name += " " + std::to_string(size);
    add_term(rows, factor++, size);
  }
  respond(rows);
  return rows;
}

// Several terms on one factor, between terms on another.
Rows amalgamated() {
  Rows rows = make_rows("amalgamated", 80, 2);
  add_factor(rows, random_codes(80, 9), 9);
  add_factor(rows, random_codes(80, 6), 6);
  add_term(rows, 0, 1);
  add_term(rows, 1, 2);
  add_term(rows, 0, 1, us, false, false);
  add_term(rows, 1, 2, Structure::diagonal, false, false);
  add_term(rows, 0, 2, Structure::compound_symmetry, false, false);
  respond(rows);
  return rows;
}

// Levels with one row, and levels with none, first, last and between.
Rows thin_levels() {
  const Index n = 50;
  Rows rows = make_rows("thin levels", n, 2);
  std::vector<int> many(n), few(n);
  for (Index i = 0; i < n; ++i) {
    many[i] = 2 + static_cast<int>(i);
    few[i] = 2 + 2 * static_cast<int>(i % 4);
  }
  many[9] = many[8];
  many[40] = many[8];
  add_factor(rows, many, 53);
  add_factor(rows, few, 9);
  add_factor(rows, random_codes(n, 3), 5);
  add_term(rows, 0, 1);
  add_term(rows, 1, 2);
  add_term(rows, 2, 1);
  respond(rows);
  return rows;
}

Rows thin_levels_alone() {
  Rows rows = make_rows("thin levels, one factor", 40, 1);
  std::vector<int> codes = cyclic_codes(40, 30);
  for (int& c : codes) c += 1;
  add_factor(rows, codes, 33);
  add_term(rows, 0, 2);
  respond(rows);
  return rows;
}

void test_models() {
  for (const int p : {1, 2, 3, 4, 5}) test_model(one_factor(p, 2));
  test_model(one_factor(1, 0));
  test_model(one_factor(3, 0));
  test_model(one_factor(2, 1));
  Rows slope = make_rows("one factor, slope only", 50, 2);
  add_factor(slope, random_codes(50, 6), 6);
  add_term(slope, 0, 1, us, false, false);
  respond(slope);
  test_model(slope);
  Rows weighted = one_factor(2, 3);
  weighted.name += ", weights and offset";
  weigh(weighted);
  respond(weighted);
  test_model(weighted);

  for (const int p : {1, 2, 3}) test_model(nested_factors(p, p == 3 ? 2 : 1));
  test_model(nested_factors(1, 3));
  test_model(crossed({1, 1}, {9, 7}, 2));
  test_model(crossed({1, 1}, {9, 7}, 0));
  test_model(crossed({2, 2}, {8, 6}, 2));
  test_model(crossed({3, 1}, {6, 7}, 1));
  test_model(crossed({1, 1, 1}, {12, 7, 4}, 2));
  test_model(crossed({2, 1, 3}, {10, 8, 4}, 2));
  Rows crossed_weighted = crossed({1, 2, 1}, {6, 5, 20}, 3);
  crossed_weighted.name += ", weights and offset";
  weigh(crossed_weighted);
  respond(crossed_weighted);
  test_model(crossed_weighted);
  test_model(amalgamated());

  for (const bool trailing : {false, true}) {
    for (const bool homogeneous : {false, true}) {
      for (const Structure s :
           {Structure::diagonal, Structure::compound_symmetry, Structure::ar1}) {
        test_model(structured(s, homogeneous, homogeneous ? 4 : 3, trailing));
      }
    }
  }
  test_model(structured(Structure::ar1, true, 2, false));
  test_model(structured(Structure::ar1, true, 1, false));

  for (const int columns : {0, 1, 3}) {
    Rows plain = make_rows("no random terms, p_x = " + std::to_string(columns), 30, columns);
    respond(plain);
    test_model(plain);
    weigh(plain);
    test_model(plain);
  }
  test_model(thin_levels());
  test_model(thin_levels_alone());
}

void test_blocks() {
  for (const int p : {1, 2, 3, 5}) {
    test_block(us, false, p);
    test_block(Structure::diagonal, false, p);
    test_block(Structure::diagonal, true, p);
  }
  for (const int p : {2, 3, 5}) {
    for (const bool homogeneous : {false, true}) {
      test_block(Structure::compound_symmetry, homogeneous, p);
      test_block(Structure::ar1, homogeneous, p);
    }
  }
}

// ---- Storages on models too large for the definition

void compare_storages(const Rows& rows, const std::string& automatic) {
  const VectorXd theta = interior_theta(rows);
  pp::GaussianModel model(rows.data(), true), other(rows.data(), true, Storage::dense);
  check::is_true(model.profiled().factor().storage() == automatic, rows.name + ": storage");
  pp::GaussianModel sparse(rows.data(), true, Storage::sparse);
  const double value = value_at(other, theta);
  const VectorXd gradient = other.theta_gradient(theta);
  const MatrixXd hessian = other.profiled().hessian(other.profiled().lambda_gradient());
  const Matrices modes = other.modes(), covariances = pp::conditional_covariance(other, false);
  for (pp::GaussianModel* m : {&model, &sparse}) {
    const std::string name = rows.name + ", " + m->profiled().factor().storage() + ": ";
    check::is_near(value_at(*m, theta), value, 1e-11, name + "value");
    same(m->theta_gradient(theta), gradient, 1e-9, name + "gradient");
    same(m->profiled().hessian(m->profiled().lambda_gradient()), hessian, 1e-9, name + "Hessian");
    const Matrices b = m->modes(), v = pp::conditional_covariance(*m, false);
    for (std::size_t t = 0; t < b.size(); ++t) {
      same(b[t], modes[t], 1e-10, name + "modes");
      same(v[t], covariances[t], 1e-10, name + "conditional covariance");
    }
  }
}

void test_storages() {
  // Enough trailing columns for panels: levels that meet many of them, and levels that meet few.
  for (const int p : {1, 2, 3}) {
    const Index n = 4000;
    const int lead = p == 1 ? 300 : 270 / p + 30;
    Rows rows = make_rows("panels, p = " + std::to_string(p), n, 2);
    std::vector<int> codes = random_codes(n, lead / 2);
    for (Index i = 0; i < n / 8; ++i) codes[i] = lead / 2 + 1 + static_cast<int>(i % (lead / 2));
    add_factor(rows, codes, lead);
    add_factor(rows, random_codes(n, 262), 262);
    add_term(rows, 0, p);
    add_term(rows, 1, 1);
    respond(rows);
    compare_storages(rows, "dense");
  }
  // One leading level wider than a panel.
  Rows wide = make_rows("wide panel", 1500, 2);
  add_factor(wide, random_codes(1500, 5), 5);
  add_factor(wide, random_codes(1500, 300), 300);
  add_term(wide, 0, 65, Structure::diagonal, true);
  add_term(wide, 1, 1);
  respond(wide, 0.1);
  compare_storages(wide, "dense");
  // Three nested factors: the remainder has two of them, and no fill.
  const Index n = 1500;
  Rows chain = make_rows("chain", n, 2);
  const std::vector<int> fine = cyclic_codes(n, 500), middle = coarser(fine, 250);
  add_factor(chain, fine, 500);
  add_factor(chain, middle, 250);
  add_factor(chain, coarser(middle, 50), 50);
  add_term(chain, 0, 2);
  add_term(chain, 1, 1);
  add_term(chain, 2, 2);
  respond(chain);
  compare_storages(chain, "sparse");
}

// ---- Optimisation

// The same standard deviation everywhere, in standardised coordinates.
VectorXd start_at(const pp::GaussianModel& model, double sd) {
  VectorXd x(pp::n_parameters(model.data()));
  for (const pp::Term& term : model.terms()) {
    pp::for_each_block(model.data(), term, [&](const pp::CovarianceBlock& b, int at, int) {
      x.segment(at, b.n_parameters()) = b.parameters(VectorXd::Constant(b.size(), sd), 0.0);
    });
  }
  return x;
}

void check_optimum(pp::GaussianModel& model, const pp::Optimum& found, double expected,
                   const std::string& name) {
  check::is_true(found.status == "converged", name + "status " + found.status);
  check::is_true(found.decrement < 1e-8, name + "decrement");
  check::is_close(found.value, expected, 1e-6 + 1e-12 * std::abs(expected), name + "optimum");
  check::is_near(model.profiled().value(found.x), found.value, 1e-13, name + "value at x");
}

void test_optimum(const Rows& rows) {
  for (const bool reml : {true, false}) {
    pp::GaussianModel model(rows.data(), reml);
    const pp::Optimum best = model.optimise(model.start(), pp::NewtonControl());
    const std::string name = label(rows, reml, &model);
    check_optimum(model, best, best.value, name);
    for (const double sd : {0.0, 1e-3, 1.0, 100.0}) {
      const pp::Optimum found = model.optimise(start_at(model, sd), pp::NewtonControl());
      check_optimum(model, found, best.value, name + "from " + std::to_string(sd) + ": ");
    }
    // No point around is lower.
    for (int draw = 0; draw < 10; ++draw) {
      const VectorXd step = 0.02 * normals(best.x.size(), 1);
      check::is_true(model.profiled().value(best.x + step) >= best.value - 1e-8, name + "minimum");
    }
  }
}

Rows larger(const std::string& name, std::initializer_list<int> levels) {
  Rows rows = make_rows(name, 400, 2);
  for (const int l : levels) add_factor(rows, random_codes(400, l), l);
  return rows;
}

// y loses what lies in the columns of [X Z].
void remove_random_part(Rows& rows) {
  const RandomColumns columns(rows, raw_z(rows));
  MatrixXd all(rows.n(), rows.x.cols() + columns.z.cols());
  all << rows.x, columns.z;
  Matrices basis;
  for (Index j = 0; j <= all.cols(); ++j) {
    MatrixXd v = j < all.cols() ? MatrixXd(all.col(j)) : MatrixXd(rows.y);
    const double norm = v.norm();
    for (int pass = 0; pass < 3; ++pass) {
      for (const MatrixXd& u : basis) v -= u * u.cwiseProduct(v).sum();
    }
    if (j == all.cols())
      rows.y = v;
    else if (v.norm() > 1e-9 * norm)
      basis.push_back(v / v.norm());
  }
}

void test_optima() {
  Rows one = larger("optimum, slopes", {25});
  add_term(one, 0, 3);
  respond(one);
  test_optimum(one);
  Rows two = larger("optimum, crossed", {30, 12});
  add_term(two, 0, 2);
  add_term(two, 1, 1);
  respond(two);
  test_optimum(two);
  Rows apart = larger("optimum, one variance zero", {30, 12});
  add_term(apart, 0, 1);
  respond(apart);
  add_term(apart, 1, 1);
  add_term(apart, 1, 1, us, false, false);
  test_optimum(apart);
  Rows diagonal = larger("optimum, diagonal", {25, 10});
  add_term(diagonal, 0, 3, Structure::diagonal);
  add_term(diagonal, 1, 2, Structure::diagonal, true);
  respond(diagonal);
  test_optimum(diagonal);
  for (const Structure s : {Structure::compound_symmetry, Structure::ar1}) {
    for (const bool homogeneous : {true, false}) {
      Rows rows = larger(std::string("optimum, ") + (s == Structure::ar1 ? "ar1" : "cs") +
                             (homogeneous ? " hom" : " het"),
                         {30});
      add_term(rows, 0, 3, s, homogeneous);
      respond(rows, 1.5);
      test_optimum(rows);
    }
  }
}

// No variance at all: zero is reached exactly, and certified.
void test_all_zero() {
  for (const bool reml : {true, false}) {
    Rows rows = larger("all zero", {20, 9});
    rows.x.conservativeResize(300, 2);
    rows.y.conservativeResize(300);
    for (auto& codes : rows.codes) codes.resize(300);
    add_term(rows, 0, 2);
    add_term(rows, 1, 1);
    add_term(rows, 1, 2, Structure::diagonal, false, false);
    add_term(rows, 0, 2, Structure::ar1, true, false);
    respond(rows);
    remove_random_part(rows);
    pp::GaussianModel model(rows.data(), reml);
    for (const double sd : {-1.0, 0.0, 1e-3, 1.0, 100.0}) {
      const VectorXd start = sd < 0.0 ? model.start() : start_at(model, sd);
      const pp::Optimum found = model.optimise(start, pp::NewtonControl());
      const std::string name = label(rows, reml) + "from " + std::to_string(sd) + ": ";
      check::is_true(found.status == "converged", name + "status " + found.status);
      VectorXd theta = model.map().theta(found.x);
      theta[theta.size() - 1] = 0.0;  // the correlation, which means nothing here
      check::is_true((theta.array() == 0.0).all(), name + "theta is zero");
      check::is_true(found.null_sets.size() == 4, name + "null sets");
      for (const pp::NullSet& set : found.null_sets) {
        check::is_true(set.min_eigenvalue > 0.0, name + "certificate");
        const int p = rows.random[set.user_term].block.size();
        same(cross_product(set.directions, set.directions), MatrixXd::Identity(p, p), 1e-12,
             name + "null directions");
      }
      const VectorXd gradient = model.theta_gradient(model.map().theta(found.x));
      same(gradient, VectorXd::Zero(gradient.size()), 1e-10, name + "gradient");
    }
  }
}

// MIVQUE(0) is REML on balanced data: nothing is left to do.
void test_balanced() {
  const Index n = 120;
  Rows one = make_rows("balanced, one factor", n, 1);
  add_factor(one, cyclic_codes(n, 12), 12);
  add_term(one, 0, 1);
  respond(one, 1.5);
  Rows two = make_rows("balanced, crossed", n, 1);
  std::vector<int> second(n);
  for (Index i = 0; i < n; ++i) second[i] = 1 + static_cast<int>(i / 12) % 5;
  add_factor(two, cyclic_codes(n, 12), 12);
  add_factor(two, second, 5);
  add_term(two, 0, 1);
  add_term(two, 1, 1);
  respond(two, 1.5);
  for (const Rows* rows : {&one, &two}) {
    pp::GaussianModel model(rows->data(), true);
    const VectorXd start = model.start();
    const pp::Optimum found = model.optimise(start, pp::NewtonControl());
    const std::string name = rows->name + ": ";
    check::is_true(found.status == "converged" && found.iterations == 0, name + "iterations");
    same(found.x, start, 1e-7, name + "MIVQUE(0) is REML");
  }
}

// ---- Satterthwaite's degrees of freedom and the covariance of the variances, where they are known

void test_wald() {
  const Index n = 120;
  const int levels = 12;
  const double m = 10.0;
  Rows one = make_rows("Wald", n, 1);
  add_factor(one, cyclic_codes(n, levels), levels);
  add_term(one, 0, 1);
  respond(one, 1.5);
  pp::GaussianModel model(one.data(), true);
  const VectorXd x = model.optimise(model.start(), pp::NewtonControl()).x;
  pp::WaldInformation wald(model, x);
  check::is_near(wald.satterthwaite(MatrixXd::Ones(1, 1))[0], levels - 1.0, 1e-6,
                 "Satterthwaite, balanced");
  model.value(x);
  const double residual = model.sigma() * model.sigma();
  const double theta = model.map().theta(x)[0], between = residual * (1.0 + m * theta * theta);
  const double v_residual = 2.0 * residual * residual / (n - levels);
  const double v_between = 2.0 * between * between / (levels - 1.0);
  MatrixXd expected(2, 2);
  expected << (v_between + v_residual) / (m * m), -v_residual / m, -v_residual / m, v_residual;
  same(wald.natural_covariance(), expected, 1e-6, "covariance of the variances, balanced");

  // The same covariate values in every group: intercept and slope have levels - 1 each.
  Rows slopes = make_rows("Wald, slopes", n, 2);
  add_factor(slopes, cyclic_codes(n, levels), levels);
  for (Index i = 0; i < n; ++i) slopes.x(i, 1) = static_cast<double>(i / levels);
  slopes.random.push_back({0, slopes.x, pp::CovarianceBlock(us, false, 2)});
  respond(slopes, 1.0);
  for (const Storage storage : {Storage::automatic, Storage::dense}) {
    pp::GaussianModel other(slopes.data(), true, storage);
    pp::WaldInformation w(other, other.optimise(other.start(), pp::NewtonControl()).x);
    const VectorXd df = w.satterthwaite(MatrixXd::Identity(2, 2));
    same(df, VectorXd::Constant(2, levels - 1.0), 1e-4, "Satterthwaite, balanced slopes");
  }
}

// ---- Cross-products

void test_replace_response() {
  for (const Rows& rows : {amalgamated(), thin_levels(), one_factor(2, 0)}) {
    Rows changed = rows;
    weigh(changed);
    pp::GaussianModel model(changed.data(), true);
    const VectorXd theta = interior_theta(changed);
    value_at(model, theta);
    const VectorXd y = 1e3 * normals(changed.n(), 1);
    model.replace_response(y.data());
    changed.y = y;
    pp::GaussianModel fresh(changed.data(), true);
    const std::string name = rows.name + ", new response: ";
    check::is_near(value_at(model, theta), value_at(fresh, theta), 1e-12, name + "value");
    same(model.beta(), fresh.beta(), 1e-11, name + "beta");
    check::is_near(model.sigma(), fresh.sigma(), 1e-12, name + "sigma");
    const Matrices b = model.modes(), expected = fresh.modes();
    for (std::size_t t = 0; t < b.size(); ++t) same(b[t], expected[t], 1e-11, name + "modes");
    same(model.theta_gradient(theta), fresh.theta_gradient(theta), 1e-10, name + "gradient");
    same(model.start(), fresh.start(), 1e-10, name + "start");
  }
}

void same_products(const pp::CrossProducts& a, const pp::CrossProducts& b, double factor,
                   const std::string& what) {
  same(a.xy(), factor * b.xy(), 1e-12, what + ", [X y]");
  for (int t = 0; t < b.n_terms(); ++t) {
    same(a.border(t), factor * b.border(t), 1e-12, what + ", border");
    for (Index j = 0; j < b.terms()[t].levels; ++j) {
      same(a.diagonal(t, j), factor * b.diagonal(t, j), 1e-12, what + ", diagonal");
    }
    for (int s = 0; s < t; ++s) {
      const pp::PairTable& ca = a.pair(s, t);
      const pp::PairTable& cb = b.pair(s, t);
      if (!check::is_true(ca.cells() == cb.cells(), what + ", number of cells")) continue;
      bool equal = true;
      for (int j = 0; j < b.terms()[s].levels; ++j) {
        equal = equal && ca.begin(j) == cb.begin(j) && ca.end(j) == cb.end(j);
      }
      const int size = b.terms()[s].p * b.terms()[t].p;
      for (std::size_t c = 0; c < cb.cells(); ++c) {
        equal = equal && ca.second(c) == cb.second(c);
        for (int k = 0; k < size; ++k) {
          equal = equal && std::abs(ca.values(c)[k] - factor * cb.values(c)[k]) <= 1e-11;
        }
      }
      check::is_true(equal, what + ", cells");
    }
  }
}

void test_cross_products() {
  const Rows rows = amalgamated();
  pp::GaussianModel model(rows.data(), true);
  const pp::CrossProducts& expected = model.profiled().cross_products();
  const auto add = [&](pp::CrossProducts& a, Index first, Index count) {
    pp::RowBlock block;
    block.first = first;
    block.rows = count;
    model.standard().rows(first, count, block.xy, block.z);
    a.add(block, model.data().factors);
  };
  const int columns = static_cast<int>(rows.x.cols()) + 1;
  const Index n = rows.n();
  pp::CrossProducts backwards(model.terms(), columns), halves(model.terms(), columns);
  for (Index first = n - 7; first > -7; first -= 7) {
    add(backwards, std::max<Index>(first, 0), std::min<Index>(7, 7 + first));
  }
  backwards.finish(true);
  same_products(backwards, expected, 1.0, "blocks from last to first");

  // Halves; a second time on top; from zero again; once more with new cells after finish().
  add(halves, 0, n / 2);
  add(halves, n / 2, n - n / 2);
  halves.finish(true);
  same_products(halves, expected, 1.0, "two halves");
  add(halves, 0, n);
  halves.finish(true);
  same_products(halves, expected, 2.0, "added twice");
  halves.set_zero();
  add(halves, n / 3, n - n / 3);
  add(halves, 0, n / 3);
  halves.finish(true);
  same_products(halves, expected, 1.0, "from zero again");
  pp::CrossProducts growing(model.terms(), columns);
  for (Index first = 0; first < n; first += 16) {
    add(growing, first, std::min<Index>(16, n - first));
    growing.finish(true);
  }
  growing.finish(false);
  same_products(growing, expected, 1.0, "finished after each block");
}

void test_pair_table() {
  // Keys that fall on one place of the index as long as it is small, among others.
  std::vector<std::pair<int, int>> keys;
  for (int a = 0; a < 700 && keys.size() < 600; ++a) {
    for (int b = 0; b < 3000 && keys.size() < 600; ++b) {
      const std::uint64_t key = (static_cast<std::uint64_t>(a) << 32) | static_cast<unsigned>(b);
      const std::uint64_t mixed = key * 0x9E3779B97F4A7C15ull;
      if (((mixed ^ (mixed >> 32)) & 2047u) == 5u) keys.push_back({a, b});
    }
  }
  check::is_true(keys.size() == 600, "colliding keys");
  for (int i = 0; i < 3000; ++i) {
    keys.push_back({static_cast<int>(generator() % 700), static_cast<int>(generator() >> 33)});
  }
  pp::PairTable table(700, 2);
  std::map<std::pair<int, int>, std::pair<double, double>> expected;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < keys.size(); i += round + 1) {
      const double value = normal();
      double* cell = table.cell(keys[i].first, keys[i].second);
      cell[0] += value;
      cell[1] -= 2.0 * value;
      expected[keys[i]].first += value;
      expected[keys[i]].second -= 2.0 * value;
    }
    if (round == 1) table.sort();  // and then more
  }
  table.sort();
  table.release_index();
  check::is_true(table.cells() == expected.size(), "number of cells");
  std::size_t at = 0;
  bool equal = table.cells() == expected.size();
  for (const auto& e : expected) {
    if (!equal) break;
    equal = at >= table.begin(e.first.first) && at < table.end(e.first.first) &&
            table.second(at) == e.first.second && table.values(at)[0] == e.second.first &&
            table.values(at)[1] == e.second.second;
    ++at;
  }
  check::is_true(equal, "cells of a table with collisions");
  pp::PairTable empty(3, 1);
  empty.sort();
  check::is_true(empty.cells() == 0 && empty.begin(2) == 0 && empty.end(2) == 0, "no cells");
}

// ---- Rank and scale

MatrixXd streamed_triangle(const MatrixXd& x, Index block) {
  pp::StreamingQr qr(x.cols());
  for (Index first = 0; first < x.rows(); first += block) {
    const Index count = std::min(block, x.rows() - first);
    qr.buffer().topRows(count) = x.middleRows(first, count);
    qr.add(count);
  }
  return qr.r();
}

void test_rank() {
  const Index n = 700;
  MatrixXd x = normals(n, 9);
  x.col(0).setOnes();
  x.col(2) = 3.0 * x.col(1) - 2.0 * x.col(0);
  x.col(4).setZero();
  x.col(6) = x.col(5) + 1e-5 * x.col(6);             // near, but not aliased
  x.col(7) = x.col(5) + x.col(3) + 1e-9 * x.col(7);  // aliased at the tolerance of lm()
  const std::vector<int> expected{0, 1, 3, 5, 6, 8};
  for (const Index block : {Index(256), Index(17)}) {
    const MatrixXd r = streamed_triangle(x, block);
    same(cross_product(r, r), cross_product(x, x), 1e-12, "streamed R'R");
    check::is_true(pp::independent_columns(r, 1e-7) == expected, "independent columns");
    const MatrixXd u = pp::upper_factor(r, expected);
    check::is_true(u.diagonal().minCoeff() > 0.0, "upper factor");
  }
  check::is_true(pp::independent_columns(streamed_triangle(x.topRows(4), 256), 1e-7) ==
                     std::vector<int>({0, 1, 3, 5}),
                 "more columns than rows");

  // The model keeps the same columns, at any scale, and its criterion is that of the kept ones.
  Rows rows = make_rows("aliased", n, 9);
  rows.x = x;
  add_factor(rows, random_codes(n, 6), 6);
  add_term(rows, 0, 1);
  respond(rows);
  Rows kept = rows;
  kept.x = MatrixXd(n, 6);
  for (int j = 0; j < 6; ++j) kept.x.col(j) = x.col(expected[j]);
  Rows scaled = rows;
  const double scales[9] = {1.0, 1e200, 1e-200, 1e10, 1.0, 1e-150, 1e-160, 1e160, 1e-3};
  double log_scales = 0.0;
  for (int j = 0; j < 9; ++j) scaled.x.col(j) *= scales[j];
  for (const int j : expected) log_scales += std::log(scales[j]);
  const VectorXd theta = VectorXd::Constant(1, 0.8);
  pp::GaussianModel a(rows.data(), true), b(kept.data(), true), c(scaled.data(), true);
  check::is_true(a.standard().kept() == expected, "kept columns");
  check::is_true(c.standard().kept() == expected, "kept columns, scaled");
  const double value = value_at(b, theta);
  check::is_near(value_at(a, theta), value, 1e-10, "criterion without aliased columns");
  check::is_near(value_at(c, theta) - 2.0 * log_scales, value, 1e-10, "criterion, scaled columns");
  VectorXd beta = c.beta();
  for (int j = 0; j < 6; ++j) beta[j] *= scales[expected[j]];
  same(beta, b.beta(), 1e-6, "beta, scaled columns");

  // Columns of z: named, so that the caller can drop them.
  Rows random = make_rows("aliased z", 60, 1);
  add_factor(random, random_codes(60, 6), 6);
  add_term(random, 0, 3);
  random.random[0].z.col(2) = random.random[0].z.col(1) - random.random[0].z.col(0);
  add_term(random, 0, 2, Structure::diagonal);
  random.random[1].z.col(0).setZero();
  pp::GaussianModel not_ready(random.data(), true);
  check::is_true(!not_ready.ready(), "aliased z: not ready");
  check::is_true(
      not_ready.standard().aliased_z() == std::vector<std::pair<int, int>>({{0, 2}, {1, 0}}),
      "aliased z");
}

void test_scales() {
  Rows rows = crossed({2, 1}, {8, 6}, 2);
  const VectorXd theta = interior_theta(rows);
  pp::GaussianModel model(rows.data(), true);
  const double value = value_at(model, theta), nu = model.profiled().nu();
  const double sigma = model.sigma();
  const VectorXd gradient = model.theta_gradient(theta);
  for (const double scale : {1e200, 1e-200, 1e10, 1e-10}) {
    const std::string name = "scale " + std::to_string(std::log10(scale)) + ": ";
    Rows large = rows;
    large.y *= scale;
    pp::GaussianModel y_model(large.data(), true);
    check::is_near(value_at(y_model, theta) - 2.0 * nu * std::log(scale), value, 1e-10,
                   name + "response");
    check::is_near(y_model.sigma() / scale, sigma, 1e-12, name + "sigma");
    Rows steep = rows;
    steep.random[0].z.col(1) *= scale;
    VectorXd flat = theta;
    flat[1] /= scale;
    flat[2] /= scale;
    pp::GaussianModel z_model(steep.data(), true);
    check::is_near(value_at(z_model, flat), value, 1e-10, name + "slope");
    VectorXd back = z_model.theta_gradient(flat);
    back[1] /= scale;
    back[2] /= scale;
    same(back, gradient, 1e-9, name + "gradient of the slope");
  }
  for (const double tiny : {1e-300, 1e-310, 5e-324}) {
    const double scaled = tiny * pp::binary_scale(tiny);
    check::is_true(scaled > 0.0 && scaled <= 2.0, "binary scale of a tiny number");
  }
  // A response far from zero.
  Rows shifted = rows;
  shifted.y.array() += 1e9;
  pp::GaussianModel far(shifted.data(), true);
  check::is_near(value_at(far, theta), value, 1e-6, "response + 1e9");
}

// ---- What must not crash

void test_extreme_theta(const Rows& rows) {
  const VectorXd theta = interior_theta(rows);
  pp::GaussianModel usual(rows.data(), true);
  const double best = usual.optimise(usual.start(), pp::NewtonControl()).value;
  for (const double bad : {nan_value, infinity, -infinity, 1e200, -1e200, 1e160, 1e-200, 1e-320}) {
    for (Index i = 0; i < theta.size(); ++i) {
      VectorXd wrong = theta;
      wrong[i] = bad;
      const std::string name =
          rows.name + ", theta[" + std::to_string(i) + "] = " + std::to_string(bad) + ": ";
      pp::GaussianModel model(rows.data(), true);
      const double value = value_at(model, wrong);
      check::is_true(value == infinity || std::isfinite(value), name + "value");
      pp::GaussianModel fresh(rows.data(), true);
      const VectorXd gradient = fresh.theta_gradient(wrong);
      check::is_true(gradient.size() == theta.size(), name + "gradient");
      if (!std::isfinite(value)) check::is_true(!gradient.allFinite(), name + "no gradient");
      const pp::Optimum found = fresh.optimise(fresh.map().parameters(wrong), pp::NewtonControl());
      check::is_true(!found.status.empty(), name + "status");
      // A start that cannot be used is replaced.
      check::is_true(found.status == "converged", name + "converged");
      check::is_near(found.value, best, 1e-9, name + "optimum");
      // What was before leaves no trace.
      check::is_near(value_at(fresh, theta), value_at(model, theta), 1e-13, name + "afterwards");
    }
  }
}

// Asking for the nested storage where it does not apply.
void test_wrong_storage() {
  for (const Rows& rows : {crossed({1, 1}, {9, 7}, 2), crossed({2, 1, 3}, {10, 8, 4}, 2)}) {
    const VectorXd theta = interior_theta(rows);
    pp::GaussianModel model(rows.data(), true), forced(rows.data(), true, Storage::nested);
    check::is_near(value_at(forced, theta), value_at(model, theta), 1e-11,
                   rows.name + ", nested storage asked for");
  }
}

// An exact fit by X; one by the groups, where the criterion has no minimum.
void test_exact() {
  for (const int p : {1, 2}) {
    Rows rows = one_factor(p, 2);
    rows.y = 2.0 * rows.x.col(0) - rows.x.col(1);
    pp::GaussianModel model(rows.data(), true);
    std::string status = model.optimise(model.start(), pp::NewtonControl()).status;
    check::is_true(status == "exact", "exact fit: " + status);
    for (Index i = 0; i < rows.n(); ++i) rows.y[i] = static_cast<double>(rows.level(0, i));
    pp::GaussianModel groups(rows.data(), true);
    status = groups.optimise(groups.start(), pp::NewtonControl()).status;
    // With slopes beside it the way down ends in rounding errors.
    check::is_true(p == 1 ? status == "no variance" : status != "converged",
                   "no residual variance: " + status);
  }
}

}  // namespace

int main() {
  test_blocks();
  test_models();
  test_storages();
  test_optima();
  test_all_zero();
  test_balanced();
  test_wald();
  test_replace_response();
  test_cross_products();
  test_pair_table();
  test_rank();
  test_scales();
  test_exact();
  test_wrong_storage();
  test_extreme_theta(one_factor(2, 2));
  test_extreme_theta(amalgamated());
  test_extreme_theta(structured(Structure::ar1, true, 3, true));
  kernel_terms_tests::run();
  return check::report();
}
