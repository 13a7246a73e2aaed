#ifndef PARTIALPOOL_SEPARATION_H
#define PARTIALPOOL_SEPARATION_H

#include <Eigen/Dense>
#include <cmath>
#include <string>
#include <vector>

#include "family.h"
#include "glm_start.h"
#include "mixed_rows.h"

namespace partialpool {

// A direction of beta along which the likelihood never falls (Albert & Anderson 1984): the estimate
// is at infinity.
struct Separation {
  bool found = false, complete = false;
  Eigen::VectorXd direction;  // standardised
};

// Scoring on separated data ends in steps along such a direction; whether the last step is one is
// then decided row by row, and by a look far ahead.
inline Separation find_separation(const MixedRows& rows, const Family& family,
                                  const GlmStart& start) {
  Separation out;
  if (rows.p_x() == 0 || start.direction.squaredNorm() == 0.0) return out;
  const Eigen::VectorXd t = rows.x().transpose() * start.direction;
  const double largest = t.cwiseAbs().maxCoeff();
  const double tolerance = 1e-4 * largest;
  bool complete = true;
  for (Eigen::Index i = 0; i < rows.n(); ++i) {
    const int way = family.unbounded_direction(i);
    if (way == 0 ? std::fabs(t[i]) > tolerance : way * t[i] < -tolerance) return out;
    complete = complete && way * t[i] > 1e-3 * tolerance;
  }
  // Past a finite estimate the likelihood falls.
  const Eigen::VectorXd ahead = start.eta + (3.0 / largest) * t;
  const double here = family.value(start.eta.data()), there = family.value(ahead.data());
  if (!(there >= here - 1e-9 * (1.0 + std::fabs(here)))) return out;
  out.found = true;
  out.complete = complete;
  out.direction = start.direction;
  return out;
}

}  // namespace partialpool

#endif
