# The latent variable of a matrix-level fit, and its predictions.

#' The latent variable of a kernel model
#'
#' The distribution of the latent variable of each row at the parameters of the fit: before the
#' response was seen, or given the response.
#'
#' For [kernel_glmm()], and [kernel_lmm()] with `noise_var`, the latent variable is `z`, normal with
#' mean `X beta + offset` and covariance `Sigma0 = v0 K + v1 I`. Given the response its covariance
#' is `(Sigma0^-1 + T)^-1`, with the precisions `T` of the sites of expectation propagation, or of
#' the known noise; for other than normal responses this is the normal distribution nearest to the
#' exact one, in the sense of expectation propagation.
#'
#' [kernel_lmm()] without `noise_var` observes `z` itself. There the latent variable is the value
#' that it would have without the variance of each row for itself, `X beta + u` with
#' `u ~ N(0, v0 K)`: a genetic value, for example. Its mean given the response is the best linear
#' unbiased predictor.
#'
#' The parameters, the fixed effects among them, are taken as known.
#'
#' @param fit A fit, as [kernel_glmm()] or [kernel_lmm()] returns it.
#' @param type `"posterior"` (default), given the response, or `"prior"`.
#' @param covariance `FALSE` leaves the covariance out. Default `TRUE`.
#' @param ... Not used; anything given here is an error.
#' @return A list: `mean`, a vector with a number per row, and, unless it was left out,
#'   `covariance`, a matrix with a row and a column per row of the data.
#' @section Errors: A `type` that does not exist is of class `partialpool_error_argument`.
#' @references Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 3.6.
#' @examples
#' K <- exp(-as.matrix(dist(1:20)) / 5)
#' y <- rep(c(0, 3, 1, 5), each = 5)
#' fit <- kernel_glmm(y, NULL, K, "poisson")
#' z <- latent(fit)
#' cbind(y, mean = exp(z$mean), sd = sqrt(diag(z$covariance)))
#' @export
latent <- function(fit, ...) UseMethod("latent")

#' @rdname latent
#' @export
latent.pp_kernel_fit <- function(fit, type = c("posterior", "prior"), covariance = TRUE, ...) {
  reject_dots(...)
  type <- choose_option(type, c("posterior", "prior"), "type")
  covariance <- check_flag(covariance, "covariance")
  value <- if (type == "prior") {
    list(mean = prior_mean(fit), covariance = if (covariance) latent_prior(fit))
  } else if (fit$model == "spectral") {
    spectral_posterior(fit, covariance)
  } else {
    site_posterior(fit, covariance)
  }
  names <- fit$names
  value$mean <- stats::setNames(value$mean, names)
  if (covariance) dimnames(value$covariance) <- list(names, names)
  value[c("mean", if (covariance) "covariance")]
}

prior_mean <- function(fit) {
  mean <- as.vector(fit$X %*% fit$coefficients)
  if (is.null(fit$offset)) mean else mean + fit$offset
}

# Covariance of the latent variable: without v1 where the response is that variable and the
# variance of each row.
latent_prior <- function(fit) {
  v <- kernel_variances(fit)
  K <- if (is.null(fit$kernel)) matrix(0, fit$n, fit$n) else unname(kernel_matrix(fit$kernel))
  value <- v[["v0"]] * K
  if (fit$model != "spectral") diag(value) <- diag(value) + v[["v1"]]
  value
}

spectral_posterior <- function(fit, covariance) {
  if (is.null(fit$kernel)) {
    value <- list(mean = prior_mean(fit))
    if (covariance) value$covariance <- matrix(0, fit$n, fit$n)
    return(value)
  }
  v <- kernel_variances(fit)
  spectrum <- kernel_spectrum(fit$kernel)
  Q <- spectrum$vectors
  own <- v[["v0"]] * spectrum$values
  share <- ifelse(own > 0, own / (own + v[["v1"]]), 0)
  mean <- prior_mean(fit)
  value <- list(mean = mean + as.vector(Q %*% (share * crossprod(Q, fit$y - mean))))
  # v0 K - v0^2 K V^-1 K without a difference.
  if (covariance) value$covariance <- Q %*% (share * v[["v1"]] * t(Q))
  value
}

