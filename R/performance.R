# The performance package: model quality and checks of assumptions. What it derives from the
# accessors of insight alone needs no method here.

r2.pp_fit <- function(model, ci = NULL, iterations = 100, ci_method = NULL, ...) {
  if (has_random(model)) {
    return(performance::r2_nakagawa(model,
      ci = ci, iterations = iterations, ci_method = ci_method, ...
    ))
  }
  if (!inherits(model, "pp_lmm")) {
    share <- c(R2 = r_squared(model)[["marginal"]])
    return(structure(list(R2 = share), class = c("r2_generic", "list")))
  }
  # As for lm(): with residual degrees of freedom.
  share <- residual_share(model)
  intercept <- "(Intercept)" %in% colnames(model$X)
  n <- model$n
  adjusted <- 1 - (1 - share) * (n - intercept) / (n - ncol(model$X))
  structure(list(R2 = c(R2 = share), R2_adjusted = c("adjusted R2" = adjusted)),
    class = c("r2_generic", "list")
  )
}

# A method of the package for a mixed model of lme4 that asks nothing but accessors, with the name
# under which its plot finds the fit.
by_mixed_method <- function(generic, fit, name, ...) {
  method <- utils::getS3method(generic, "merMod", envir = asNamespace("performance"))
  out <- without_class_warning(method(fit, ...))
  if (!is.null(out) && !is.null(attr(out, "object_name"))) attr(out, "object_name") <- name
  out
}

# DHARMa warns of every class that is not on its list.
without_class_warning <- function(expr) {
  withCallingHandlers(expr, warning = function(w) {
    if (grepl("not in class of supported models", conditionMessage(w), fixed = TRUE)) {
      invokeRestart("muffleWarning")
    }
  })
}

# The criterion that was optimised, unless the other is asked for: that of AIC(fit).
own_estimator <- function(fit) if (isTRUE(fit$REML)) "REML" else "ML"

model_performance.pp_fit <- function(model, metrics = "all", estimator = NULL, verbose = TRUE,
                                     ...) {
  if (is.null(estimator)) estimator <- own_estimator(model)
  by_mixed_method("model_performance", model, NULL,
    metrics = metrics, estimator = estimator, verbose = verbose, ...
  )
}

performance_aic.pp_fit <- function(x, estimator = NULL, verbose = TRUE, ...) {
  stats::AIC(performance_likelihood(x, estimator, verbose))
}

performance_aicc.pp_fit <- function(x, estimator = NULL, verbose = TRUE, ...) {
  value <- performance_likelihood(x, estimator, verbose)
  k <- attr(value, "df")
  n <- x$n
  -2 * as.vector(value) + 2 * k * (n / (n - k - 1))
}

# The log-likelihood, of a transformed response with the Jacobian that brings it to its own units.
performance_likelihood <- function(fit, estimator, verbose) {
  if (is.null(estimator)) estimator <- own_estimator(fit)
  insight::get_loglikelihood(fit,
    check_response = TRUE, REML = identical(estimator, "REML"), verbose = verbose
  )
}

check_overdispersion.pp_fit <- function(x, ...) {
  by_mixed_method("check_overdispersion", x, deparse1(substitute(x)), ...)
}

check_normality.pp_fit <- function(x, effects = "fixed", ...) {
  by_mixed_method("check_normality", x, deparse1(substitute(x)), effects = effects, ...)
}

# For releases before insight::is_converged(). The first argument has been `x` and is `model`.
check_convergence.pp_fit <- function(model, tolerance = 0.001, ..., x = model) convergence_flag(x)

check_singularity.pp_fit <- function(x, tolerance = 1e-05, check = "model", ...) {
  singular <- is_singular(x)
  check <- choose_option(check, c("model", "terms"), "check")
  if (check == "model") {
    return(singular)
  }
  names <- vapply(x$random, function(term) term$name, "")
  stats::setNames(names %in% x$convergence$components$term, names)
}

# Methods that ask insight whether they have a model before them, by a list of names of classes.
# insight::ellipsis_info() gives the fit as one that is on it.
by_default_method <- function(generic, package, fit, ...) {
  method <- utils::getS3method(generic, "default", envir = asNamespace(package))
  without_class_warning(method(insight::ellipsis_info(fit), ...))
}

check_residuals.pp_fit <- function(x, ...) {
  by_default_method("check_residuals", "performance", x, ...)
}

check_group_variation.pp_fit <- function(x, ...) {
  by_default_method("check_group_variation", "performance", x, ...)
}

performance_reliability.pp_fit <- function(x, ...) {
  by_default_method("performance_reliability", "performance", x, ...)
}

check_zeroinflation.pp_fit <- function(x, ...) {
  by_default_method("check_zeroinflation", "performance", x, ...)
}
