# The variance of the response in parts: fixed effects, random terms, the rest.

# list(fixed, random (named, by term), row_effects, distribution, unit, method): variances in units
# of unit^2; on the scale of the link for a generalised model. row_effects: of terms with an effect
# for every row.
variance_parts <- function(fit, method = NULL) UseMethod("variance_parts")

variance_parts.pp_lmm <- function(fit, method = NULL) {
  if (!is.null(method)) {
    pp_abort("argument", c(
      x = "{.arg method} is for fits by {.fn glmm}: a linear model has its residual variance."
    ))
  }
  random <- vapply(seq_along(fit$random), function(t) mean_term_variance(fit, t), 0)
  list(
    fixed = fixed_variance(fit, fit$sigma), random = name_terms(random, fit), row_effects = 0,
    distribution = mean_inverse_weight(fit), unit = fit$sigma, method = NULL
  )
}

variance_parts.pp_glmm <- function(fit, method = NULL) {
  check_distribution_variance(fit)
  method <- distribution_method(fit, method)
  random <- vapply(seq_along(fit$random), function(t) mean_term_variance(fit, t), 0)
  by_row <- vapply(fit$random, function(term) length(term$levels) == fit$n, NA)
  list(
    fixed = fixed_variance(fit, 1), random = name_terms(random, fit)[!by_row],
    row_effects = sum(random[by_row]), distribution = distribution_variance(fit, method),
    unit = 1, method = method
  )
}

variance_parts.pp_kernel_fit <- function(fit, method = NULL) abort_no_variance_parts(fit)

fixed_variance <- function(fit, unit) {
  stats::var(as.vector(fit$X %*% (fit$coefficients / unit)))
}

name_terms <- function(values, fit) {
  stats::setNames(values, vapply(fit$random, function(term) term$name, ""))
}

# The mean over the rows of z' Lambda Lambda' z, times the variance of the level by its kernel.
mean_term_variance <- function(fit, t) {
  term <- fit$random[[t]]
  factor <- unname(fit$Lambda[[t]])
  by_row <- if (is.null(term$z)) {
    rep(sum(factor^2), fit$n)
  } else {
    rowSums((term$z %*% factor)^2)
  }
  if (has_kernel(term)) by_row <- by_row * rowSums(term$kernel$loading^2)[term$codes]
  mean(by_row)
}

mean_inverse_weight <- function(fit) if (is.null(fit$weights)) 1 else mean(1 / fit$weights)

# Variance of the distribution on the scale of the link ----------------------------------------

distribution_methods <- c("theoretical", "lognormal", "delta", "trigamma")

distribution_method <- function(fit, method) {
  family <- fit$family
  known <- c(
    if (link_variance(family) > 0) "theoretical", if (family$link == "log") "lognormal", "delta",
    if (family$link == "log") "trigamma"
  )
  if (is.null(method)) {
    return(known[1L])
  }
  method <- choose_option(method, distribution_methods, "method")
  if (!method %in% known) {
    pp_abort("argument", c(
      x = "{.arg method} cannot be {.val {method}} for {family_name(family)} with the
           {.val {family$link}} link.",
      i = "It can be {.or {.val {known}}}."
    ))
  }
  method
}

check_distribution_variance <- function(fit) {
  if (!has_variance(fit)) {
    pp_abort("argument", c(
      x = "The variance of the response is infinite: there are no shares of it.",
      i = "The fit has {signif(fit$shape, 3)} degrees of freedom; a variance needs more than 2."
    ))
  }
}

distribution_variance <- function(fit, method) {
  if (method == "theoretical") {
    return(link_variance(fit$family))
  }
  mu <- mean_without_predictors(fit)
  p <- fitted_parameters(fit, rep(fit$family$linkfun(mu), fit$n))
  p$trials <- rep(1, fit$n)
  family <- distribution_of(fit)
  mean <- family$mean(p)
  v <- mean(family$variance(p) / (if (method == "delta") 1 else mean^2))
  switch(method,
    lognormal = log1p(v), trigamma = trigamma(1 / v),
    delta = v / fit$family$mu.eta(fit$family$linkfun(mu))^2
  )
}

# The mean of the response in the model of the intercept and the random terms alone, averaged over
# the random effects; without them where a link is not defined for every linear predictor.
mean_without_predictors <- function(fit) {
  null <- if (identical(colnames(fit$X), "(Intercept)")) fit else null_fit(fit)
  random <- vapply(seq_along(null$random), function(t) mean_term_variance(null, t), 0)
  eta <- null$coefficients[["(Intercept)"]]
  if (!is.null(null$offset)) eta <- eta + null$offset
  spread <- if (null$family$link %in% c("inverse", "1/mu^2")) 0 else sqrt(sum(random))
  mean(normal_average(null$family$linkinv, eta, spread))
}

null_fit <- function(fit) {
  design <- design_of(fit)
  n <- length(design$y)
  X <- matrix(1, n, 1L, dimnames = list(NULL, "(Intercept)"))
  attr(X, "assign") <- 0L
  design$X <- X
  control <- quiet_fit(fit)$control
  fit_glmm(design, integral_of(fit), fit$REML, NULL, NULL, control, NULL)
}

# E f(eta + s Z) by the trapezoidal rule, which is exact to rounding for smooth f.
normal_average <- function(f, eta, s) {
  if (s == 0) {
    return(f(eta))
  }
  z <- seq(-8, 8, length.out = 161L)
  w <- stats::dnorm(z)
  w <- w / sum(w)
  total <- 0
  for (k in seq_along(z)) total <- total + w[k] * f(eta + s * z[k])
  total
}
