# What a fit of several traits holds, handed out.

#' @rdname kernel_traits
#' @export
vcov.pp_kernel_traits <- function(object, full = FALSE, ...) {
  reject_dots(...)
  if (!check_flag(full, "full")) {
    return(object$vcov)
  }
  if (!is.null(object$vcov_full)) {
    return(object$vcov_full)
  }
  names <- names(object$gradient)
  matrix(NA_real_, length(names), length(names), dimnames = list(names, names))
}

#' @rdname kernel_traits
#' @export
VarCorr.pp_kernel_traits <- function(x, sigma = 1, ...) {
  reject_dots(...)
  structure(
    list(kernel = trait_covariance(x$C0), row = trait_covariance(x$C1)),
    sc = 1, useSc = FALSE, class = "VarCorr.pp_fit"
  )
}

trait_covariance <- function(C) {
  sd <- sqrt(pmax(0, diag(C)))
  correlation <- C / tcrossprod(ifelse(sd > 0, sd, NaN))
  diag(correlation) <- 1
  structure(C, stddev = sd, correlation = correlation, structure = "us", hom = FALSE)
}

#' @rdname kernel_traits
#' @export
sigma.pp_kernel_traits <- function(object, ...) sqrt(diag(object$C1))

#' @rdname kernel_traits
#' @export
fitted.pp_kernel_traits <- function(object, ...) {
  reject_dots(...)
  structure(object$posterior$mean, dimnames = list(object$names, colnames(object$y)))
}

#' @rdname kernel_traits
#' @export
residuals.pp_kernel_traits <- function(object, type = c("response", "pearson"), ...) {
  reject_dots(...)
  type <- choose_option(type, c("response", "pearson"), "type")
  r <- object$y - fitted.pp_kernel_traits(object)
  rownames(r) <- object$names
  if (type == "response") r else r / rep(sqrt(diag(object$C1)), each = object$n)
}

#' @rdname kernel_traits
#' @export
predict.pp_kernel_traits <- function(object, newX = NULL, K_new = NULL, k_new = NULL,
                                     se.fit = FALSE, ...) {
  reject_dots(...)
  se.fit <- check_flag(se.fit, "se.fit")
  if (is.null(newX) && is.null(K_new)) {
    check_no_new(k_new, NULL)
    value <- fitted.pp_kernel_traits(object)
    if (!se.fit) {
      return(value)
    }
    K <- kernel_matrix(object$kernel)
    return(list(fit = value, se.fit = trait_errors(object, K, diag(K), value)))
  }
  K_new <- check_new_kernel(object, K_new)
  X <- check_new_columns(object, newX, nrow(K_new))
  if (is.null(K_new)) K_new <- matrix(0, nrow(X), object$n)
  value <- X %*% object$coefficients + K_new %*% object$weighted %*% object$C0
  names <- if (is.null(rownames(K_new))) row_names_of(X) else rownames(K_new)
  dimnames(value) <- list(names, colnames(object$y))
  if (!se.fit) {
    return(value)
  }
  own <- check_own_kernel(object, k_new, nrow(X))
  list(fit = value, se.fit = trait_errors(object, K_new, own, value))
}

# Roots of C0[a, a] k - c_a' V^-1 c_a, with c_a the covariance of a new sample's trait a with Y.
trait_errors <- function(fit, K_new, own, like) {
  turned <- diagonal_traits(fit)
  spectrum <- kernel_spectrum(fit$kernel)
  inside <- (K_new %*% spectrum$vectors)^2
  outside <- rowSums(K_new^2) - rowSums(inside)
  # k' (gamma_k K + I)^-1 k for each transformed trait
  squares <- vapply(turned$gamma, function(gamma) {
    drop(inside %*% (1 / (1 + gamma * spectrum$values))) + pmax(0, outside)
  }, numeric(nrow(K_new)))
  squares <- matrix(squares, nrow(K_new))
  variance <- outer(own, diag(fit$C0)) - tcrossprod(squares, (fit$C0 %*% turned$A)^2)
  structure(sqrt(pmax(variance, 0)), dimnames = dimnames(like))
}

