# The mean of the response over a normal linear predictor.

# list(mean, sd) of the conditional mean of the response, as functions of the linear predictor.
response_moments <- function(fit, mean, variance, with_sd = FALSE) {
  family <- distribution_of(fit)
  normal_moments(fit$family, mean, variance, with_sd, is_truncated(fit), function(eta) {
    p <- kernel_parameters(fit, eta, 1)
    if (is_truncated(fit)) family$mean(p) else p$mu
  })
}

# E f(eta), eta ~ N(mean, variance), with f the inverse link, or the mean of a truncated family.
normal_moments <- function(family, mean, variance, with_sd, family_mean, f) {
  s <- sqrt(variance)
  link <- if (family_mean) "" else family$link
  closed <- switch(link,
    identity = list(mean = mean, sd = s),
    log = list(
      mean = exp(mean + variance / 2), sd = exp(mean + variance / 2) * sqrt(expm1(variance))
    ),
    sqrt = list(mean = mean^2 + variance, sd = sqrt(4 * mean^2 * variance + 2 * variance^2)),
    inverse = , "1/mu^2" = {
      value <- f(mean)
      list(mean = value, sd = abs(family$mu.eta(mean)) * s)
    },
    probit = list(mean = stats::pnorm(mean / sqrt(1 + variance)))
  )
  if (!is.null(closed) && !(with_sd && is.null(closed$sd))) {
    return(closed)
  }
  rule <- lapply(seq_along(mean), function(i) normal_rule(mean[i], s[i], f))
  value <- vapply(rule, function(r) r[[1L]], 0)
  list(
    mean = if (is.null(closed$mean)) value else closed$mean,
    sd = if (with_sd) vapply(rule, function(r) r[[2L]], 0)
  )
}

# Trapezoid rule: its error falls geometrically with the step for a function without poles near the
# real line. Those of the inverse links lie at a distance of 1 or more, in units of eta.
normal_rule <- function(mean, s, f) {
  if (!is.finite(mean + s)) {
    return(c(NA_real_, NA_real_))
  }
  if (s == 0) {
    return(c(f(mean), 0))
  }
  step <- max(min(0.2, 0.2 / s), 1e-5)
  # A mean that grows like exp(eta) has most of its integral above.
  t <- seq(-9, 9 + min(s, 30), by = step)
  weight <- stats::dnorm(t) * step
  values <- f(mean + s * t)
  first <- sum(weight * values)
  c(first, sqrt(sum(weight * (values - first)^2)))
}

# Parameters of the response at linear predictors, as the functions of `distributions` take them.
kernel_parameters <- function(fit, eta, trials = if (is.null(fit$trials)) 1 else fit$trials) {
  disp <- if (!is.null(fit$dispersion)) rep_len(log(fit$dispersion), length(eta))
  parameters_at(fit, list(cond = eta, disp = disp), trials)
}