site_posterior <- function(fit, covariance) {
  prior <- latent_prior(fit)
  solver <- site_solver(fit, prior)
  value <- list(mean = prior_mean(fit) + as.vector(prior %*% solver$e))
  if (covariance) {
    reduced <- prior - solver$form(prior)
    value$covariance <- (reduced + t(reduced)) / 2
  }
  value
}

# Solvers: with R = (T^-1 + Sigma0)^-1,
#   e = (I + T Sigma0)^-1 (nu - T o), so that the mean given the response is o + Sigma0 e;
#   product(A) = R A; form(A) = A' R A; squares(A): the diagonal of that.
# T may have zeros, and, for densities that are not log-concave, negative entries.
site_solver <- function(fit, prior = latent_prior(fit)) {
  sites <- sites_of(fit)
  tau <- sites$tau
  mean <- prior_mean(fit)
  if (any(tau < 0)) {
    M <- diag(fit$n) + tau * prior
    R <- solve(M, diag(tau, fit$n))
    R <- (R + t(R)) / 2
    return(list(
      e = solve(M, sites$nu - tau * mean), product = function(A) R %*% A,
      form = function(A) crossprod(A, R %*% A), squares = function(A) colSums(A * (R %*% A))
    ))
  }
  root <- sqrt(tau)
  B <- root * prior * rep(root, each = fit$n)
  diag(B) <- diag(B) + 1
  U <- chol(B)
  # In units of the sites, where a difference of two large numbers has not yet lost its digits.
  none <- tau == 0
  alone <- ifelse(none, sites$nu, 0)
  difference <- ifelse(none, 0, sites$nu / root - root * (mean + as.vector(prior %*% alone)))
  e <- alone + root * backsolve(U, backsolve(U, difference, transpose = TRUE))
  half <- function(A) backsolve(U, root * A, transpose = TRUE)
  list(
    e = e, product = function(A) root * backsolve(U, half(A)),
    form = function(A) crossprod(half(A)), squares = function(A) colSums(half(A)^2)
  )
}

sites_of <- function(fit) {
  if (!is.null(fit$sites)) {
    return(fit$sites)
  }
  list(tau = 1 / fit$noise_var, nu = fit$y / fit$noise_var)
}

# The same where z itself is observed: R = Sigma0^-1, of the complement of the kernel's range too.
spectral_solver <- function(fit) {
  v <- kernel_variances(fit)
  r <- fit$y - prior_mean(fit)
  if (is.null(fit$kernel)) {
    return(solver_of(function(A) A / v[["v1"]], r))
  }
  spectrum <- kernel_spectrum(fit$kernel)
  Q <- spectrum$vectors
  d <- v[["v0"]] * spectrum$values + v[["v1"]]
  solver_of(function(A) {
    rotated <- crossprod(Q, A)
    inside <- Q %*% (rotated / d)
    # Without v1 nothing can lie outside.
    if (v[["v1"]] > 0) inside + (A - Q %*% rotated) / v[["v1"]] else inside
  }, r)
}

solver_of <- function(product, r) {
  list(
    e = as.vector(product(as.matrix(r))), product = product,
    form = function(A) crossprod(A, product(A)), squares = function(A) colSums(A * product(A))
  )
}

latent_solver <- function(fit) {
  if (fit$model == "spectral") spectral_solver(fit) else site_solver(fit)
}

