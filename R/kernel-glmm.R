#' Generalised linear models with one kernel
#'
#' Fits `y | z` of an exponential or other family with linear predictor
#' `z ~ N(X beta + offset, v0 K + v1 I)` for a known kernel `K` by maximum likelihood. The latent
#' variable `z` is integrated out by expectation propagation (EP), much more accurate than the
#' Laplace approximation where a row says little, as with 0/1 responses.
#'
#' The parameters are `beta`, `scale = v0 + v1` and `delta = v1 / (v0 + v1)`, so that
#' `v0 = scale (1 - delta)` and `v1 = scale delta`, and, where the family has them, its dispersion
#' and shape. They refer to the kernel as given, whatever its mean diagonal.
#'
#' EP gives each row a normal site. Sweeps and Newton steps bring the sites to their fixed point;
#' the residual there is below 1e-9, a bound that no argument loosens, so that value and gradient do
#' not depend on the way to them. The likelihood is maximised by a trust-region Newton method with
#' exact gradient and Hessian, the change of the sites with the parameters included. If no fixed
#' point is found there is an error, which names the rows that are worst, never a value.
#'
#' @section What can be told apart:
#' A 0/1 response says next to nothing about the variance of each row for itself, `v1`: a larger one
#' only stretches the scale of the link. With `fix = NULL`, the default, `delta` is then held at 0,
#' with a message of class `partialpool_message_identifiability`; `fix = list()` frees it. Where the
#' likelihood hardly changes while `scale` runs to infinity, a warning of class
#' `partialpool_warning_identifiability` says so. For `gaussian()` with the identity link `v1` and
#' the dispersion are the same thing: by default `delta` is held at 0 too.
#'
#' @section No kernel:
#' With `kernel = NULL` the variance is `v1 = scale delta` alone, an effect of each row for itself:
#' a fit holds `delta` at 1 (`scale` is the variance) unless `fix` or, with `scale` held, the search
#' decides otherwise. With a 0/1 response, the variance is held at 0 and the model is that of
#' [stats::glm()].
#'
#' @section Edges:
#' A variance of zero, `delta = 0`, `delta = 1` or `scale = 0`, is an ordinary result: it is exact,
#' certified by the sign of the derivative, named in `convergence$boundary` and reported by a
#' message of class `partialpool_message_singular`. Such an optimum is checked by a second search
#' from the other end.
#'
#' @param y The response. For `binomial()`: 0 and 1, logical, a factor of two levels, the number of
#'   successes with `trials`, or a matrix of successes and failures. Counts, positive numbers and so
#'   on as the family demands, see [glmm()].
#' @inheritParams kernel_lmm
#' @param kernel The kernel: made by [kernel()], or a symmetric positive semi-definite matrix, dense
#'   or sparse. Samples are matched by name if both kernel and `y` (or the rows of `X`) have names.
#'   `NULL`: no kernel.
#' @param family The family of the response, as for [glmm()]. There is no default.
#' @param trials For binomial families with the number of successes in `y`: the number of trials,
#'   one for each row or a single one.
#' @param offset A known part of the linear predictor: one value a row, or a single one.
#' @param fix A named list of parameters to hold at given values: `beta`, `scale`, `delta` (or `v0`
#'   and `v1`), `dispersion`, `shape`. `NULL` (default): what the data cannot tell is held, with a
#'   message; `list()`: nothing is.
#' @param start Where the search begins, or the parameters for `fit = FALSE`: a list with some of
#'   `beta`, `scale`, `delta` (or `v0` and `v1`), `dispersion`, `shape`. A fit needs no start. With
#'   `fit = FALSE` those not given are `beta = 0`, `scale = 1`, `delta = 0.5`.
#' @param fit `TRUE` (default) or `FALSE`: value and gradient at the parameters of `start` and
#'   `fix`.
#' @param control Settings made by [pp_control()].
#' @return A fit of class `c("pp_kernel_glmm", "pp_kernel_fit", "pp_fit")`: a plain list. Among its
#'   elements are `coefficients`, `scale`, `delta`, `dispersion`, `shape`, `logLik` (with all
#'   constants), `gradient`, `vcov` (of `beta`, the uncertainty of the other parameters included),
#'   `vcov_full` (of all free parameters, the inverse of the observed information; `NULL` for `fit =
#'   FALSE`), `sites` (`tau` and `nu`: the site of row `i` is `exp(-tau z^2 / 2 + nu z)`),
#'   `posterior` (mean and variance of `z` given `y`) and `convergence` (`status`, `residual`,
#'   `sweeps`, `evaluations`, `iterations`, `decrement`, `boundary`).
#' @section Errors:
#' `partialpool_error_response`, `_variable`, `_kernel`, `_family`, `_argument`, `_start` for bad
#' input; `partialpool_error_fit` if EP finds no fixed point at the start.
#' @references
#' Minka TP (2001). Expectation Propagation for Approximate Bayesian Inference. Proceedings of the
#' Seventeenth Conference on Uncertainty in Artificial Intelligence, 362-369.
#'
#' Rasmussen CE, Williams CKI (2006). Gaussian Processes for Machine Learning, chapter 3. MIT Press.
#' @seealso [kernel_lmm()] for a normal response, [kernel_methods][kernel-methods] for what can be
#'   asked of a fit, [marker_scan()] for tests of many columns.
#' @examples
#' set.seed(1)
#' G <- scale(matrix(rbinom(60 * 40, 2, 0.4), 60))
#' K <- tcrossprod(G) / 40
#' x <- rnorm(60)
#' y <- rpois(60, exp(0.5 + 0.3 * x + drop(G %*% rnorm(40, sd = 0.1))))
#' fit <- kernel_glmm(y, cbind(1, x), K, poisson())
#' fit
#'
#' # value and gradient anywhere
#' kernel_glmm(y, cbind(1, x), K, poisson(), start = list(scale = 2, delta = 0.1), fit = FALSE)
#' @export
kernel_glmm <- function(y, X = NULL, kernel = NULL, family, trials = NULL, offset = NULL,
                        fix = NULL, start = NULL, fit = TRUE, control = pp_control()) {
  call <- match.call()
  if (missing(family)) abort_missing_family()
  fit <- check_flag(fit, "fit")
  control <- as_control(control)
  inputs <- kernel_inputs(
    y, X, kernel, as_family(family), trials, offset, fix = fix, start = start, fit = fit,
    check = control$check
  )
  held <- hold_unidentified(inputs, fit, control$check)
  found <- kernel_ep_found(inputs, held, fit, control)
  kernel_ep_result(inputs, held, found, fit, control, call)
}

