# effects: what Effect() and its sisters need to know of a fit.

# `KR`: the covariance of Kenward and Roger, for linear models as for those of lme4.
Effect.pp_fit <- function(focal.predictors, mod, ..., KR = FALSE) {
  sources <- effSources.pp_fit(mod)
  if (check_flag(KR, "KR") && inherits(mod, "pp_lmm")) {
    sources$vcov <- as.matrix(inference(restricted_fit(mod), "kenward-roger")$vcov)
  }
  default <- utils::getS3method("Effect", "default", envir = asNamespace("effects"))
  default(focal.predictors, mod, ..., sources = sources)
}

# Effect() refits a model without random effects to have its terms, and puts coefficients and their
# covariance in: the data go into the call, so that nothing is looked for elsewhere.
effSources.pp_fit <- function(mod) {
  fixed <- stats::formula(mod, fixed.only = TRUE)
  family <- family_of_effects(stats::family(mod))
  call <- as.call(list(
    mod$call[[1L]], formula = fixed, data = raw_variables(mod), contrasts = mod$contrasts
  ))
  offset <- mod$frame[["(offset)"]]
  if (!is.null(offset)) call$offset <- offset
  list(
    type = "glm", call = call, formula = fixed, family = family,
    coefficients = fixef.pp_fit(mod, add.dropped = TRUE), vcov = as.matrix(stats::vcov(mod))
  )
}

effSources.pp_kernel_fit <- function(mod) {
  pp_abort("argument", c(
    x = "A kernel model was made of matrices: it has no predictors whose effects could be shown.",
    ">" = "{.fn linear_hypothesis} estimates linear functions of its coefficients."
  ))
}

# Of the family only the link and whether quantiles are normal matter, and that glm() can take its
# one step: families of our own are stood in for by one of stats, with normal quantiles.
family_of_effects <- function(family) {
  known <- c("gaussian", "binomial", "poisson", "Gamma", "inverse.gaussian", "quasibinomial",
             "quasipoisson")
  if (family$family %in% known) {
    like <- get(family$family, asNamespace("stats"))(link = family$link)
    # That of the binomial family would warn of proportions, whose weights glm() is not given.
    if (family$family == "binomial") like$initialize <- stats::quasibinomial()$initialize
    return(like)
  }
  proportion <- traits_of(family)$response == "proportion"
  fake <- if (proportion) stats::binomial() else stats::poisson()
  link <- c("link", "linkfun", "linkinv", "mu.eta", "valideta")
  fake[link] <- family[link]
  if (!proportion) {
    # Any start within the range of the mean will do.
    fake$initialize <- expression({
      n <- rep.int(1, nobs)
      mustart <- rep.int(family$linkinv(1), nobs)
    })
    fake$variance <- function(mu) rep.int(1, length(mu))
    fake$dev.resids <- function(y, mu, wt) wt * (y - mu)^2
    fake$validmu <- function(mu) TRUE
  }
  fake
}
