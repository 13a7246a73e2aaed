# Tests of the fixed-effects terms of one fit. Each term has a hypothesis matrix L, with L beta = 0.

# Class and page of the result: anova.pp_lmm, anova.pp_glmm.
term_tests <- function(fit, type, test, ddf, coding) {
  chisq <- test == "Chisq"
  estimates <- wald_estimates(fit)
  V <- estimates$V
  hypotheses <- switch(type,
    hypotheses_type_1(fit, V), hypotheses_type_2(fit, V), hypotheses_type_3(fit, coding)
  )
  if (type < 3L || !chisq) hypotheses <- hypotheses[names(hypotheses) != "(Intercept)"]
  tests <- lapply(hypotheses, rotate_hypothesis, beta = estimates$beta, V = V)
  infinite <- match(fit$convergence$separation$columns, names(fit$coefficients))
  tests <- lapply(tests, without_infinite, columns = infinite)
  table <- if (chisq) chisq_table(tests) else f_table(fit, tests, ddf)
  structure(table,
    heading = tests_heading(fit, type, test, ddf, hypotheses),
    class = c("anova", "data.frame")
  )
}

# Fixed effects and their covariance, in common units.
wald_estimates <- function(fit) UseMethod("wald_estimates")

# In units of sigma, whose square may not exist.
wald_estimates.pp_lmm <- function(fit) {
  list(beta = fit$coefficients / fit$sigma, V = fit$vcov_unscaled)
}

# Coefficients that run to infinity have no variance: they are kept apart from the others, and
# without_infinite() takes the tests of them away.
wald_estimates.pp_glmm <- function(fit) {
  V <- fit$vcov
  V[is.na(V)] <- 0
  infinite <- fit$convergence$separation$columns
  V[cbind(infinite, infinite)] <- 1
  list(beta = fit$coefficients, V = V)
}

# There is no Wald test of a coefficient that runs to infinity.
without_infinite <- function(test, columns) {
  if (length(columns) && any(abs(test$L[, columns]) > 1e-8)) test$chisq <- NA_real_
  test
}

choose_type <- function(type) {
  known <- list(c("1", "I"), c("2", "II"), c("3", "III"))
  found <- which(vapply(known, function(k) length(type) == 1L && as.character(type) %in% k, NA))
  if (length(found) == 0L) {
    pp_abort("argument", c(
      x = "{.arg type} must be 1, 2 or 3.",
      i = "It is {.val {type}}."
    ))
  }
  found
}

# Name of the term of each kept column.
column_terms <- function(fit) {
  labels <- c("(Intercept)", attr(fit$terms, "term.labels"))
  labels[attr(fit$X, "assign") + 1L]
}

# Type III: the coefficients of a term when all factors have contrasts that sum to zero.
hypotheses_type_3 <- function(fit, coding) {
  term_of <- column_terms(fit)
  recoding <- if (coding == "sum") sum_recoding(fit)
  if (is.null(recoding)) recoding <- diag(length(term_of))
  rows <- split(seq_along(term_of), factor(term_of, unique(term_of)))
  lapply(rows, function(k) recoding[k, , drop = FALSE])
}

# The matrix T with X = X_sum T, so that T beta are the coefficients in the sum-to-zero coding.
# NULL, with a message, when X does not determine it.
sum_recoding <- function(fit) {
  factors <- names(attr(fit$X, "contrasts"))
  if (length(factors) == 0L) {
    return(NULL)
  }
  to_sum <- stats::setNames(rep(list("contr.sum"), length(factors)), factors)
  columns <- factorise(fit$frame, variable_names(fit$terms)[-1L])
  X <- model_matrix(fit$terms, columns, to_sum)
  X <- X[, attr(X, "assign") %in% attr(fit$X, "assign"), drop = FALSE]
  if (ncol(X) == ncol(fit$X)) {
    factorised <- qr(X)
    recoding <- qr.coef(factorised, fit$X)
    if (factorised$rank == ncol(X) && near(X %*% recoding, fit$X)) {
      return(unname(recoding))
    }
  }
  pp_inform("rank", c(
    i = "The columns of {.code X} do not determine tests that are independent of the coding.",
    ">" = "Each term is tested by its coefficients as fitted ({.code coding = \"fitted\"})."
  ))
  NULL
}

near <- function(a, b) max(abs(a - b)) <= 1e-7 * max(abs(b))

# Type I: rows of the Cholesky factor of the information, so that the tests add up.
hypotheses_type_1 <- function(fit, V) {
  term_of <- column_terms(fit)
  if (length(term_of) == 0L) {
    return(list())
  }
  R <- chol(chol2inv(chol(V)))
  rows <- split(seq_along(term_of), factor(term_of, unique(term_of)))
  lapply(rows, function(k) R[k, , drop = FALSE])
}

