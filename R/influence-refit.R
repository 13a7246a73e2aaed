# Estimates without some rows by new fits from the stored design, from the estimates with them.

# A list with an element a set of rows, each list(beta, vcov, theta, variances, sigma, converged,
# evaluations) or list(failure).
delete_by_refits <- function(fit, sets, max_iterations, tick) {
  fit <- quiet_fit(fit)
  fit$control$max_iterations <- max_iterations
  design <- design_of(fit)
  # The frame serves the messages alone.
  design$frame <- design$frame[0L, , drop = FALSE]
  start <- deletion_start(fit)
  lapply(sets, function(rows) {
    found <- attempt(estimates_without(fit, design, rows, start))
    tick()
    found
  })
}

# On the boundary the criterion is flat in theta: no place to start from.
deletion_start <- function(fit) {
  if (isTRUE(fit$convergence$singular) || length(fit$convergence$separation$columns)) {
    return(NULL)
  }
  unname(if (inherits(fit, "pp_glmm")) engine_parameters(fit) else fit$theta)
}

estimates_without <- function(fit, design, rows, start) {
  design <- design_without(design, rows)
  general <- inherits(fit, "pp_glmm")
  if (general) {
    f <- glmm_engine_of(design, integral_of(fit), fit$REML, fit$prior, FALSE)
    found <- glmm_without(f, fit, start)
  } else {
    f <- engine_of(design, fit$REML, "automatic", FALSE)
    start <- if (length(f$names) == length(start)) start
    found <- engine_optimise(
      f$engine, start, fit$control$tolerance, fit$control$max_iterations, FALSE
    )
    class(found) <- "pp_optimum"
    check_found(found, f, start)
  }
  again <- new_fit(f, found, fit$control)
  kept <- match(names(again$coefficients), names(fit$coefficients))
  names <- names(fit$coefficients)
  beta <- replace(stats::setNames(rep(NA_real_, length(names)), names), kept, again$coefficients)
  vcov <- matrix(NA_real_, length(names), length(names), dimnames = list(names, names))
  vcov[kept, kept] <- if (general) again$vcov else again$sigma^2 * again$vcov_unscaled
  list(
    beta = beta, vcov = vcov, theta = by_name(again$theta, names(fit$theta)),
    variances = by_name(
      variance_components(again, again$Lambda, again$sigma), variance_component_names(fit)
    ),
    sigma = again$sigma, converged = identical(again$convergence$status, "converged"),
    evaluations = if (length(again$convergence$evaluations)) again$convergence$evaluations else NA,
    infinite = again$convergence$separation$columns
  )
}

glmm_without <- function(f, fit, start) {
  if (f$model$method == "pql") {
    return(pql_optimum(f, fit$control))
  }
  start <- if (length(f$names) == length(start)) start
  found <- tryCatch(optimum(f, start, fit$control), error = function(e) NULL)
  # The estimates of all rows may be no place to start from.
  if (is.null(found) || found$convergence$status != "converged") {
    found <- optimum(f, NULL, fit$control)
  }
  found
}

by_name <- function(x, names) {
  stats::setNames(unname(x[match(names, names(x))]), names)
}

# list(failure) after an error. Notes on columns left out are the caller's to tell.
attempt <- function(code) {
  tryCatch(
    suppressMessages(suppressWarnings(code)),
    error = function(e) list(failure = condition_text(e))
  )
}

# The design without some rows and without the levels that only they had.
design_without <- function(design, rows) {
  n <- length(design$y)
  left <- seq_len(n)[-rows]
  if (!length(left)) stop("no row is left", call. = FALSE)
  X <- design$X[left, , drop = FALSE]
  attributes(X)[c("assign", "contrasts")] <- attributes(design$X)[c("assign", "contrasts")]
  design$X <- X
  for (what in c("y", "weights", "offset", "trials")) {
    if (!is.null(design[[what]])) design[[what]] <- design[[what]][left]
  }
  for (what in c("dispersion", "zi")) {
    if (!is.null(design[[what]])) {
      design[[what]]$X <- design[[what]]$X[left, , drop = FALSE]
      if (qr(design[[what]]$X)$rank < ncol(design[[what]]$X)) {
        stop("the rows left do not determine the ", what, " model", call. = FALSE)
      }
    }
  }
  for (t in seq_along(design$random)) {
    term <- term_of_cases(design$random[[t]], left, NULL)
    if (length(term$levels) < 2L) {
      stop("one level of ", term$group, " is left", call. = FALSE)
    }
    design$random[[t]] <- term
  }
  design["na.action"] <- list(NULL)
  design
}

# Variances and covariances in lme4's order and by its names: sigma^2 first, then the lower triangle
# of each term by column.
variance_components <- function(fit, Lambda, sigma) {
  scale <- if (inherits(fit, "pp_glmm")) 1 else sigma
  values <- lapply(Lambda, function(factor) {
    Sigma <- scale^2 * tcrossprod(factor)
    Sigma[lower.tri(Sigma, diag = TRUE)]
  })
  stats::setNames(c(sigma^2, unlist(values, use.names = FALSE)), variance_component_names(fit))
}

variance_component_names <- function(fit) {
  prefix <- vapply(fit$random, function(term) paste0(term$name, ":"), "")
  if (length(prefix) == 1L) prefix <- ""
  names <- Map(function(term, prefix) {
    columns <- term$columns
    cells <- outer(columns, columns, function(a, b) paste0("C[", a, ",", b, "]"))
    diag(cells) <- paste0("v[", columns, "]")
    paste0(prefix, cells[lower.tri(cells, diag = TRUE)])
  }, fit$random, prefix)
  c("sigma^2", unlist(names, use.names = FALSE))
}
