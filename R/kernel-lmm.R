#' Gaussian models with one kernel
#'
#' Fits `y ~ N(X beta, v0 K + v1 I)` for a known kernel `K` by restricted or plain maximum
#' likelihood. One rotation by the eigenvectors of the kernel makes the covariance diagonal; after
#' it the criterion is a function of one number, `delta = v1 / (v0 + v1)`, and costs O(n p^2). All
#' its minima over the whole interval, the ends included, are located and the lowest is returned:
#' there is no start to choose, and no local optimum to be caught in.
#'
#' The parameters are `beta`, `scale = v0 + v1` and `delta`, so that `v0 = scale (1 - delta)` is the
#' variance that goes with the kernel and `v1 = scale delta` that of each row for itself. They refer
#' to the kernel as given, whatever its mean diagonal.
#'
#' The log-likelihood has all constants; with `REML = TRUE` it is that of 'lme4', the density of
#' error contrasts. (Other programs add half the log determinant of `X'X` to it.) At given
#' parameters, `fit = FALSE`, it is a function of `(beta, scale, delta)`: the density of `y`, to
#' which `REML = TRUE` adds `p / 2 log(2 pi) - 1 / 2 log|X' V^-1 X|`, `V` the covariance matrix of
#' `y`. At the best `beta` that is the restricted likelihood. Its gradient by `beta`, `log(scale)`
#' and `logit(delta)` is the element `gradient`.
#'
#' With `noise_var` the rows have measurement errors of known variances besides:
#' `y ~ N(X beta, v0 K + v1 I + diag(noise_var))`. The sites `tau`, `nu` of an EP fit may be given,
#' as `y = nu / tau` and `noise_var = 1 / tau`.
#'
#' With a matrix `y` of several columns, traits of the same samples, the covariance of row `i` of
#' trait `a` and row `j` of trait `b` is `C0[a, b] K[i, j] + C1[a, b] (i == j)`; see
#' [kernel_traits].
#'
#' @section Edges: An estimate `delta = 0` or `delta = 1` is a variance of zero, `v1` or `v0`. It is
#' certified by the sign of the derivative, named in `convergence$boundary` and reported by a
#' message of class `partialpool_message_singular`.
#'
#' If the fixed effects fit all of `y` that the kernel does not reach (a centred relationship matrix
#' with an intercept in `X`), the likelihood that `REML = FALSE` maximises grows without limit as
#' `delta` goes to 0: it says nothing about the data. The best interior optimum is returned then,
#' with a warning of class `partialpool_warning_identifiability`. The restricted likelihood has no
#' such fault.
#'
#' @param y The response: a numeric vector, or a matrix with a column a trait.
#' @param X The fixed effects: a numeric matrix with a row for each value of `y`, or a vector.
#'   Default `NULL`: an intercept. Dependent columns are left out, with a message.
#' @param kernel The kernel: made by [kernel()], or a symmetric positive semi-definite matrix, dense
#'   or sparse. Samples are matched by name if both kernel and `y` (or the rows of `X`) have names.
#'   `NULL`: no kernel, ordinary least squares.
#' @param REML `TRUE` (default) for restricted, `FALSE` for plain maximum likelihood. With `beta`
#'   held nothing is left to restrict: the default is `FALSE` then.
#' @param noise_var Known variances of measurement error: positive, one for each row or a single
#'   one. Default `NULL`: none.
#' @param rank The rank of `C0` with several traits: a whole number up to the number of traits,
#'   which is the default.
#' @param fix A named list of parameters to hold at given values: `scale`, `delta`, `beta`; or `v0`
#'   and `v1`. Default: none.
#' @param start Parameters for `fit = FALSE`: a list with some of `beta`, `scale`, `delta`, or `v0`
#'   and `v1`. Those not given are 0, 1 and 0.5. A fit needs no start.
#' @param fit `TRUE` (default) or `FALSE`: value and gradient at the parameters of `start` and
#'   `fix`.
#' @param control Settings made by [pp_control()].
#' @return A fit of class `c("pp_kernel_lmm", "pp_kernel_fit", "pp_fit")`: a plain list. Among its
#'   elements are `coefficients`, `scale`, `delta`, `logLik`, `gradient`, `vcov` (of `beta` at the
#'   estimated covariance, `(X' V^-1 X)^-1`), `vcov_full` (of all free parameters, the inverse of
#'   the observed information; `NULL` for `fit = FALSE`), `posterior` (mean and variance of `X beta`
#'   plus the part of the kernel, given `y`), and `convergence` (`status`, `evaluations`, `minima`,
#'   the number of interior minima found, `boundary`).
#' @section Errors:
#' `partialpool_error_response`, `_variable`, `_kernel`, `_argument`, `_start` for bad input;
#' `partialpool_error_fit` if `X` fits `y` exactly or the criterion is not finite at given
#' parameters; `partialpool_error_identifiability` if the data cannot tell the kernel from the
#' identity.
#' @references
#' Kang HM et al. (2008). Efficient Control of Population Structure in Model Organism Association
#' Mapping. Genetics 178, 1709-1723. \doi{10.1534/genetics.107.080101}
#'
#' Lippert C et al. (2011). FaST Linear Mixed Models for Genome-Wide Association Studies. Nature
#' Methods 8, 833-835. \doi{10.1038/nmeth.1681}
#' @seealso [kernel_glmm()] for other families, [marker_scan()] for tests of many columns.
#' @examples
#' set.seed(1)
#' G <- matrix(rbinom(60 * 20, 2, 0.4), 60)
#' K <- tcrossprod(scale(G)) / 20
#' y <- drop(scale(G) %*% rnorm(20, sd = 0.2)) + rnorm(60)
#' fit <- kernel_lmm(y, kernel = K)
#' fit
#' kernel_lmm(y, kernel = K, start = list(scale = 1.5, delta = 0.7), fit = FALSE)$gradient
#' @export
kernel_lmm <- function(y, X = NULL, kernel = NULL, REML = TRUE, noise_var = NULL, rank = NULL,
                       fix = NULL, start = NULL, fit = TRUE, control = pp_control()) {
  call <- match.call()
  REML_given <- !missing(REML)
  REML <- check_flag(REML, "REML")
  fit <- check_flag(fit, "fit")
  control <- as_control(control)
  traits <- is.matrix(y) && ncol(y) > 1L
  if (!is.null(rank) && !traits) {
    pp_abort("argument", c(
      x = "{.arg rank} is for a matrix {.arg y} of several traits.",
      i = "It is the rank of their covariance that goes with the kernel."
    ))
  }
  if (traits) {
    return(fit_kernel_traits(y, X, kernel, REML, noise_var, rank, fix, start, fit, control, call))
  }
  inputs <- kernel_inputs(y, X, kernel, noise_var = noise_var, fix = fix, start = start, fit = fit,
                          check = control$check)
  REML <- check_restriction(inputs, REML, REML_given, fit)
  if (!is.null(noise_var)) {
    return(fit_kernel_normal(inputs, REML, fit, control, call))
  }
  fit_spectral(inputs, REML, fit, control, call)
}