# A and gamma with A' C1 A = I and A' C0 A = diag(gamma).
diagonal_traits <- function(fit) {
  inverse <- solve(t(chol(fit$C1)))
  eigen <- eigen(inverse %*% fit$C0 %*% t(inverse), symmetric = TRUE)
  list(A = t(inverse) %*% eigen$vectors, gamma = pmax(0, eigen$values))
}

#' @rdname kernel_traits
#' @export
latent.pp_kernel_traits <- function(fit, type = c("posterior", "prior"), covariance = TRUE, ...) {
  reject_dots(...)
  type <- choose_option(type, c("posterior", "prior"), "type")
  covariance <- check_flag(covariance, "covariance")
  names <- list(fit$names, colnames(fit$y))
  K <- if (covariance) unname(kernel_matrix(fit$kernel))
  if (type == "prior") {
    mean <- structure(fit$X %*% fit$coefficients, dimnames = names)
    part <- if (covariance) kronecker(unname(fit$C0), K)
    return(list(mean = mean, covariance = part)[c("mean", if (covariance) "covariance")])
  }
  mean <- fitted.pp_kernel_traits(fit)
  if (!covariance) {
    return(list(mean = mean))
  }
  turned <- diagonal_traits(fit)
  back <- solve(t(turned$A))
  spectrum <- kernel_spectrum(fit$kernel)
  left <- matrix(0, length(mean), length(mean))
  for (k in seq_along(turned$gamma)) {
    s <- turned$gamma[k] * spectrum$values
    part <- spectrum$vectors %*% (s / (1 + s) * t(spectrum$vectors))
    left <- left + kronecker(tcrossprod(back[, k]), part)
  }
  list(mean = mean, covariance = left)
}

#' @rdname kernel_traits
#' @export
simulate.pp_kernel_traits <- function(object, nsim = 1, seed = NULL, ...) {
  reject_dots(...)
  nsim <- check_count(nsim, "nsim")
  before <- generator_state()
  if (!is.null(seed)) {
    on.exit(assign(".Random.seed", before, envir = globalenv()))
    set.seed(seed)
  }
  root <- kernel_root(object$kernel)
  t <- ncol(object$y)
  root0 <- symmetric_root(object$C0)
  root1 <- symmetric_root(object$C1)
  mean <- structure(object$X %*% object$coefficients, dimnames = dimnames(object$y))
  draws <- lapply(seq_len(nsim), function(s) {
    kernel_part <- root %*% matrix(stats::rnorm(ncol(root) * t), ncol(root)) %*% root0
    mean + unname(kernel_part) + matrix(stats::rnorm(object$n * t), object$n) %*% root1
  })
  structure(draws,
    names = paste0("sim_", seq_len(nsim)),
    seed = if (is.null(seed)) before else structure(seed, kind = as.list(RNGkind()))
  )
}

symmetric_root <- function(C) {
  eigen <- eigen(C, symmetric = TRUE)
  eigen$vectors %*% (sqrt(pmax(0, eigen$values)) * t(eigen$vectors))
}

#' @rdname kernel_traits
#' @export
confint.pp_kernel_traits <- function(object, parm, level = 0.95, ...) {
  reject_dots(...)
  check_level(level)
  tails <- c((1 - level) / 2, (1 + level) / 2)
  table <- c(object$coefficients) + outer(sqrt(diag(object$vcov)), stats::qnorm(tails))
  dimnames(table) <- list(
    rownames(object$vcov), paste(format(100 * tails, trim = TRUE, digits = 3L), "%")
  )
  if (missing(parm)) {
    return(table)
  }
  table[check_parm(parm, rownames(table), full = FALSE), , drop = FALSE]
}