#' Predict from a kernel model
#'
#' Predictions for the rows of the fit, or for new samples by their kernel with the samples of the
#' fit.
#'
#' A new sample has the latent variable with mean `x' beta + offset + v0 k' e` and variance
#' `v0 k** + v1 - v0^2 k' R k`, with `k` the row of `K_new`, `k**` its entry of `k_new`, and `e` and
#' `R` from the response that was seen. It is predicted with the variance `v1` that each row has for
#' itself; only with [kernel_lmm()] without `noise_var`, where that is the residual variance, the
#' prediction is of the mean, and its variance is without `v1`: add `sigma(object)^2` for a new
#' observation. The variances take the parameters as known; with `beta_known = FALSE` the variance
#' of the estimated fixed effects is added (the sites being held).
#'
#' On the scale of the response the prediction is the mean of the response over that normal
#' distribution, not the inverse link of its mean: in closed form for the links log, probit,
#' identity and sqrt, by quadrature to about 12 digits for the others. For the links inverse and
#' 1/mu^2 that mean does not exist, and the inverse link at the mean is given. `se.fit` is the
#' standard deviation of the conditional mean of the response over the same distribution.
#'
#' @param object A fit, as [kernel_glmm()] or [kernel_lmm()] returns it.
#' @param newX The fixed effects of the new samples: a matrix with the columns of the `X` of the fit
#'   (by name if it has column names, else in their order), or a vector if there is one column.
#'   Not needed if the only column is `"(Intercept)"`.
#' @param K_new The kernel between new samples (rows) and samples of the fit (columns; matched by
#'   name if both have names). `NULL`: new samples that are not related to those of the fit.
#' @param k_new The kernel of each new sample with itself: a number each, or one for all. Needed for
#'   variances, and thus for the scale of the response if the link is not the identity.
#' @param offset The offset of the new samples: a number each, or one for all. Needed if the fit has
#'   an offset.
#' @param type `"link"` (default), the latent variable, or `"response"`.
#' @param se.fit `TRUE` adds standard errors. Default `FALSE`.
#' @param beta_known `FALSE` adds the variance of the estimated fixed effects to `se.fit`. Default
#'   `TRUE`.
#' @param ... Not used; anything given here is an error.
#' @return A numeric vector with a number per row, for binomial families on the scale of the
#'   response a probability. With `se.fit` a list of `fit` and `se.fit`.
#' @section Errors: New samples that do not fit the model are of class `partialpool_error_newdata`,
#'   a kernel that does not of class `partialpool_error_kernel`; a missing `k_new` or `newX` is of
#'   class `partialpool_error_argument`, a missing or wrong `offset` of `partialpool_error_offset`.
#' @examples
#' K <- exp(-as.matrix(dist(1:25)) / 5)
#' seen <- 1:20
#' y <- rep(c(0, 3, 1, 5), each = 5)
#' fit <- kernel_glmm(y, NULL, K[seen, seen], "poisson")
#' predict(fit, K_new = K[-seen, seen], k_new = 1, type = "response", se.fit = TRUE)
#' @export
predict.pp_kernel_fit <- function(object, newX = NULL, K_new = NULL, k_new = NULL, offset = NULL,
                                  type = c("link", "response"), se.fit = FALSE, beta_known = TRUE,
                                  ...) {
  reject_dots(...)
  type <- choose_option(type, c("link", "response"), "type")
  se.fit <- check_flag(se.fit, "se.fit")
  beta_known <- check_flag(beta_known, "beta_known")
  curved <- type == "response" && !linear_response(object)
  rows <- if (is.null(newX) && is.null(K_new)) {
    check_no_new(k_new, offset)
    fitted_latent(object, se.fit || curved, beta_known)
  } else {
    new_latent(object, newX, K_new, k_new, offset, se.fit || curved, beta_known)
  }
  value <- list(fit = rows$mean, se.fit = if (se.fit) sqrt(rows$variance))
  if (curved) {
    mean <- response_moments(object, rows$mean, rows$variance, se.fit)
    value <- list(fit = mean$mean, se.fit = mean$sd)
  }
  value <- lapply(value, function(x) if (!is.null(x)) stats::setNames(x, rows$names))
  if (se.fit) value else value$fit
}

# Is the mean of the response the latent variable?
linear_response <- function(fit) is.null(fit$family) || is_gaussian(fit$family)