check_restriction <- function(inputs, REML, given, fit) {
  if (is.null(inputs$fix$beta) || !REML || !fit) {
    return(REML)
  }
  if (given) {
    pp_abort("argument", c(
      x = "{.code REML = TRUE} and {.code beta} in {.arg fix} do not go together.",
      i = "Restricted likelihood is that of what is free of {.code beta}.",
      ">" = "Use {.code REML = FALSE}."
    ))
  }
  FALSE
}

fit_spectral <- function(inputs, REML, fit, control, call) {
  spectrum <- if (is.null(inputs$kernel)) no_spectrum(inputs$n) else kernel_spectrum(inputs$kernel)
  held <- inputs$fix
  if (is.null(inputs$kernel)) held$delta <- check_no_kernel(held, inputs$start)
  fixed <- vapply(c("beta", "scale", "delta"), function(name) !is.null(held[[name]]), NA)
  if (!fit) {
    at <- given_or_default(inputs, held)
    found <- spectral_at(
      spectrum$vectors, spectrum$values, inputs$X, inputs$y, REML, at$beta, at$scale, at$delta
    )
    check_spectral_value(found, at)
    found$beta <- at$beta
    found[c("scale", "delta")] <- at[c("scale", "delta")]
  } else {
    found <- spectral_fit(
      spectrum$vectors, spectrum$values, inputs$X, inputs$y, REML, held$beta,
      if (is.null(held$scale)) -1 else held$scale, if (is.null(held$delta)) NA else held$delta
    )
    check_spectral_fit(found, held, inputs)
    if (!is.null(held$beta)) found$beta <- held$beta
  }
  names <- kernel_parameter_names(colnames(inputs$X))
  convergence <- spectral_convergence(found, fixed, fit)
  out <- new_kernel_fit(inputs, call, "spectral",
    coefficients = found$beta, scale = found$scale, delta = found$delta, fixed = fixed,
    logLik = found$logLik, gradient = stats::setNames(found$gradient, names), vcov = found$vcov,
    vcov_full = if (fit) free_vcov(found$hessian, names, fixed, convergence$boundary),
    posterior = rotated_posterior(inputs, spectrum, found), convergence = convergence,
    REML = REML, fitted = fit, control = control
  )
  if (fit && control$check) report_spectral(out, found)
  out
}