# The normal model with known noise: `sites` (tau, nu), or those of y and noise_var.
fit_kernel_normal <- function(inputs, REML, fit, control, call, sites = NULL) {
  held <- hold_unidentified(inputs, fit, control$check)
  found <- if (is.null(sites)) {
    shifted_normal_found(inputs, held, fit, control, REML)
  } else {
    kernel_ep_found(inputs, held, fit, control, sites, REML)
  }
  out <- kernel_ep_result(inputs, held, found, fit, control, call, REML)
  if (control$check) report_small_noise(out)
  out
}

# The same with y less its least squares fit, so that a large mean costs no digits.
shifted_normal_found <- function(inputs, held, fit, control, REML) {
  X <- inputs$X
  y <- inputs$y
  noise <- inputs$noise_var
  shift <- if (is.null(held$beta)) qr.coef(qr(X), y) else held$beta
  shift <- ifelse(is.na(shift), 0, unname(shift))
  centre <- drop(X %*% shift)
  moved <- held
  if (!is.null(held$beta)) moved$beta <- 0 * shift
  shifted <- inputs
  shifted$y <- y - centre
  # What is left of an exact fit is rounding.
  shifted$y[abs(shifted$y) < 16 * .Machine$double.eps * max(abs(y))] <- 0
  if (!is.null(inputs$start$beta)) {
    shifted$start$beta <- inputs$start$beta - shift
  } else if (!fit) {
    shifted$start$beta <- -shift
  }
  sites <- list(tau = 1 / noise, nu = shifted$y / noise)
  found <- kernel_ep_found(shifted, moved, fit, control, sites, REML)
  found$beta <- found$beta + shift
  found$mean <- found$mean + centre
  found$nu <- y / noise
  found
}

