# The Tweedie distribution with 1 < p < 2: a Poisson number of gamma variables, summed. Density by
# Dunn & Smyth (2005), Statistics and Computing 15: the terms of the series around the largest one.
# Arguments are vectors of one length: mean mu, dispersion phi; `power` is one number.

tweedie_parts <- function(mu, phi, power) {
  list(
    rate = mu^(2 - power) / (phi * (2 - power)),
    alpha = (2 - power) / (power - 1),
    scale = phi * (power - 1) * mu^(power - 1)
  )
}

log_density_tweedie <- function(y, mu, phi, power) {
  parts <- tweedie_parts(mu, phi, power)
  largest <- y^(2 - power) / (phi * (2 - power))
  vapply(seq_along(y), function(i) {
    if (is.na(y[i]) || is.na(mu[i]) || y[i] < 0) {
      return(if (is.na(y[i] + mu[i])) NA_real_ else -Inf)
    }
    if (y[i] == 0) {
      return(-parts$rate[i])
    }
    k <- counts_around(largest[i], first = 1)
    log_sum_exp(
      stats::dpois(k, parts$rate[i], log = TRUE) +
        stats::dgamma(y[i], k * parts$alpha, scale = parts$scale[i], log = TRUE)
    )
  }, 0)
}

cdf_tweedie <- function(y, mu, phi, power, lower = TRUE) {
  parts <- tweedie_parts(mu, phi, power)
  vapply(seq_along(y), function(i) {
    rate <- parts$rate[i]
    if (is.na(y[i] + rate)) {
      return(NA_real_)
    }
    if (y[i] < 0) {
      return(as.numeric(!lower))
    }
    k <- counts_around(rate, first = 1)
    positive <- sum(stats::dpois(k, rate) *
      stats::pgamma(y[i], k * parts$alpha, scale = parts$scale[i], lower.tail = lower))
    if (lower) exp(-rate) + positive else positive
  }, 0)
}

random_tweedie <- function(mu, phi, power) {
  parts <- tweedie_parts(mu, phi, power)
  jumps <- stats::rpois(length(mu), parts$rate)
  stats::rgamma(length(mu), jumps * parts$alpha, scale = parts$scale)
}

# Whole numbers that hold all but 1e-16 of a sum of Poisson-like terms with this centre.
counts_around <- function(centre, first) {
  reach <- 9 * sqrt(centre) + 30
  seq(max(first, floor(centre - reach)), ceiling(centre + reach))
}

log_sum_exp <- function(x) {
  largest <- max(x)
  if (is.finite(largest)) largest + log(sum(exp(x - largest))) else largest
}
