# The page that a matrix-level fit prints.

#' Print and summarise a kernel model
#'
#' `summary()` gives the fixed effects with standard errors and tests, the variances with theirs,
#' the parameters of the distribution, and one line on convergence. Tests are z tests; for
#' [kernel_lmm()] by REML they are t tests with as many degrees of freedom as rows less fixed
#' effects. Standard errors of variances are by the delta method; a parameter that was held, or
#' lies on a boundary, has none.
#'
#' The proportion of the kernel is that of [VarCorr()][kernel-methods].
#'
#' @param object A fit, as [kernel_glmm()] or [kernel_lmm()] returns it.
#' @param x A fit or its summary.
#' @param digits Significant digits to print.
#' @param signif.stars `TRUE` prints stars behind the p-values. Default
#'   `getOption("show.signif.stars")`, as [stats::printCoefmat()].
#' @param ... Not used; anything given to `summary()` here is an error.
#' @return A list of class `"summary.pp_kernel_fit"`; among its elements `coefficients` (also by
#'   `coef()`), a matrix with the columns `Estimate`, `Std. Error`, `z value` and `Pr(>|z|)` (by
#'   REML `df`, `t value`, `Pr(>|t|)`) and a row of `NA` for each dropped column; `parameters`, a
#'   matrix with estimates and standard errors of `v0`, `v1`, `scale`, `delta` and the parameters of
#'   the distribution; `held`, which of them were held; `proportion`, that of the kernel. The print
#'   methods return their argument invisibly.
#' @examples
#' K <- exp(-as.matrix(dist(1:20)) / 5)
#' fit <- kernel_glmm(rep(c(0, 3, 1, 5), each = 5), NULL, K, "poisson")
#' fit
#' summary(fit)
#' @export
summary.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  structure(
    list(
      title = model_title(object), call = object$call, family = object$family,
      coefficients = coefficient_table(object, inference(object)),
      tests = coefficient_tests(object),
      aliased = object$aliased, vcov = object$vcov, parameters = kernel_parameter_table(object),
      held = held_labels(object), proportion = kernel_proportion(object),
      link_variance = link_variance(object$family), model = object$model,
      kernel = object$kernel[c("n", "rank", "source")], sigma = sigma.pp_kernel_fit(object),
      logLik = logLik.pp_kernel_fit(object), AICtab = criterion_table(object), n = object$n,
      fitted = object$fitted, convergence = object$convergence, noise_var = object$noise_var
    ),
    class = "summary.pp_kernel_fit"
  )
}

#' @rdname summary.pp_kernel_fit
#' @export
print.pp_kernel_fit <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_kernel_head(x)
  cat("\n")
  print_variances(kernel_parameter_table(x), held_labels(x), x$model, digits, FALSE)
  print_proportion(kernel_proportion(x), link_variance(x$family), digits)
  print_kernel_sizes(x)
  cat("\n")
  if (length(x$coefficients)) {
    cat("Fixed effects", if (x$fixed[["beta"]]) " (held)", ":\n", sep = "")
    print_estimates(x$coefficients, digits)
  } else {
    cat("No fixed effects\n")
  }
  print_kernel_notes(x)
  invisible(x)
}

#' @rdname summary.pp_kernel_fit
#' @export
print.summary.pp_kernel_fit <- function(x, digits = max(3L, getOption("digits") - 3L),
                                        signif.stars = getOption("show.signif.stars"), ...) {
  print_kernel_head(x)
  cat("\n")
  print_variances(x$parameters, x$held, x$model, digits, TRUE)
  print_proportion(x$proportion, x$link_variance, digits)
  print_kernel_sizes(x)
  if (nrow(x$coefficients)) {
    cat("\nFixed effects (", x$tests, "):\n", sep = "")
    if (all(is.na(x$coefficients[, 2L]))) {
      print_estimates(x$coefficients[, 1L], digits)
    } else {
      print_coefficients(x$coefficients, digits, signif.stars)
    }
  } else {
    cat("\nNo fixed effects\n")
  }
  print_kernel_notes(x)
  invisible(x)
}

model_title.pp_kernel_fit <- function(fit) {
  name <- paste0(
    if (fit$model == "ep") "Generalised linear model" else "Linear model",
    if (is.null(fit$kernel)) " without a kernel" else " with a kernel",
    if (fit$model == "normal") " and known noise"
  )
  if (!fit$fitted) {
    return(paste0(name, ", at given parameters"))
  }
  if (fit$model == "ep") {
    return(paste0(name, ", by maximum likelihood\n(expectation propagation)"))
  }
  paste0(name, ", fitted by ", if (fit$REML) "REML" else "ML")
}

criterion_table.pp_kernel_fit <- function(fit) {
  if (fit$REML) {
    return(c(REML = -2 * fit$logLik))
  }
  value <- logLik.pp_kernel_fit(fit)
  if (!fit$fitted) {
    return(c(logLik = fit$logLik))
  }
  c(
    AIC = stats::AIC(value), BIC = stats::BIC(value), logLik = fit$logLik,
    "-2*log(L)" = -2 * fit$logLik, df.resid = fit$n - fit$df
  )
}

# x: a fit or its summary.
print_kernel_head <- function(x) {
  title <- if (is.null(x$title)) model_title(x) else x$title
  cat(title, "\n", sep = "")
  if (!is.null(x$family)) {
    print_labelled("Family", sprintf("%s (%s)", family_name(x$family), x$family$link))
  }
  for (argument in c("y", "X", "kernel", "trials", "noise_var", "offset")) {
    value <- x$call[[argument]]
    if (is.language(value)) print_labelled(argument, shorten(deparse1(value), 65L))
  }
  table <- if (is.null(x$title)) criterion_table(x) else x$AICtab
  if (identical(names(table), "logLik")) {
    cat("Log-likelihood: ", format(table[["logLik"]], digits = 8L), "\n", sep = "")
  } else {
    print_criterion(table)
  }
}

