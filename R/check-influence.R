# Check for groups without which an estimate moves by more than its standard error.

check_influence <- function(fit) {
  finite <- all(is.finite(fit$coefficients)) && is.null(fit$convergence$separation)
  if (!length(fit$coefficients) || !finite || is_dear_to_delete(fit)) {
    return(NULL)
  }
  se <- sqrt(diag(stats::vcov(fit)))
  most <- list(size = 0)
  groups <- vapply(fit$random, function(term) term$group, "")
  for (t in which(!duplicated(groups))) {
    # Deleting one of two levels leaves no variance between them.
    if (length(fit$random[[t]]$levels) < 3L || is_dear_factor(fit, fit$random[[t]])) next
    worst <- largest_move(fit, fit$random[[t]], se)
    if (worst$size > most$size) most <- worst
  }
  if (most$size == 0) {
    return(NULL)
  }
  text <- sprintf("without %s of %s the estimate of %s moves by %.2f standard errors",
                  most$level, most$group, most$column, most$size)
  if (most$size > 1) {
    return(finding("influence", "note", text,
      paste0("look at plot(influence(fit, \"", most$group, "\"), \"dfbetas\"), and at that group")))
  }
  finding("influence", "ok", text)
}

# list(size, in standard errors of the fit; level, group, column). Coefficients that a group alone
# determines do not count.
largest_move <- function(fit, term, se) {
  sets <- split(seq_along(term$codes), factor(term$codes, seq_along(term$levels)))
  sets <- sets[lengths(sets) > 0L]
  moves <- vapply(steps_without(fit, unname(sets)), function(step) {
    if (is.null(step)) rep(NA_real_, length(se)) else step$beta / se
  }, numeric(length(se)))
  moves <- abs(matrix(moves, length(se)))
  at <- arrayInd(which.max(moves), dim(moves))
  if (!length(at)) {
    return(list(size = 0))
  }
  list(size = moves[at], level = term$levels[as.integer(names(sets)[at[2L]])], group = term$group,
       column = names(fit$coefficients)[at[1L]])
}

# Many levels of crossed factors, and still more of one, take longer than the fit.
is_dear_to_delete <- function(fit) {
  if (has_cluster_likelihood(fit)) {
    levels <- sum(n_groups(fit))
    return(levels * (2 * length(engine_parameters(fit)) + 1) > 40000)
  }
  columns <- vapply(fit$random, function(term) {
    as.double(length(term$columns)) * length(term$levels)
  }, 0)
  single <- length(n_groups(fit)) < 2L && !any_kernel(fit)
  sum(columns) > if (single) 4000 else 1500
}

# Each level of a crossed factor takes a matrix of its rows, or of the columns that they touch.
is_dear_factor <- function(fit, term) {
  if (length(n_groups(fit)) < 2L || has_cluster_likelihood(fit)) {
    return(FALSE)
  }
  J <- length(term$levels)
  q <- sum(vapply(fit$random, function(term) length(term$columns) * length(term$levels), 0))
  J * min(fit$n / J, q)^3 > 2e8
}