#' @rdname kernel_traits
#' @export
update.pp_kernel_traits <- function(object, formula., ...) {
  changed <- list(...)
  known <- names(formals(kernel_lmm))
  unknown <- setdiff(names(changed), known)
  if (!missing(formula.) || length(unknown) || length(changed) && is.null(names(changed))) {
    pp_abort("argument", c(
      x = "Arguments to change must be named; those of {.fn kernel_lmm} are {.arg {known}}."
    ))
  }
  arguments <- list(
    y = object$y, X = object$X, kernel = object$kernel, REML = object$REML, rank = object$rank,
    start = list(C0 = object$C0, C1 = object$C1, beta = object$coefficients),
    fit = object$fitted, control = object$control
  )
  if (is.list(changed$start)) {
    arguments$start[names(changed$start)] <- changed$start
    changed$start <- NULL
  } else if (any(c("y", "X") %in% names(changed))) {
    arguments["start"] <- list(NULL)
  }
  if ("y" %in% names(changed) && NCOL(changed$y) != ncol(object$y)) {
    arguments["rank"] <- list(NULL)
  }
  arguments[names(changed)] <- changed
  fit <- do.call(kernel_lmm, arguments, quote = TRUE)
  call <- object$call
  extras <- match.call(expand.dots = FALSE)$...
  for (name in names(extras)) call[name] <- list(extras[[name]])
  fit$call <- call
  fit
}

# Printing ----------------------------------------------------------------------------------------

#' @rdname kernel_traits
#' @export
print.pp_kernel_traits <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_traits_head(x)
  cat("Coefficients:\n")
  if (length(x$coefficients)) {
    print(x$coefficients, digits = digits)
  } else {
    cat("none\n")
  }
  print_kernel_notes(x)
  invisible(x)
}

#' @rdname kernel_traits
#' @export
summary.pp_kernel_traits <- function(object, ...) {
  reject_dots(...)
  table <- z_table(c(object$coefficients), sqrt(diag(object$vcov)))
  rownames(table) <- rownames(object$vcov)
  full <- vcov.pp_kernel_traits(object, full = TRUE)
  entries <- -seq_along(object$coefficients)
  if (!length(object$coefficients)) entries <- seq_along(object$gradient)
  lower <- lower.tri(object$C0, diag = TRUE)
  parameters <- cbind(
    Estimate = c(object$C0[lower], object$C1[lower]),
    "Std. Error" = sqrt(pmax(0, diag(full)))[entries]
  )
  rownames(parameters) <- names(object$gradient)[entries]
  structure(list(fit = object, coefficients = table, parameters = parameters),
            class = "summary.pp_kernel_traits")
}

#' @rdname kernel_traits
#' @export
print.summary.pp_kernel_traits <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_traits_head(x$fit)
  cat("Entries of C0 (kernel) and C1 (row):\n")
  print(x$parameters, digits = digits)
  if (nrow(x$coefficients)) {
    cat("\nFixed effects (z tests):\n")
    print_coefficients(x$coefficients, digits, getOption("show.signif.stars"))
  }
  print_kernel_notes(x$fit)
  invisible(x)
}

print_traits_head <- function(x) {
  how <- if (!x$fitted) ", at given parameters" else {
    paste0(", fitted by ", if (x$REML) "REML" else "ML")
  }
  cat("Linear model of ", ncol(x$y), " traits with a kernel", how, "\n", sep = "")
  for (argument in c("y", "X", "kernel")) {
    value <- x$call[[argument]]
    if (is.language(value)) print_labelled(argument, shorten(deparse1(value), 65L))
  }
  cat("Log-likelihood", if (x$REML) " (restricted)", ": ", format(x$logLik, digits = 8L), "\n\n",
      sep = "")
  print(VarCorr.pp_kernel_traits(x))
  cat("Number of obs: ", x$n, ", traits: ", ncol(x$y), ", rank of the kernel: ", x$kernel$rank,
      "\n\n", sep = "")
}