# v0, v1, scale, delta and the parameters of the distribution, with standard errors by the delta
# method from the internal scale.
kernel_parameter_table <- function(fit) {
  v <- kernel_variances(fit)
  inner <- internal_parameters(fit)
  V <- vcov.pp_kernel_fit(fit, full = TRUE)
  at <- match(c("log(scale)", "logit(delta)"), rownames(V))
  spread <- fit$scale * fit$delta * (1 - fit$delta)
  se_of <- function(slope) {
    used <- !is.na(at) & slope != 0
    if (!any(used)) {
      return(NA_real_)
    }
    slope <- slope[used]
    sqrt(drop(slope %*% V[at[used], at[used], drop = FALSE] %*% slope))
  }
  slopes <- c(fit$scale, fit$delta * (1 - fit$delta))
  slopes <- c(slopes, fit$dispersion, if (!is.null(fit$shape)) {
    if (fit$family$family == "tweedie") (fit$shape - 1) * (2 - fit$shape) else fit$shape
  })
  values <- c(fit$scale, fit$delta, fit$dispersion, fit$shape)
  table <- cbind(
    Estimate = c(v, unname(values)),
    "Std. Error" = c(se_of(c(v[["v0"]], -spread)), se_of(c(v[["v1"]], spread)),
      unname(slopes) * inner$se
    )
  )
  rownames(table) <- c("v0", "v1", inner$names)
  # On a boundary the internal scale is infinite.
  at_end <- table[, 1L] == 0 | rownames(table) == "delta" & fit$delta == 1
  table[at_end, 2L] <- NA_real_
  table
}

held_labels <- function(fit) {
  held <- fit$fixed
  shape <- names(fit$shape)
  labels <- c(scale = "scale", delta = "delta", dispersion = "phi", shape = shape)
  unname(labels[intersect(names(labels), names(held)[held])])
}

print_variances <- function(table, held, model, digits, with_se) {
  rows <- c("v0", "v1")
  names <- c(
    "Kernel (v0)", if (model == "spectral") "Residual (v1)" else "Each row for itself (v1)"
  )
  cells <- cbind(
    Variance = format_jointly(table[rows, 1L], digits),
    Std.Dev. = format_jointly(sqrt(table[rows, 1L]), digits)
  )
  se <- table[rows, 2L]
  if (with_se && !all(is.na(se))) {
    cells <- cbind(cells, SE = ifelse(is.na(se), "", format(se, digits = max(2L, digits - 1L))))
    colnames(cells)[3L] <- "SE of variance"
  }
  rownames(cells) <- names
  cat("Variances:\n")
  print(cells, quote = FALSE, right = TRUE)
  for (name in setdiff(rownames(table), rows)) {
    label <- switch(name,
      scale = "Scale (v0 + v1)", delta = "Delta (v1 / scale)", phi = "Dispersion parameter (phi)",
      power = "Power of the variance", df = "Degrees of freedom", name
    )
    se <- table[name, 2L]
    cat(label, ": ", format(table[name, 1L], digits = digits), if (name %in% held) " (held)",
      if (with_se && !is.na(se)) paste0(" (SE ", format(se, digits = max(2L, digits - 1L)), ")"),
      "\n",
      sep = ""
    )
  }
}

print_proportion <- function(proportion, link_variance, digits) {
  cat("Proportion of the kernel: ", format(proportion, digits = digits),
    if (link_variance > 0) {
      paste0(" (variance of the link: ", format(link_variance, digits = digits), ")")
    }, "\n",
    sep = ""
  )
}

print_kernel_sizes <- function(x) {
  rank <- x$kernel$rank
  cat("Number of obs: ", x$n, if (!is.null(rank)) paste0(", rank of the kernel: ", rank), "\n",
    sep = ""
  )
}

coefficient_tests <- function(fit) {
  if (has_t_tests(fit)) "residual df" else "z tests"
}

print_kernel_notes <- function(x) {
  notes <- c(dropped_note(x$aliased), boundary_note(x), kernel_convergence_note(x))
  if (length(notes)) {
    cat("\n")
    cat(strwrap(notes, width = getOption("width"), exdent = 2L), sep = "\n")
  }
}

boundary_note <- function(x) {
  boundary <- x$convergence$boundary
  if (length(boundary)) paste0("On the boundary: ", paste(boundary, collapse = ", "))
}

kernel_convergence_note <- function(x) {
  convergence <- x$convergence
  status <- convergence$status
  if (is.null(status) || status == "not fitted" && is.null(convergence$sweeps)) {
    return(NULL)
  }
  counts <- c(
    if (length(convergence$evaluations)) count_of(convergence$evaluations, "evaluation"),
    if (length(convergence$sweeps)) count_of(convergence$sweeps, "sweep"),
    if (length(convergence$residual) && is.finite(convergence$residual)) {
      paste("EP residual", format(convergence$residual, digits = 1L))
    }
  )
  word <- switch(status,
    converged = "Converged", "not fitted" = "Not fitted", paste0("Not converged (", status, ")")
  )
  paste0(word, if (length(counts)) paste0(": ", paste(counts, collapse = ", ")))
}

count_of <- function(n, what) paste0(n, " ", what, if (n != 1) "s")