# Noise that is next to nothing beside the other variances is a difference of large numbers.
report_small_noise <- function(fit) {
  v <- kernel_variances(fit)
  diagonal <- if (is.null(fit$kernel)) 0 else sum(fit$kernel$values) / fit$n
  total <- v[["v0"]] * diagonal + v[["v1"]]
  if (is.null(fit$noise_var) || total < 1e8 * min(fit$noise_var)) {
    return(invisible())
  }
  small <- signif(min(fit$noise_var), 3)
  pp_warn("fit", c(
    "!" = "{.arg noise_var} is so small beside the other variances that digits are lost.",
    i = "Its smallest value is {small}, the variance of the latent variable {signif(total, 3)}.",
    ">" = "Use {.code noise_var = NULL}, or a larger value."
  ))
}

# What is held: what the caller says, the family has, and the data cannot tell.
hold_unidentified <- function(inputs, fit, inform) {
  held <- inputs$held
  if (!fit) {
    return(held)
  }
  # Without any variance there is nothing to share out.
  if (identical(held$scale, 0) && is.null(held$delta)) {
    held$delta <- if (is.null(inputs$kernel)) 1 else 0
  }
  binary <- !is.null(inputs$family) && is_binary(inputs)
  if (is.null(inputs$kernel)) {
    if (binary && is.null(inputs$fix)) {
      held[c("scale", "delta")] <- list(0, 1)
      if (inform) {
        inform_held("Without a kernel a response of 0 and 1 does not determine the variance of each
                     row: {.code scale} is held at 0.", NULL)
      }
    } else if (is.null(held$scale) && is.null(held$delta)) {
      held$delta <- 1
    }
    return(held)
  }
  if (!is.null(inputs$fix)) {
    return(held)
  }
  if (binary) {
    held$delta <- 0
    if (inform) {
      inform_held("A response of 0 and 1 does not determine the variance of each row for itself:
                   {.code delta} is held at 0.")
    }
  } else if (!is.null(inputs$family) && is_gaussian(inputs$family) && is.null(held$dispersion)) {
    held$delta <- 0
    if (inform) {
      inform_held("The dispersion of {.fn gaussian} is the variance of each row for itself:
                   {.code delta} is held at 0.")
    }
  }
  held
}

inform_held <- function(text, same = "list(delta = 0)") {
  also <- if (!is.null(same)) paste0(", `fix = ", same, "` holds it without this message")
  pp_inform("identifiability", c(i = text, ">" = "{.code fix = list()} frees it{also}."))
}

# Calls the engine at or from the parameters held, given or found there.
kernel_ep_found <- function(inputs, held, fit, control, sites = NULL, REML = FALSE) {
  pick <- function(name, default) {
    value <- if (is.null(held[[name]])) inputs$start[[name]] else held[[name]]
    if (is.null(value)) default else value
  }
  p <- ncol(inputs$X)
  family <- inputs$family
  shape <- pick("shape", NA_real_)
  begin <- list(
    beta = as.numeric(pick("beta", rep(if (fit) NA_real_ else 0, p))),
    scale = pick("scale", if (fit) NA_real_ else 1),
    delta = pick("delta", if (fit) NA_real_ else 0.5),
    log_phi = log(pick("dispersion", NA_real_)),
    shape = if (is.na(shape)) NA_real_ else shape_to_engine(family, shape)
  )
  parameters <- c("beta", "scale", "delta", "dispersion", "shape")
  fixed <- lapply(stats::setNames(nm = parameters), function(name) !is.null(held[[name]]))
  n <- inputs$n
  spectrum <- if (is.null(inputs$kernel)) no_spectrum(n) else kernel_spectrum(inputs$kernel)
  rows <- list(
    X = unname(inputs$X), y = as.numeric(inputs$y), trials = inputs$trials,
    offset = if (is.null(inputs$offset)) numeric(n) else inputs$offset,
    values = as.numeric(spectrum$values), vectors = spectrum$vectors, tau = sites$tau,
    nu = sites$nu
  )
  model <- if (is.null(sites)) family[c("family", "link")] else list(REML = REML)
  found <- kernel_ep_fit(
    rows, model, begin, fixed, fit, control$tolerance, control$max_iterations, control$progress
  )
  check_kernel_found(found, inputs, fit)
  found
}

check_kernel_found <- function(found, inputs, fit) {
  if (is.null(found$value) || !is.finite(found$value)) {
    labels <- if (is.null(inputs$names)) seq_len(inputs$n) else inputs$names
    residual <- signif(found$convergence$residual, 2L)
    rows <- found$rows
    where <- if (length(rows)) describe_rows(labels[rows])
    pp_abort(if (is.null(inputs$start) || !length(inputs$start)) "fit" else "start", c(
      x = if (is.null(inputs$family)) {
        "The log-likelihood is not finite at these parameters."
      } else {
        "Expectation propagation found no fixed point."
      },
      i = if (nzchar(found$failure)) "The reason: {found$failure}.",
      i = if (length(rows) == 1L) "It failed in {where}.",
      i = if (length(rows) > 1L) {
        "The residual was {residual} after {found$convergence$sweeps} sweeps, the largest in
         {where}."
      },
      ">" = "Try other starting values, or hold {.code scale} at a smaller one."
    ), rows = rows)
  }
}

# The fit of what the engine found, and what must be said of it.
kernel_ep_result <- function(inputs, held, found, fit, control, call, REML = FALSE) {
  family <- inputs$family
  has <- list(
    dispersion = !is.null(family) && traits_of(family)$dispersion,
    shape = !is.null(family) && !is.null(traits_of(family)$shape)
  )
  names <- kernel_parameter_names(colnames(inputs$X), has$dispersion, has$shape)
  parameters <- c("beta", "scale", "delta", names(has)[unlist(has)])
  fixed <- vapply(parameters, function(name) !is.null(held[[name]]), NA)
  if (!ncol(inputs$X)) fixed[["beta"]] <- TRUE
  convergence <- kernel_convergence(found, fixed, fit)
  covariance <- if (fit) {
    kernel_covariance(found$hessian, names, fixed, convergence$boundary, ncol(inputs$X))
  }
  columns <- if (!fixed[["beta"]]) colnames(inputs$X)
  named <- function(x) stats::setNames(x, inputs$names)
  out <- new_kernel_fit(inputs, call, if (is.null(family)) "normal" else "ep",
    coefficients = found$beta, scale = found$scale, delta = found$delta, fixed = fixed,
    logLik = found$value, gradient = stats::setNames(found$gradient, names),
    vcov = if (fit && length(columns)) covariance[columns, columns], vcov_full = covariance,
    dispersion = if (has$dispersion) exp(found$log_phi),
    shape = if (has$shape) shape_from_engine(family, found$shape),
    sites = list(tau = found$tau, nu = found$nu),
    posterior = list(mean = named(found$mean), variance = named(found$variance)),
    convergence = convergence, REML = REML, fitted = fit, control = control
  )
  if (fit) report_kernel(out)
  out
}

kernel_convergence <- function(found, fixed, fit) {
  convergence <- found$convergence
  boundary <- c(if (found$no_kernel) "v0 = 0", if (found$no_iid) "v1 = 0")
  if (!fit || fixed[["scale"]] && fixed[["delta"]]) boundary <- NULL
  # What is held at an end is no result.
  if (fixed[["delta"]] && found$scale > 0) boundary <- NULL
  part <- c("v0 = 0" = "kernel", "v1 = 0" = "rows")[boundary]
  convergence$boundary <- as.character(boundary)
  convergence$singular <- length(boundary) > 0L
  convergence$components <- component_frame(
    as.character(unname(part)), rep("the variance is zero", length(part))
  )
  convergence
}

# The inverse of the observed information of the free parameters. At an edge the logarithm or logit
# there is no parameter.
kernel_covariance <- function(hessian, names, fixed, boundary, p) {
  part <- c(rep("beta", p), "scale", "delta", setdiff(names(fixed), c("beta", "scale", "delta")))
  free <- !fixed[part]
  if (length(boundary)) free[part == "delta"] <- FALSE
  if (length(boundary) == 2L) free[part == "scale"] <- FALSE
  information <- -hessian[free, free, drop = FALSE]
  d <- sqrt(abs(diag(information)))
  inverse <- tryCatch(solve(information / tcrossprod(d)) / tcrossprod(d), error = function(e) {
    matrix(NA_real_, length(d), length(d))
  })
  # Where nothing is known rounding may leave a negative variance.
  lost <- !(diag(inverse) > 0) %in% TRUE
  inverse[lost, ] <- NA_real_
  inverse[, lost] <- NA_real_
  dimnames(inverse) <- list(names[free], names[free])
  inverse
}

report_kernel <- function(fit) {
  convergence <- fit$convergence
  status <- convergence$status
  if (status %in% c("iteration limit", "no ascent")) {
    pp_warn("fit", c(
      "!" = "The search for the maximum stopped early: {status}.",
      i = "The log-likelihood might still gain {signif(convergence$decrement, 2)}.",
      ">" = if (status == "iteration limit") {
        "Raise {.arg max_iterations} in {.fn pp_control}."
      } else {
        "Try other starting values."
      }
    ))
  }
  if (!fit$control$check) {
    return(invisible())
  }
  if (status == "converged") report_slope(fit)
  flat <- !fit$fixed[["scale"]] && fit$scale > 0 && !is_scale_determined(fit)
  if (status == "unbounded scale" || flat) {
    pp_warn("identifiability", c(
      "!" = "The data do not determine {.code scale}: the likelihood hardly changes while it runs to
             infinity.",
      i = "The search stopped at {signif(fit$scale, 3)}; the coefficients grow with it.",
      ">" = if (fit$fixed[["delta"]]) "Hold {.code scale} by {.arg fix}."
            else "Hold {.code delta}: {.code fix = list(delta = 0)}."
    ))
  }
  # With a scale that runs away the coefficients do too, for no reason of their own.
  runaway <- flat || status == "unbounded scale"
  if (!fit$fixed[["beta"]] && !runaway) report_infinite_coefficients(fit)
  components <- convergence$components
  if (nrow(components)) {
    inform_plainly("singular", if (nrow(components) > 1L) {
      "The fit is singular: both variances, of the kernel and of the rows, are zero."
    } else {
      paste0(
        "The fit is singular: the variance of the ", components$term, " is zero (",
        convergence$boundary, ")."
      )
    })
  }
}

# At a maximum nothing is to be gained: less than tenths of a standard error, where there is one.
report_slope <- function(fit) {
  v <- fit$vcov_full
  if (!length(v)) {
    return(invisible())
  }
  slope <- fit$gradient[rownames(v)]
  se <- suppressWarnings(sqrt(diag(v)))
  reach <- abs(slope) * pmin(se, 1, na.rm = TRUE)
  steep <- reach > max(0.1, 2 * sqrt(fit$control$tolerance))
  if (any(steep)) {
    labels <- names(slope)[steep]
    pp_warn("fit", c(
      "!" = "The maximum was not found: the log-likelihood still rises with {.code {labels}}.",
      i = "{cli::qty(labels)}Its derivative{?s} there: {signif(slope[steep], 2)}.",
      ">" = "The data may have no maximum there: hold the parameter by {.arg fix}, or choose another
             family."
    ))
  }
}

# Coefficients of a discrete response without any information run to infinity: in units of the rows.
report_infinite_coefficients <- function(fit) {
  if (is.null(fit$family) || !traits_of(fit$family)$discrete) {
    return(invisible())
  }
  X <- fit$X
  v <- fit$vcov
  spread <- rowSums((X %*% v) * X)
  if (all(is.finite(spread)) && max(spread) < 1e6) {
    return(invisible())
  }
  share <- sqrt(diag(v)) * sqrt(colMeans(X^2))
  columns <- colnames(X)[!is.finite(share) | share > 1e-3 * max(share[is.finite(share)], 0)]
  pp_warn("separation", c(
    "!" = "{cli::qty(columns)}The coefficient{?s} of {.code {columns}} run{?s/} to infinity.",
    i = "{.arg X} tells the responses apart without an error; what is printed is where the search
         stopped."
  ))
}

# Is log(scale) known to within a factor of e^10?
is_scale_determined <- function(fit) {
  v <- fit$vcov_full
  if (!"log(scale)" %in% rownames(v)) {
    return(TRUE)
  }
  se <- suppressWarnings(sqrt(v["log(scale)", "log(scale)"]))
  fit$scale < 100 || isTRUE(se < 10)
}