# Type II: the term together with those that contain it, without what those contribute.
hypotheses_type_2 <- function(fit, V) {
  term_of <- column_terms(fit)
  factors <- attr(fit$terms, "factors")
  identity <- diag(length(term_of))
  labels <- setdiff(unique(term_of), "(Intercept)")
  names(labels) <- labels
  lapply(labels, function(label) {
    own <- which(term_of == label)
    others <- setdiff(labels, label)
    containing <- Filter(function(other) contains_term(factors, other, label), others)
    above <- which(term_of %in% containing)
    if (length(above) == 0L) {
      return(identity[own, , drop = FALSE])
    }
    whole <- identity[c(own, above), , drop = FALSE]
    conjugate_complement(whole, identity[above, , drop = FALSE], V)
  })
}

contains_term <- function(factors, larger, smaller) {
  all(factors[factors[, smaller] > 0L, larger] > 0L)
}

# Combinations of the rows of `whole` that are uncorrelated with the rows of `part`.
conjugate_complement <- function(whole, part, V) {
  overlap <- qr(whole %*% V %*% t(part))
  Q <- qr.Q(overlap, complete = TRUE)
  t(Q[, -seq_len(overlap$rank), drop = FALSE]) %*% whole
}

# Uncorrelated directions of L beta: their t values squared add up to the Wald chi-square. Rows in
# units so different that a direction would be lost are brought to one variance first.
rotate_hypothesis <- function(L, beta, V) {
  as_given <- uncorrelated_rows(L, V)
  scaled <- uncorrelated_rows(L / sqrt(rowSums((L %*% V) * L)), V)
  best <- if (length(scaled$variance) > length(as_given$variance)) scaled else as_given
  chisq <- sum((best$L %*% beta)^2 / best$variance)
  list(L = best$L, chisq = chisq, df = length(best$variance))
}

uncorrelated_rows <- function(L, V) {
  decomposition <- eigen(L %*% V %*% t(L), symmetric = TRUE)
  d <- decomposition$values
  kept <- which(d > sqrt(.Machine$double.eps) * max(d[1L], 0))
  list(L = crossprod(decomposition$vectors[, kept, drop = FALSE], L), variance = d[kept])
}

chisq_table <- function(tests) {
  chisq <- vapply(tests, function(test) test$chisq, 0)
  df <- vapply(tests, function(test) test$df, 0L)
  data.frame(
    Chisq = chisq, Df = df, "Pr(>Chisq)" = stats::pchisq(chisq, df, lower.tail = FALSE),
    row.names = names(tests), check.names = FALSE
  )
}

# One call for the degrees of freedom of all directions of all terms.
f_table <- function(fit, tests, ddf) {
  num <- vapply(tests, function(test) test$df, 0L)
  L <- do.call(rbind, lapply(tests, function(test) test$L))
  if (is.null(L)) L <- matrix(0, 0L, length(fit$coefficients))
  directions <- split(degrees_of_freedom(fit, L, ddf), rep(seq_along(tests), num))
  den <- vapply(directions, combine_df, 0)
  f <- vapply(tests, function(test) test$chisq, 0) / num
  data.frame(
    NumDF = num, DenDF = unname(den), "F value" = f,
    "Pr(>F)" = stats::pf(f, num, den, lower.tail = FALSE),
    row.names = names(tests), check.names = FALSE
  )
}

# The denominator df for which F has the mean of the sum of squared t variables.
combine_df <- function(df) {
  if (length(df) == 1L || max(df) - min(df) < 1e-8 || all(is.infinite(df))) {
    return(mean(df))
  }
  if (any(df <= 2)) {
    return(2)
  }
  excess <- sum(df / (df - 2))
  2 * excess / (excess - length(df))
}

tests_heading <- function(fit, type, test, ddf, hypotheses) {
  method <- if (test == "Chisq") {
    "Wald chi-square tests"
  } else if (ddf == "residual" || !has_random(fit)) {
    "F tests with residual df"
  } else {
    switch(ddf,
      satterthwaite = "F tests with Satterthwaite's df",
      none = "F tests with infinite df"
    )
  }
  lost <- setdiff(attr(fit$terms, "term.labels"), names(hypotheses))
  c(
    paste0("Type ", c("I", "II", "III")[type], " analysis of variance: ", method),
    if (length(lost)) paste("Not estimable, left out:", paste(lost, collapse = ", ")),
    paste0("Response: ", deparse1(fit$formula[[2L]]))
  )
}
