# Standard errors of the natural parameters on the scales of Wald intervals: logarithms of standard
# deviations, Fisher's z of correlations within their limits, the others as they are.

# Data frame with a row a natural parameter: name, type, value, internal (on that scale),
# std.error (of internal), slope (derivative of the value by internal). NA at a boundary.
natural_wald <- function(fit) {
  table <- natural_parameter_table(fit)
  table$value <- unname(natural_parameters(fit))
  sds <- table$type %in% c("sd", "sigma")
  table$internal <- table$value
  table$internal[sds] <- log(table$value[sds])
  table$slope <- ifelse(sds, table$value, 1)
  range <- correlation_ranges(fit$random, table)
  cors <- table$type == "cor"
  half <- (range$upper - range$lower)[cors] / 2
  part <- (table$value[cors] - (range$upper + range$lower)[cors] / 2) / half
  table$internal[cors] <- atanh(pmin(pmax(part, -1), 1))
  table$slope[cors] <- half * (1 - part^2)
  V <- if (has_random(fit)) variance_covariance(fit)
  se <- c(random_standard_errors(fit, V), rest_standard_errors(fit, V))
  scaled <- sds | cors
  se[scaled] <- se[scaled] / table$slope[scaled]
  edge <- at_boundary(table, range)
  se[edge | !is.finite(se) | !is.finite(table$internal)] <- NA_real_
  table$std.error <- se
  table
}

at_boundary <- function(table, range) {
  cors <- table$type == "cor"
  sds <- table$type == "sd"
  edge <- cors & pmin(range$upper - table$value, table$value - range$lower) < 1e-5
  edge <- edge | cors & is.nan(table$value)
  edge | sds & table$value == 0
}

# Limits of each parameter.
correlation_ranges <- function(random, table) {
  lower <- rep(-Inf, nrow(table))
  upper <- rep(Inf, nrow(table))
  lower[table$type %in% c("sd", "sigma")] <- 0
  for (i in which(table$type == "cor")) {
    range <- rho_range(random[[table$term[i]]])
    if (random[[table$term[i]]]$structure == "us") range <- c(-1, 1)
    lower[i] <- range[1L]
    upper[i] <- range[2L]
  }
  list(lower = lower, upper = upper)
}

# Standard errors of standard deviations and correlations by the delta method from the covariance
# of variances and covariances.
random_standard_errors <- function(fit, V) {
  if (!has_random(fit)) {
    return(numeric())
  }
  scale <- random_scale(fit)
  at <- 0L
  unlist(lapply(seq_along(fit$random), function(t) {
    term <- fit$random[[t]]
    S <- tcrossprod(scale * fit$Lambda[[t]])
    k <- length(natural_names(term))
    own <- at + seq_len(k)
    at <<- at + k
    term_standard_errors(S, V[own, own, drop = FALSE], term)
  }))
}

variance_covariance <- function(fit) {
  if (inherits(fit, "pp_glmm")) {
    return(engine_parameter_covariance(NULL, fit))
  }
  engine_parameter_covariance(engine(fit), fit)
}

term_standard_errors <- function(S, V, term) {
  p <- nrow(S)
  position <- matrix(0L, p, p)
  if (term$structure == "diag") {
    diag(position) <- seq_len(p)
  } else {
    position[lower.tri(position, diag = TRUE)] <- seq_len(p * (p + 1L) / 2L)
  }
  parameters <- term_parameters(term)
  row <- parameters$row
  column <- parameters$column
  shared <- is.na(row)
  row[shared] <- ifelse(parameters$type[shared] == "sd", 1L, 2L)
  column[shared] <- 1L
  unlist(Map(function(i, j) {
    d <- numeric(nrow(V))
    if (i == j) {
      d[position[i, i]] <- 1 / (2 * sqrt(S[i, i]))
    } else {
      r <- S[i, j] / sqrt(S[i, i] * S[j, j])
      d[position[i, j]] <- 1 / sqrt(S[i, i] * S[j, j])
      d[position[i, i]] <- -r / (2 * S[i, i])
      d[position[j, j]] <- -r / (2 * S[j, j])
    }
    sqrt(max(sum(d * (V %*% d)), 0))
  }, row, column))
}

# Of sigma, the fixed effects and the further parameters of a generalised model.
rest_standard_errors <- function(fit, V) {
  fixed <- sqrt(diag(stats::vcov(fit)))
  if (inherits(fit, "pp_lmm")) {
    df <- fit$n - if (fit$REML) length(fixed) else 0L
    variance <- if (has_random(fit)) V[nrow(V), nrow(V)] else 2 * fit$sigma^4 / df
    return(c(sqrt(variance) / (2 * fit$sigma), fixed))
  }
  extras <- names(natural_extras(fit))
  at <- length(fixed) + match(extras, rownames(fit$vcov_full)[-seq_along(fixed)])
  if (!length(fixed)) at <- match(extras, rownames(fit$vcov_full))
  se <- sqrt(diag(fit$vcov_full)[at])
  if ("shape" %in% extras) {
    eta <- shape_to_engine(fit$family, free_shape(fit)[[1L]])
    se[extras == "shape"] <- se[extras == "shape"] * shape_slope(fit$family, eta)
  }
  unname(c(fixed, se))
}