check_no_new <- function(k_new, offset) {
  if (!is.null(k_new) || !is.null(offset)) {
    given <- c("k_new", "offset")[c(!is.null(k_new), !is.null(offset))]
    pp_abort("argument", c(
      x = "{.arg {given}} {cli::qty(given)}{?belongs/belong} to new samples, and none are given.",
      ">" = "Give {.arg newX} or {.arg K_new}."
    ))
  }
}

# Mean and variance of the latent variable of the rows of the fit.
fitted_latent <- function(fit, with_variance, beta_known) {
  stored <- fit$posterior
  if (fit$model != "spectral" && length(stored$mean) == fit$n && beta_known) {
    return(list(mean = stored$mean, variance = stored$variance, names = fit$names))
  }
  found <- latent.pp_kernel_fit(fit, covariance = with_variance)
  value <- list(mean = unname(found$mean), names = fit$names)
  if (with_variance) {
    value$variance <- unname(pmax(0, diag(found$covariance)))
    if (!beta_known) {
      slope <- fit$X - latent_prior(fit) %*% latent_solver(fit)$product(fit$X)
      value$variance <- value$variance + beta_variance(fit, slope)
    }
  }
  value
}

# Var of slope %*% beta; a row of NA where the covariance is not known.
beta_variance <- function(fit, slope) {
  if (fit$fixed[["beta"]]) 0 else quadratic_form(slope, fit$vcov)
}

new_latent <- function(fit, newX, K_new, k_new, offset, with_variance, beta_known) {
  K_new <- check_new_kernel(fit, K_new)
  X <- check_new_columns(fit, newX, nrow(K_new))
  m <- nrow(X)
  if (is.null(K_new)) K_new <- matrix(0, m, fit$n)
  names <- if (is.null(rownames(K_new))) row_names_of(X) else rownames(K_new)
  v <- kernel_variances(fit)
  solver <- latent_solver(fit)
  cross <- v[["v0"]] * t(unname(K_new))
  mean <- as.vector(X %*% fit$coefficients) + new_offset(fit, offset, m) +
    as.vector(crossprod(cross, solver$e))
  value <- list(mean = mean, names = names)
  if (with_variance) {
    own <- v[["v0"]] * check_own_kernel(fit, k_new, m)
    value$variance <- remaining_variance(own, solver$squares(cross))
    if (fit$model != "spectral") value$variance <- value$variance + v[["v1"]]
    if (!beta_known) {
      slope <- X - crossprod(cross, solver$product(fit$X))
      value$variance <- value$variance + beta_variance(fit, slope)
    }
  }
  value
}

remaining_variance <- function(own, explained) {
  bad <- which(own - explained < -1e-8 * pmax(own, explained))
  if (length(bad)) {
    where <- describe_rows(bad)
    pp_abort("kernel", c(
      x = "{.arg k_new} is too small for {.arg K_new}: {where} would have a negative variance.",
      i = "Both belong to one covariance matrix, of the new samples and those of the fit."
    ), rows = bad)
  }
  pmax(0, own - explained)
}

# Rows of new samples in the order of the samples of the fit, or NULL.
check_new_kernel <- function(fit, K_new) {
  if (is.null(K_new)) {
    return(NULL)
  }
  if (is.null(fit$kernel)) {
    pp_abort("argument", c(
      x = "{.arg K_new} has no meaning: the fit has no kernel.", ">" = "Give {.arg newX} alone."
    ))
  }
  if (is.numeric(K_new) && !is.matrix(K_new)) {
    K_new <- matrix(K_new, 1L, dimnames = list(NULL, names(K_new)))
  }
  none <- is.matrix(K_new) && nrow(K_new) == 0L
  if (!none) K_new <- as.matrix(check_kernel_matrix(K_new, "K_new", square = FALSE))
  ids <- fit$kernel$ids
  if (!is.null(ids) && !is.null(colnames(K_new)) && !only_numbered(ids, colnames(K_new))) {
    at <- match(ids, colnames(K_new))
    absent <- unique(ids[is.na(at)])
    if (length(absent)) {
      pp_abort("kernel", c(
        x = "{.arg K_new} has no column for {.val {absent}}.",
        i = "It must have the samples of the fit in its columns, new samples in its rows."
      ), ids = absent)
    }
    return(K_new[, at, drop = FALSE])
  }
  if (ncol(K_new) != fit$n) {
    pp_abort("kernel", c(
      x = "{.arg K_new} must have a column for each row of the fit.",
      i = "It has {ncol(K_new)} column{?s}; the fit has {fit$n} row{?s}."
    ))
  }
  K_new
}