no_spectrum <- function(n) list(values = numeric(), vectors = matrix(0, n, 0L))

# Without a kernel there is nothing that delta could share out.
check_no_kernel <- function(held, start) {
  for (given in list(held$delta, start$delta)) {
    if (!is.null(given) && given == 0) {
      pp_abort("argument", c(
        x = "{.code delta = 0} leaves no variance at all: there is no kernel.",
        ">" = "Give {.arg kernel}, or leave {.code delta} out."
      ))
    }
  }
  1
}

# Values held, given, or the defaults.
given_or_default <- function(inputs, held) {
  pick <- function(name, default) {
    value <- if (is.null(held[[name]])) inputs$start[[name]] else held[[name]]
    if (is.null(value)) default else value
  }
  list(beta = pick("beta", rep(0, ncol(inputs$X))), scale = pick("scale", 1),
       delta = pick("delta", 0.5))
}

check_spectral_value <- function(found, at) {
  if (found$status != "not fitted") {
    pp_abort("fit", c(
      x = "The log-likelihood is not finite at these parameters.",
      i = if (at$delta == 0) {
        "With {.code delta = 0} the covariance matrix is that of the kernel, which is singular."
      },
      ">" = "Try other values of {.code scale} and {.code delta}."
    ))
  }
}

check_spectral_fit <- function(found, held, inputs) {
  if (found$status == "converged") {
    if (found$delta == 1 && isTRUE(found$v0 > 0) && is.null(held$delta)) abort_large_kernel(inputs)
    return(invisible())
  }
  singular <- identical(held$delta, 0) || found$status == "unbounded"
  switch(found$status,
    rank = pp_abort("rank", c(
      x = "Columns of {.arg X} depend on each other so nearly that arithmetic cannot tell.",
      ">" = "Centre columns that vary little beside their mean, or leave some columns out."
    )),
    exact = pp_abort("fit", c(
      x = "The variance is zero: {.arg X} fits {.arg y} exactly.",
      ">" = "Look for a copy of {.arg y} among the columns of {.arg X}."
    )),
    flat = pp_abort("identifiability", c(
      x = "The data cannot tell the kernel from the identity.",
      i = "After the fixed effects the kernel is a multiple of the identity matrix: the likelihood
           is the same for every {.code delta}.",
      ">" = "Use {.code kernel = NULL}, or hold {.code delta} by {.arg fix}."
    )),
    unbounded = pp_abort("fit", c(
      x = "The likelihood has no maximum: it grows without limit as {.code delta} goes to 0.",
      i = "The fixed effects fit all of {.arg y} that the kernel does not reach.",
      ">" = "Use {.code REML = TRUE}, or hold {.code delta}."
    )),
    pp_abort("fit", c(
      x = "The likelihood is not finite.",
      i = if (singular) "With {.code delta = 0} the covariance matrix is singular."
    ))
  )
}

