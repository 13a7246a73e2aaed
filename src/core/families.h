#ifndef PARTIALPOOL_FAMILIES_H
#define PARTIALPOOL_FAMILIES_H

#include "family_beta.h"
#include "family_binomial.h"
#include "family_gamma.h"
#include "family_gaussian.h"
#include "family_nbinom.h"
#include "family_poisson.h"
#include "family_tweedie.h"

namespace partialpool {

template <class D>
inline std::unique_ptr<Family> make_row_family(Link link, const ResponseRows& rows,
                                               bool zero_inflated) {
  if (!link_applies(link, D::kind)) return nullptr;
  return std::make_unique<RowFamily<D>>(rows, link, zero_inflated);
}

inline std::unique_ptr<Family> family_named(const std::string& name, const std::string& link,
                                            const ResponseRows& rows, bool zero_inflated) {
  const Link by = parse_link(link);
  if (!zero_inflated) {
    if (name == "binomial" && by == Link::logit)
      return std::make_unique<KernelFamily<Binomial, LogitKernel>>(rows, by);
    if (name == "poisson" && by == Link::log)
      return std::make_unique<KernelFamily<Poisson, PoissonLogKernel>>(rows, by);
    if (name == "nbinom2" && by == Link::log)
      return std::make_unique<KernelFamily<Nbinom2, Nbinom2LogKernel>>(rows, by);
    if (name == "Gamma" && by == Link::log)
      return std::make_unique<KernelFamily<Gamma, GammaLogKernel>>(rows, by);
  }
  if (name == "binomial") return make_row_family<Binomial>(by, rows, zero_inflated);
  if (name == "poisson") return make_row_family<Poisson>(by, rows, zero_inflated);
  if (name == "truncated_poisson")
    return make_row_family<TruncatedPoisson>(by, rows, zero_inflated);
  if (name == "nbinom1") return make_row_family<Nbinom1>(by, rows, zero_inflated);
  if (name == "nbinom2") return make_row_family<Nbinom2>(by, rows, zero_inflated);
  if (name == "truncated_nbinom1")
    return make_row_family<TruncatedNbinom1>(by, rows, zero_inflated);
  if (name == "truncated_nbinom2")
    return make_row_family<TruncatedNbinom2>(by, rows, zero_inflated);
  if (name == "Gamma") return make_row_family<Gamma>(by, rows, zero_inflated);
  if (name == "inverse.gaussian") return make_row_family<InverseGaussian>(by, rows, zero_inflated);
  if (name == "gaussian") return make_row_family<Gaussian>(by, rows, zero_inflated);
  if (name == "t") return make_row_family<StudentT>(by, rows, zero_inflated);
  if (name == "beta") return make_row_family<Beta>(by, rows, zero_inflated);
  if (name == "betabinomial") return make_row_family<BetaBinomial>(by, rows, zero_inflated);
  if (name == "tweedie") return make_row_family<Tweedie>(by, rows, zero_inflated);
  return nullptr;
}

}  // namespace partialpool

#endif