check_new_columns <- function(fit, newX, m) {
  columns <- colnames(fit$X)
  if (is.null(newX)) {
    if (!length(columns) || identical(fit$column_names, "(Intercept)")) {
      return(matrix(1, m, length(columns), dimnames = list(NULL, columns)))
    }
    pp_abort("argument", c(
      x = "{.arg newX} is missing.",
      i = "The fit has the {cli::qty(columns)}column{?s} {.code {columns}}."
    ))
  }
  rows <- if (is.null(dim(newX)) && !is.data.frame(newX)) length(newX) else nrow(newX)
  if (!is.null(m) && rows != m) {
    pp_abort("newdata", c(
      x = "{.arg newX} must have a row for each row of {.arg K_new}.",
      i = "They have {rows} and {m}."
    ))
  }
  X <- rlang::try_fetch(kernel_columns(newX, rows), partialpool_error = function(e) {
    reason <- gsub("`X`", "`newX`", conditionMessage(e), fixed = TRUE)
    pp_abort("newdata", c(x = "{.arg newX} will not do.", i = escape_braces(reason)))
  })
  if (!is.null(colnames(newX))) {
    # Columns without a name got the same one in the fit.
    absent <- setdiff(columns, colnames(X))
    if (!length(absent)) {
      return(X[, columns, drop = FALSE])
    }
    pp_abort("newdata", c(
      x = "{.arg newX} lacks {cli::qty(absent)}column{?s} {.code {absent}} of the fit."
    ))
  }
  all <- fit$column_names
  if (!ncol(X) %in% c(length(columns), length(all))) {
    pp_abort("newdata", c(
      x = "{.arg newX} must have the {length(columns)} column{?s} of {.arg X}.",
      i = "It has {ncol(X)}."
    ))
  }
  colnames(X) <- if (ncol(X) == length(all)) all else columns
  X[, columns, drop = FALSE]
}

check_own_kernel <- function(fit, k_new, m) {
  if (is.null(fit$kernel)) {
    return(numeric(m))
  }
  if (is.null(k_new)) {
    pp_abort("argument", c(
      x = "{.arg k_new} is missing: the kernel of each new sample with itself.",
      i = "The variance of a prediction depends on it, and so does the mean of the response.",
      ">" = "Give the diagonal of the kernel of the new samples."
    ))
  }
  if (is.matrix(k_new) && nrow(k_new) == m && ncol(k_new) == m && m > 1L) k_new <- diag(k_new)
  ok <- is.numeric(k_new) && length(k_new) %in% c(1L, m) && all(is.finite(k_new)) && all(k_new >= 0)
  if (!ok) {
    pp_abort("argument", c(
      x = "{.arg k_new} must hold {m} finite number{?s}, not negative; or one for all."
    ))
  }
  rep_len(as.numeric(k_new), m)
}

new_offset <- function(fit, offset, m) {
  if (is.null(offset)) {
    if (!is.null(fit$offset)) {
      pp_abort("offset", c(
        x = "{.arg offset} is missing: the fit has one.",
        ">" = "Give that of the new samples, or 0."
      ))
    }
    return(0)
  }
  if (!is.numeric(offset) || !length(offset) %in% c(1L, m) || !all(is.finite(offset))) {
    pp_abort("offset", c(x = "{.arg offset} must hold {m} finite number{?s}, or one for all."))
  }
  as.numeric(offset)
}