# Beside 1, v0 is lost.
abort_large_kernel <- function(inputs) {
  size <- signif(max(inputs$kernel$values), 2)
  pp_abort("kernel", c(
    x = "The kernel is too large: its variance is less than the last digit of the total.",
    i = "Its largest eigenvalue is {size}.",
    ">" = "Rescale it, to a mean diagonal of 1 for example."
  ))
}

spectral_convergence <- function(found, fixed, fit) {
  free <- fit && !fixed[["delta"]]
  boundary <- character()
  if (free && found$delta == 0) boundary <- "v1 = 0"
  if (free && (found$delta == 1 || found$v0 == 0)) boundary <- "v0 = 0"
  part <- c("v0 = 0" = "kernel", "v1 = 0" = "rows")[boundary]
  convergence <- list(
    status = found$status, decrement = if (fit) found$decrement,
    evaluations = if (fit) found$evaluations else 1L, minima = found$minima,
    boundary = boundary, singular = length(boundary) > 0L,
    components = component_frame(unname(part), rep("the variance is zero", length(part)))
  )
  convergence[!vapply(convergence, is.null, NA)]
}

# The inverse of the observed information of the free parameters. A logit at an end of the interval
# is no parameter.
free_vcov <- function(hessian, names, fixed, boundary) {
  p <- length(names) - 2L
  free <- c(
    rep(!fixed[["beta"]], p), !fixed[["scale"]], !fixed[["delta"]] && length(boundary) == 0L
  )
  if (!any(free)) {
    return(matrix(0, 0L, 0L))
  }
  information <- -hessian[free, free, drop = FALSE]
  d <- sqrt(abs(diag(information)))
  # A coefficient without variance: only where the rows themselves have none.
  inverse <- tryCatch(solve(information / tcrossprod(d)) / tcrossprod(d), error = function(e) {
    matrix(NA_real_, length(d), length(d))
  })
  dimnames(inverse) <- list(names[free], names[free])
  inverse
}

# Mean and variance, given y, of X beta plus the kernel's part; the variance is that at the given
# parameters.
rotated_posterior <- function(inputs, spectrum, found) {
  mean <- drop(inputs$X %*% found$beta)
  if (length(spectrum$values) == 0L) {
    return(list(mean = mean, variance = numeric(inputs$n)))
  }
  v0 <- if (is.null(found$v0)) found$scale * (1 - found$delta) else found$v0
  v1 <- if (is.null(found$v1)) found$scale * found$delta else found$v1
  share <- v0 * spectrum$values
  shrunk <- share / (share + v1)
  score <- drop(crossprod(spectrum$vectors, inputs$y - mean))
  list(
    mean = mean + drop(spectrum$vectors %*% (shrunk * score)),
    variance = drop(spectrum$vectors^2 %*% (shrunk * v1))
  )
}

report_spectral <- function(fit, found) {
  if (isTRUE(found$unbounded)) {
    pp_warn("identifiability", c(
      "!" = "The likelihood grows without limit as {.code delta} goes to 0; this is an interior
             optimum.",
      i = "The fixed effects fit all of {.arg y} that the kernel does not reach.",
      ">" = "Use {.code REML = TRUE}: the restricted likelihood is bounded."
    ))
  }
  components <- fit$convergence$components
  if (nrow(components)) {
    inform_plainly("singular", paste0(
      "The fit is singular: the variance of the ", components$term, " is zero (",
      fit$convergence$boundary, ")."
    ))
  }
}
